"""The arithmetic of the experiment with missing and imputed FLAIR, by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from benchmarks import lesions
from benchmarks.lesions import Subject

from napari_medsyn.models.family import Region, Rendered
from napari_medsyn.models.judges.judge import Verdict

SHAPE = (6, 7, 8)


def blocks(*corners: tuple[int, int, int]) -> np.ndarray:
    """Cubes of 2 x 2 x 2 voxels."""
    mask = np.zeros((12, 12, 12), bool)
    for x, y, z in corners:
        mask[x : x + 2, y : y + 2, z : z + 2] = True
    return mask


def test_perfect_agreement() -> None:
    truth = blocks((1, 1, 1), (8, 8, 8))
    figures = lesions.score(truth, truth)
    assert figures["dice"] == figures["dice_1mm"] == figures["sensitivity"] == 1.0
    assert figures["false_lesions"] == 0
    assert figures["true_ml"] == figures["found_ml"] == pytest.approx(0.016)


def test_one_found_half_one_missed_one_false() -> None:
    truth = blocks((1, 1, 1), (8, 8, 8))
    # The first is found a voxel off: 4 of its 8 voxels; the second is missed; one is false.
    found = blocks((2, 1, 1), (1, 9, 9))
    figures = lesions.score(found, truth)
    assert figures["dice"] == pytest.approx(2 * 4 / 32)
    # A voxel off is no error here: all 8 found and all 8 drawn voxels of the first are right.
    assert figures["dice_1mm"] == pytest.approx(16 / 32)
    assert figures["sensitivity"] == 0.5
    assert figures["false_lesions"] == 1


def test_nobody_has_lesions() -> None:
    none = np.zeros((4, 4, 4), bool)
    figures = lesions.score(none, none)
    assert figures["dice"] is None
    assert figures["sensitivity"] is None
    assert figures["false_lesions"] == 0


@pytest.mark.parametrize(
    ("whole", "missing", "imputed", "share"),
    [
        (0.6, 0.2, 0.4, 0.5),
        (0.6, 0.2, 0.6, 1.0),
        (0.6, 0.2, 0.1, -0.25),
        (0.6, 0.595, 0.7, None),  # nothing to speak of was lost
        (0.6, 0.7, 0.7, None),
        (None, 0.2, 0.3, None),
    ],
)
def test_recovered_share(whole: Any, missing: Any, imputed: Any, share: Any) -> None:
    assert lesions.recovered(whole, missing, imputed) == (
        None if share is None else pytest.approx(share)
    )


def made_subject() -> Subject:
    """FLAIR is 1 in the lesion and T1 is 0.5 everywhere."""
    brain = np.zeros(SHAPE, bool)
    brain[1:5, 1:6] = True
    drawn = np.zeros(SHAPE, bool)
    drawn[2:4, 2:4, 3:5] = True
    volumes = {
        "T1": np.where(brain, np.float32(0.5), np.float32(0)),
        "FLAIR": np.where(drawn, np.float32(1), np.float32(0)),
    }
    return Subject("made", "simulated", volumes, brain, drawn, brain.any(axis=(0, 1)))


class HalfImputer:
    """Imputes a FLAIR with the lesion in plane 3, not in plane 4; notes what it is given."""

    def __init__(self) -> None:
        self.given: list[tuple[str, ...]] = []

    def condition(self, study: Any, controls: Any) -> Any:
        self.given.append(tuple(study.volumes))
        return study

    def plan(self, first: Any, slices: Any, controls: Any) -> list[Region]:
        return [Region((k,)) for k in slices]

    def render(self, study: Any, controls: Any, region: Region) -> Rendered:
        image = np.zeros((*SHAPE[:2], 1), np.float32)
        if region.slices == (3,):
            image[2:4, 2:4] = 1
        return Rendered(region, {"FLAIR": image})


class FlairReader:
    """Finds what is bright in FLAIR, and nothing without it."""

    card = SimpleNamespace(outputs=("lesions",))

    def read(self, study: Any) -> Verdict:
        flair = study.volumes.get("FLAIR", np.zeros(SHAPE))
        return Verdict({}, maps={"lesions": (flair > 0.5).astype(np.uint8)})


def test_the_whole_experiment_on_made_models() -> None:
    family = HalfImputer()
    rows = list(lesions.score_subject({"needs": FlairReader()}, family, made_subject(), {}))  # type: ignore[dict-item, arg-type]
    dice = {row["given"]: row["dice"] for row in rows}
    # Half of the lesion's 8 voxels are imputed: 2 * 4 / (4 + 8).
    assert dice == {
        "all": 1.0,
        "without FLAIR": 0.0,
        "imputed FLAIR": pytest.approx(2 / 3),
        "T1 alone": 0.0,
        "T1, imputed FLAIR": pytest.approx(2 / 3),
    }
    assert all("FLAIR" not in given for given in family.given)
    cohort = lesions.recoveries(lesions.summary(rows), "cohort")
    assert [line["recovered"] for line in cohort] == [pytest.approx(2 / 3)] * 2


def test_outermost_planes_are_context_only() -> None:
    part = made_subject().between(2, 6)
    assert np.flatnonzero(part.scored).tolist() == [3, 4]
    assert np.flatnonzero(part.brain.any(axis=(0, 1))).tolist() == [2, 3, 4, 5]
    whole = made_subject().between(0, SHAPE[2])
    assert np.flatnonzero(whole.scored).tolist() == list(range(SHAPE[2]))


def test_means_leave_out_what_is_not_defined() -> None:
    row = {
        "cohort": "real",
        "segmenter": "s",
        "given": "all",
        **dict.fromkeys(lesions.FIGURES, 1.0),
    }
    line = lesions.summary([{**row, "dice": 0.4}, {**row, "dice": None}])[0]
    assert (line["dice"], line["n"]) == (0.4, 2)
