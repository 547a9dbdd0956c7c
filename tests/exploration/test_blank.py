"""Images of nobody: a model's own grid in the place of a patient's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests._fakes import SHAPE, make_package, make_scan

from napari_medsyn.errors import UnusableModel
from napari_medsyn.exploration.blank import blank_scan, blank_study
from napari_medsyn.exploration.engines.in_process import InProcessEngine
from napari_medsyn.exploration.requests import Finished, Progress, SlabReady
from napari_medsyn.exploration.session import Session
from napari_medsyn.models.family import Region, Rendered
from napari_medsyn.models.whole import WholeImageFamily
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.catalogue import Catalogue
from napari_medsyn.scans.geometry import Grid

FREE = {"fake": "tests.exploration.test_blank:load"}


class Ramp(WholeImageFamily):
    """The seed plus the slice's number, over 100; three steps before the first slice."""

    def draw(self, controls: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        along_z = np.arange(SHAPE[2], dtype=np.float32) / 100
        return [
            {"T1": np.broadcast_to(values["seed"] + along_z, SHAPE).astype(np.float32)}
            for values in controls
        ]

    def condition(self, study: Any, controls: Mapping[str, Any]) -> dict[str, Any]:
        assert study is None
        return {"steps": 0}

    def plan(
        self, first: Sequence[int], slices: Sequence[int], controls: Mapping[str, Any]
    ) -> Sequence[Region]:
        return [*(Region((), f"Step {n + 1} of 3") for n in range(3)), Region(tuple(slices))]

    def render(self, conditioning: Any, controls: Mapping[str, Any], region: Region) -> Rendered:
        if not region.slices:
            conditioning["steps"] += 1
            return Rendered(region, {})
        assert conditioning["steps"] == 3
        return super().render(conditioning, controls, region)


def load(card: ModelCard, weights: Path, device: str) -> Ramp:
    return Ramp(card)


class Either(Ramp):
    """Of nobody here, though its card reads scans, which whole-image families never do."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card


def load_either(card: ModelCard, weights: Path, device: str) -> Either:
    return Either(card)


@pytest.fixture
def free(tmp_path: Path) -> Session:
    """A session with a model that needs no scan."""
    make_package(tmp_path / "free", id="free", inputs=[], outputs=["T1"], min_inputs=0)
    session = Session(InProcessEngine(FREE), Catalogue([(tmp_path, "user")]))
    session.choose_model("free")
    return session


def test_the_result_lies_on_the_models_grid_and_says_what_made_it(free: Session) -> None:
    free.set_control("seed", 3)

    free.impute()

    assert free.failure is None
    assert free.results is not None
    assert list(free.results.arrays) == ["generated_T1"]
    expected = np.broadcast_to(3 + np.arange(SHAPE[2]) / 100, SHAPE)
    np.testing.assert_allclose(free.results.arrays["generated_T1"], expected, rtol=1e-6)
    reference = free.results_reference
    assert reference is not None
    assert reference.is_synthetic
    np.testing.assert_allclose(reference.affine[:3, 3], (-5, -6, -7))
    assert free.results.provenance["sources"] == {}
    assert free.results.provenance["SYNTHETIC"] is True
    assert free.results.provenance["controls"]["seed"] == 3


def test_steps_before_the_slices_count_as_progress(free: Session) -> None:
    told: list[Progress] = []
    free.progressed.connect(told.append)

    free.impute()

    running = [p for p in told if p.stage == "running"]
    assert [(p.done, p.total, p.phase) for p in running] == [
        (0, 3 + SHAPE[2], "Step 1 of 3"),
        (1, 3 + SHAPE[2], "Step 2 of 3"),
        (2, 3 + SHAPE[2], "Step 3 of 3"),
        (3, 3 + SHAPE[2], "Generating"),
        (3 + SHAPE[2], 3 + SHAPE[2], "Generating"),
    ]


def test_looking_elsewhere_does_not_repeat_steps(free: Session) -> None:
    def look(progress: Progress) -> None:
        if progress.phase.startswith("Step"):
            free.set_viewport(2, progress.done + 1)

    free.progressed.connect(look)

    free.impute()

    assert free.failure is None  # `Ramp` refuses a fourth step


def test_the_plane_on_screen_comes_first(free: Session) -> None:
    slabs: list[SlabReady] = []
    free.slab_ready.connect(slabs.append)
    free.set_viewport(2, 9)

    free.impute()

    assert (slabs[0].start, slabs[0].stop) == (9, 10)


def test_results_are_saved_as_synthetic_files(free: Session, tmp_path: Path) -> None:
    from napari_medsyn.scans.reading import read_scan

    free.impute()

    files = free.save(tmp_path / "out")

    assert [file.name for file in files] == ["generated_T1.nii.gz", "provenance.json"]
    scan = read_scan(files[0])
    assert scan.is_synthetic
    assert scan.voxels.shape == SHAPE


def test_a_scan_that_the_model_cannot_read_changes_nothing(free: Session) -> None:
    free.add_scan(make_scan("FLAIR"))

    assert free.readiness().ok
    assert free.reference is not None
    assert free.reference.is_synthetic


def test_a_scan_of_the_modality_that_the_model_gives_is_not_where_it_is_given(
    free: Session,
) -> None:
    free.add_scan(make_scan("T1", shape=(4, 5, 6)))
    free.impute()
    assert free.reference is not None
    assert free.reference.is_synthetic
    assert free.reference.voxels.shape == SHAPE


def test_slabs_lie_where_the_request_asked_whatever_is_set_by_then(tmp_path: Path) -> None:
    make_package(tmp_path / "both", id="both", min_inputs=0, inputs=["T1"], outputs=["T1"])
    families = {"fake": "tests.exploration.test_blank:load_either"}
    session = Session(InProcessEngine(families), Catalogue([(tmp_path, "user")]))
    session.choose_model("both")
    session.add_scan(make_scan("T1", shape=(4, 5, 6)))
    assert session.reference is not None
    assert session.reference.voxels.shape == (4, 5, 6)
    session.use_modality("T1", False)
    assert session.reference.voxels.shape == SHAPE
    shapes: list[tuple[int, ...]] = []

    def switch_on(slab: SlabReady) -> None:
        session.use_modality("T1", True)
        asked, now = session.asked_reference, session.reference
        assert asked is not None
        assert now is not None
        shapes.extend((asked.voxels.shape, now.voxels.shape))

    session.slab_ready.connect(switch_on)
    session.impute()
    assert shapes[:2] == [SHAPE, (4, 5, 6)]


def test_a_model_that_is_only_listed_cannot_be_chosen(tmp_path: Path) -> None:
    make_package(
        tmp_path / "far", id="far", execution="none", requires={"note": "needs 58 GB of memory"}
    )
    session = Session(InProcessEngine(FREE), Catalogue([(tmp_path, "user")]))

    with pytest.raises(UnusableModel, match="needs 58 GB of memory"):
        session.choose_model("far")


def test_what_a_family_has_to_say_stands_beside_its_results(
    free: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ramp, "notes", ("It is rebuilt at every change.",), raising=False)

    free.impute()

    assert free.results is not None
    assert free.results.notes == ("It is rebuilt at every change.",)


def test_a_blank_scan_is_the_same_for_the_same_grid() -> None:
    grid = Grid((3, 4, 5), np.eye(4))

    one, other = blank_scan(grid), blank_scan(Grid((3, 4, 5), np.eye(4)))

    assert one.id == other.id
    assert one.id != blank_scan(Grid((3, 4, 6), np.eye(4))).id


def test_a_blank_study_gives_volumes_back_as_they_are() -> None:
    grid = Grid((3, 4, 5), np.diag([2.0, 2.0, 3.0, 1.0]))
    volume = np.random.default_rng(0).random((3, 4, 5), np.float32)

    np.testing.assert_array_equal(blank_study(grid).to_reference(volume), volume)


def test_the_events_of_a_whole_request_end_in_finished(free: Session) -> None:
    ended: list[Finished] = []
    free.finished.connect(ended.append)

    free.impute()
    free.impute()

    assert [event.generation for event in ended] == [1, 2]
