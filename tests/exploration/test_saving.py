from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from napari_medsyn.errors import UnusableFile
from napari_medsyn.exploration.requests import Finished
from napari_medsyn.exploration.saving import check_targets, output_folder, save_results
from napari_medsyn.scans.reading import read_scan
from napari_medsyn.scans.study import Scan

SHAPE = (3, 4, 5)


@pytest.fixture
def reference():
    affine = np.array([[0, -2.0, 0, 9], [1.5, 0, 0, -8], [0, 0, 3, 7], [0, 0, 0, 1]])
    return Scan(np.ones(SHAPE), affine, "T1")


@pytest.fixture
def results():
    values = np.arange(60, dtype=np.float32).reshape(SHAPE) / 60
    arrays = {"imputed_FLAIR": values, "uncertainty_FLAIR": values / 10}
    return Finished(1, arrays, {"SYNTHETIC": True, "model": "m", "seed": 4})


def test_each_output_is_a_synthetic_image_on_the_reference_grid(results, reference, tmp_path):
    image, spread, _ = save_results(results, reference, tmp_path)
    scan = read_scan(image)
    np.testing.assert_array_equal(scan.voxels, results.arrays["imputed_FLAIR"])
    np.testing.assert_array_equal(scan.affine, reference.affine)
    assert scan.is_synthetic
    assert scan.modality == "FLAIR"
    assert scan.facts["provenance"]["output"] == "imputed_FLAIR"
    assert read_scan(spread).is_synthetic


def test_the_sidecar_lists_the_files_with_their_hashes(results, reference, tmp_path):
    *images, sidecar = save_results(results, reference, tmp_path)
    told = json.loads(sidecar.read_text())
    assert told["SYNTHETIC"] is True
    assert told["files"] == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in images
    }


def test_nothing_else_is_left_in_the_folder(results, reference, tmp_path):
    files = save_results(results, reference, tmp_path / "a" / "b")
    assert sorted((tmp_path / "a" / "b").iterdir()) == sorted(files)


def test_a_second_set_is_numbered_as_a_whole(results, reference, tmp_path):
    save_results(results, reference, tmp_path)
    (tmp_path / "uncertainty_FLAIR_2.nii.gz").write_text("mine")
    names = [path.name for path in save_results(results, reference, tmp_path)]
    assert names == ["imputed_FLAIR_3.nii.gz", "uncertainty_FLAIR_3.nii.gz", "provenance_3.json"]
    assert (tmp_path / "uncertainty_FLAIR_2.nii.gz").read_text() == "mine"


def test_refusing_leaves_everything_as_it_was(results, reference, tmp_path):
    (tmp_path / "uncertainty_FLAIR.nii.gz").write_text("mine")
    with pytest.raises(UnusableFile, match=r"uncertainty_FLAIR\.nii\.gz: exists already"):
        save_results(results, reference, tmp_path, existing="refuse")
    assert [path.name for path in tmp_path.iterdir()] == ["uncertainty_FLAIR.nii.gz"]


def test_replacing_replaces(results, reference, tmp_path):
    (tmp_path / "imputed_FLAIR.nii.gz").write_text("old")
    image, *_ = save_results(results, reference, tmp_path, existing="replace")
    assert read_scan(image).voxels.shape == SHAPE


def test_a_source_is_never_replaced(results, reference, tmp_path):
    source = tmp_path / "imputed_FLAIR.nii.gz"
    source.write_text("a real scan of that name")
    with pytest.raises(UnusableFile, match="is a source of this result"):
        save_results(results, reference, tmp_path, existing="replace", protect=[source])
    assert source.read_text() == "a real scan of that name"


def test_what_would_be_refused_can_be_asked_before(tmp_path):
    check_targets(["imputed_T2"], tmp_path, "refuse")
    (tmp_path / "provenance.json").write_text("{}")
    check_targets(["imputed_T2"], tmp_path, "number")
    with pytest.raises(UnusableFile, match=r"provenance\.json"):
        check_targets(["imputed_T2"], tmp_path, "refuse")


def test_a_failure_takes_back_files_and_the_folders_it_made(results, reference, tmp_path):
    bad = Finished(1, results.arrays, {"thing": object()})
    with pytest.raises(TypeError):
        save_results(bad, reference, tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_in_place_already_go_if_one_cannot_follow(
    results, reference, tmp_path, monkeypatch
):
    import os

    move = os.replace

    def full(source, target):
        if str(target).endswith("provenance.json") and ".medsyn" not in str(target):
            raise OSError(28, "No space left on device")
        move(source, target)

    monkeypatch.setattr("napari_medsyn.exploration.saving.os.replace", full)
    with pytest.raises(UnusableFile, match="No space left on device"):
        save_results(results, reference, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_was_to_be_replaced_is_back_if_one_cannot_follow(
    results, reference, tmp_path, monkeypatch
):
    import os

    for name in ("imputed_FLAIR.nii.gz", "uncertainty_FLAIR.nii.gz"):
        (tmp_path / name).write_text(f"old {name}")
    move = os.replace

    def full(source, target):
        if target == tmp_path / "provenance.json":
            raise OSError(28, "No space left on device")
        move(source, target)

    monkeypatch.setattr("napari_medsyn.exploration.saving.os.replace", full)
    with pytest.raises(UnusableFile, match="No space left on device"):
        save_results(results, reference, tmp_path, existing="replace")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        name: f"old {name}" for name in ("imputed_FLAIR.nii.gz", "uncertainty_FLAIR.nii.gz")
    }


def test_a_folder_of_a_files_name_is_not_replaced(results, reference, tmp_path):
    (tmp_path / "provenance.json").mkdir()
    with pytest.raises(UnusableFile, match=r"provenance\.json: a folder has this name"):
        save_results(results, reference, tmp_path, existing="replace")
    assert [path.name for path in tmp_path.iterdir()] == ["provenance.json"]


def test_the_same_results_made_later_are_the_same_bytes(results, reference, tmp_path):
    written = []
    for hour in ("10", "11"):
        made = {**results.provenance, "created": f"2026-01-01T{hour}:00:00+00:00"}
        files = save_results(
            Finished(1, results.arrays, made), reference, tmp_path / hour, existing="refuse"
        )
        written.append([path.read_bytes() for path in files[:-1]])
        assert json.loads(files[-1].read_text())["created"] == made["created"]
    assert written[0] == written[1]


def test_a_folder_whose_name_is_too_long_leaves_no_parent(results, reference, tmp_path):
    with pytest.raises(UnusableFile, match="cannot be made a folder"):
        save_results(results, reference, tmp_path / "a" / ("b" * 300))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_stays(results, reference, tmp_path):
    (tmp_path / "out").mkdir()
    bad = Finished(1, results.arrays, {"thing": object()})
    with pytest.raises(TypeError):
        save_results(bad, reference, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_named(results, reference, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(UnusableFile, match=r"out: cannot be made a folder \("):
        save_results(results, reference, tmp_path / "out")


def test_a_folder_that_cannot_be_written_to_is_found_before_the_body(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with (
        pytest.raises(UnusableFile, match=r"cannot be written to \(Permission denied\)"),
        output_folder(tmp_path / "out"),
    ):
        pytest.fail("the body must not run")
    assert not (tmp_path / "out").exists()


def test_an_error_of_the_body_is_not_taken_for_one_of_the_folder(tmp_path):
    with pytest.raises(UnusableFile, match="my own"), output_folder(tmp_path / "out"):
        raise UnusableFile("x", "my own")
    assert not (tmp_path / "out").exists()
