"""The lesion benchmark's own arithmetic, with a segmenter and an imputer of one line."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from benchmarks.lesions import (
    CASES,
    RECOVERED,
    averages,
    card_metrics,
    recovered,
    score_visit,
)
from tests.training.mmhvae._made import small_visit

from napari_medsyn.models.judges.lesions import Segmenter
from napari_medsyn.registry.card import Metric

EVEN = dict.fromkeys(("FLAIR", "T2", "T1", "T1c"), 0.5)


class Bright:
    """A network that finds what is bright in FLAIR, or dark in T1 without one."""

    def probability(self, given):
        """1 or 0."""
        if "FLAIR" in given:
            return (given["FLAIR"] > 0.7).astype(np.float32)
        return np.zeros_like(next(iter(given.values())))


@pytest.fixture
def visit():
    found = small_visit("ms-07", "ms-07", (True, True, True, True), lesions=True)
    found.images[3] = torch.where(found.lesions, 1.0, 0.5).half()
    return found


def imputer(visit, present, slices):
    """FLAIR shows the left half of the lesions; the others are grey."""
    shape = (*visit.mask.shape[1:], len(slices))
    flair = visit.images[3][list(slices)].permute(1, 2, 0).float().numpy().copy()
    flair[:, 34:] = 0.5
    assert "FLAIR" not in present
    grey = np.full(shape, 0.5, np.float32)
    return SimpleNamespace(mean={"T1": grey, "T1c": grey, "T2": grey, "FLAIR": flair})


def test_each_case_is_given_what_it_says(visit, tmp_path):
    segment = Segmenter(Bright(), EVEN, 1)
    rows = {r["given"]: r for r in score_visit(visit, segment, imputer, tmp_path)}
    assert list(rows) == [case.name for case in CASES]
    assert rows["all"]["dice"] == rows["FLAIR alone"]["dice"] == 1.0
    assert rows["without FLAIR"]["dice"] == rows["FLAIR black"]["dice"] == 0.0
    assert rows["T1 alone"]["dice"] == 0.0
    # Half of the lesion: 2 * 1 / (1 + 2).
    for name in ("FLAIR imputed", "T1, others imputed", "imputed FLAIR alone"):
        assert rows[name]["dice"] == pytest.approx(2 / 3, abs=1e-4)
    assert (tmp_path / "ms-07.png").is_file()


def test_without_an_imputer_only_scans_are_given(visit):
    rows = list(score_visit(visit, Segmenter(Bright(), EVEN, 1), None))
    assert [r["given"] for r in rows] == [case.name for case in CASES if not case.imputed]


def test_means_over_people_and_what_is_recovered():
    names = {name for triple in RECOVERED.values() for name in triple}
    dice = {"all": (0.7, 0.9), "without FLAIR": (0.2, 0.4), "FLAIR imputed": (0.4, 0.5)}
    rows = [
        {"cohort": "simulated", "person": str(i), "given": name, "dice": values[i], "found": i}
        for name, values in dice.items()
        for i in (0, 1)
    ]
    assert set(dice) < names
    summary = averages(rows)
    assert summary[0] == {
        "cohort": "simulated",
        "given": "all",
        "n": 2,
        "dice": pytest.approx(0.8),
        "found": 0.5,
    }
    (row,) = recovered(summary)
    # 0.8 with all, 0.3 without, 0.45 imputed.
    assert row["recovered"] == pytest.approx(0.3)


def test_nothing_lost_is_nothing_to_recover():
    rows = [
        {"cohort": "c", "given": name, "dice": 0.5}
        for name in ("all", "without FLAIR", "FLAIR imputed")
    ]
    (row,) = recovered(rows)
    assert row["recovered"] is None


def test_figures_of_the_card_are_of_scanned_modalities(visit):
    rows = score_visit(visit, Segmenter(Bright(), EVEN, 1), imputer)
    metrics = card_metrics(averages([{"cohort": "ms-07", **row} for row in rows]))
    read = [Metric(**m) for m in metrics]
    assert {m.name for m in read} >= {"Dice", "Lesions found (share)"}
    assert not [m for m in read if "imputed" in (m.note or "")]
    assert [m.value for m in read if m.name == "Dice" and "given all" in (m.note or "")] == [1.0]
