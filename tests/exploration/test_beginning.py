from __future__ import annotations

import pytest
from tests import _fakes

from napari_medsyn.errors import UnusableFile
from napari_medsyn.exploration.beginning import begin
from napari_medsyn.exploration.examining import examine
from napari_medsyn.registry.packages import verify
from napari_medsyn.scans.study import Study


def test_a_new_dcgan_passes_its_test_with_a_golden_output(tmp_path):
    card = begin(tmp_path / "mine", "dcgan", model_id="mine", name="Mine")
    assert verify(tmp_path / "mine") == card
    report = examine(tmp_path / "mine")
    assert report.ok
    verdicts = {check.name: check.verdict for check in report.checks}
    assert verdicts.pop("card") == "warning"  # it is still to be filled in
    assert set(verdicts.values()) == {"ok"}
    assert {"golden output", "control latent", "control class", "cancelling"} <= set(verdicts)


def test_a_new_package_with_code_has_run_nothing(tmp_path, monkeypatch):
    def run(*_):
        raise AssertionError("code was run without consent")

    monkeypatch.setattr("napari_medsyn.models.families.load_family", run)
    card = begin(tmp_path / "mine", "python", model_id="mine", name="Mine")
    assert (card.execution, card.golden) == ("isolated", None)


def test_a_new_mmhvae_passes_its_test_with_the_sample_patient(tmp_path, monkeypatch):
    # The real one takes seconds to prepare; this one lies on the template's grid already.
    scans = tuple(_fakes.make_scan(modality, (56, 64, 56)) for modality in ("T1", "T2"))
    monkeypatch.setattr("napari_medsyn.scans.sample.sample_study", lambda: Study(scans))
    monkeypatch.setattr("napari_medsyn.scans.preparation.prepare", _fakes.prepare)
    card = begin(tmp_path / "mine", "mmhvae", model_id="mine", name="Mine")
    assert (card.golden.study, card.golden.output) == ("sample", "FLAIR")
    report = examine(tmp_path / "mine")
    assert {check.verdict for check in report.checks if check.name != "card"} == {"ok"}


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UnusableFile, match="is not empty"):
        begin(tmp_path, "dcgan", model_id="mine", name="Mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
