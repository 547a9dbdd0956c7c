"""Samples as files: names, marks, hashes, what is left after an interruption."""

from __future__ import annotations

import hashlib
import json
import shlex
from itertools import pairwise

import nibabel
import numpy as np
import pytest
from tests import _fakes
from tests._fakes import ORIGIN, make_package, make_scan
from tests.exploration._painting import FAMILIES, make_painter, painted

from napari_medsyn.errors import EngineError, UnusableFile
from napari_medsyn.exploration.generating import generate_to
from napari_medsyn.exploration.requests import PreparationOptions
from napari_medsyn.scans.picture_files import read_picture
from napari_medsyn.scans.reading import read_scan
from napari_medsyn.scans.study import Study


@pytest.fixture(autouse=True)
def _table(monkeypatch):
    monkeypatch.setattr("napari_medsyn.models.families.TABLE", FAMILIES)
    monkeypatch.setattr("napari_medsyn.scans.preparation.prepare", _fakes.prepare)


@pytest.fixture
def painter(tmp_path):
    return make_painter(tmp_path / "painter")


@pytest.fixture
def brain(tmp_path):
    return make_package(tmp_path / "fake")


@pytest.fixture
def study():
    return Study((make_scan("T1"), make_scan("T2")))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def record_of(folder):
    return json.loads((folder / "provenance.json").read_text())


def check_hashes(folder):
    """Every file but the record is listed with its hash, and nothing else is."""
    record = record_of(folder)
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name != "provenance.json"
    }
    assert record["files"] == found


def test_flat_pictures_become_png_files(painter, out):
    written = generate_to(out, painter, 3, seed=11, device="cpu")
    expected = ["sample_0001.png", "sample_0002.png", "sample_0003.png", "provenance.json"]
    assert [path.name for path in written.files] == expected
    assert names(out) == sorted(expected)
    for number, seed in ((1, 11), (3, 13)):
        picture = read_picture(out / f"sample_000{number}.png")
        seen = painted(seed)[::-1, ::-1, 0].T
        np.testing.assert_array_equal(picture.pixels, np.rint(seen * 255.0).astype(np.uint8))
        assert picture.is_synthetic
        assert picture.marks["seed"] == str(seed)
        assert json.loads(picture.marks["controls"])["seed"] == seed
        assert picture.marks["model"] == "painter"
        assert "created" not in picture.marks


def test_the_record_tells_of_every_file(painter, out):
    generate_to(out, painter, 2, 11, {"brightness": 0.5}, device="cpu")
    check_hashes(out)
    record = record_of(out)
    assert record["SYNTHETIC"] is True
    assert record["samples"] == [
        {"seed": 11, "files": ["sample_0001.png"]},
        {"seed": 12, "files": ["sample_0002.png"]},
    ]
    assert (record["requested"], record["made"]) == (2, 2)
    assert record["controls"]["brightness"] == 0.5
    assert str(out.parent) not in json.dumps(record)


def test_16_bits(painter, out):
    generate_to(out, painter, 1, device="cpu", bits=16)
    pixels = read_picture(out / "sample_0001.png").pixels
    seen = painted(0)[::-1, ::-1, 0].T
    np.testing.assert_array_equal(pixels, np.rint(seen * 65535.0).astype(np.uint16))


def test_samples_are_the_same_in_any_run(painter, tmp_path):
    generate_to(tmp_path / "many", painter, 30, 0, device="cpu", batch=4)
    generate_to(tmp_path / "one", painter, 1, 21, device="cpu")
    many, one = tmp_path / "many/sample_0022.png", tmp_path / "one/sample_0001.png"
    assert many.read_bytes() == one.read_bytes()


def test_nifti_is_marked_and_on_the_models_grid(painter, out):
    generate_to(out, painter, 1, 4, device="cpu", format="nii")
    image = nibabel.load(out / "sample_0001.nii.gz")
    np.testing.assert_array_equal(image.get_fdata(dtype=np.float32), painted(4))
    assert bytes(image.header["descrip"].item()).startswith(b"SYNTHETIC MG")
    scan = read_scan(out / "sample_0001.nii.gz")
    assert scan.is_synthetic
    assert scan.facts["provenance"]["seed"] == 4


def test_arrays_have_the_mark_in_their_name(painter, out):
    generate_to(out, painter, 1, 4, device="cpu", format="npy")
    array = np.load(out / "sample_0001_SYNTHETIC.npy", allow_pickle=False)
    np.testing.assert_array_equal(array, painted(4))


def test_several_outputs_have_a_file_each(tmp_path, out):
    package = make_painter(tmp_path / "two", outputs=["T1", "FLAIR"])
    generate_to(out, package, 1, device="cpu")
    assert names(out) == ["provenance.json", "sample_0001_FLAIR.png", "sample_0001_T1.png"]
    assert record_of(out)["samples"][0]["files"] == ["sample_0001_T1.png", "sample_0001_FLAIR.png"]
    assert read_picture(out / "sample_0001_FLAIR.png").marks["output"] == "generated_FLAIR"


def test_numbers_grow_beyond_four_digits():
    from napari_medsyn.exploration.generating_files import file_names

    assert file_names(7, 12345, ["MG"], ".png") == {"MG": "sample_00007.png"}


def test_posterior_samples_become_nifti_files_on_the_patients_grid(brain, study, out):
    written = generate_to(out, brain, 2, 5, {"temperature": 0.4}, study, device="cpu")
    assert names(out) == ["provenance.json", "sample_0001.nii.gz", "sample_0002.nii.gz"]
    np.testing.assert_array_equal(nibabel.load(out / "sample_0002.nii.gz").affine[:3, 3], ORIGIN)
    record = record_of(out)
    assert set(record["sources"]) == {"T1", "T2"}
    assert record["controls"]["samples"] == 1
    assert written.notes == ("A fake preparation.",)
    check_hashes(out)


def test_a_volume_is_no_png(brain, study, out):
    with pytest.raises(UnusableFile, match="a PNG is flat; choose nii or npy"):
        generate_to(out, brain, 1, study=study, format="png")
    assert not out.exists()


def test_existing_files_are_refused_before_anything_is_computed(painter, out):
    out.mkdir()
    (out / "sample_0002.png").write_bytes(b"precious")
    # A model that fails would say so, if it were asked.
    with pytest.raises(UnusableFile, match=r"sample_0002\.png: exists already"):
        generate_to(out, painter, 2, controls={"mood": "bug"}, device="cpu")
    assert names(out) == ["sample_0002.png"]


@pytest.mark.parametrize("name", ["provenance.json", "sheet.png"])
def test_an_existing_record_or_sheet_is_refused_as_well(painter, out, name):
    out.mkdir()
    (out / name).write_text("precious")
    with pytest.raises(UnusableFile, match="exists already"):
        generate_to(out, painter, 1, controls={"mood": "bug"}, device="cpu", sheet=True)
    assert (out / name).read_text() == "precious"


def test_overwrite_replaces(painter, out):
    generate_to(out, painter, 2, 0, device="cpu")
    generate_to(out, painter, 2, 50, device="cpu", overwrite=True)
    assert [sample["seed"] for sample in record_of(out)["samples"]] == [50, 51]
    check_hashes(out)


def test_samples_of_an_earlier_run_that_remain_are_told(painter, out):
    generate_to(out, painter, 3, 0, device="cpu")
    written = generate_to(out, painter, 1, 50, device="cpu", overwrite=True)
    assert len(written.notes) == 1
    assert "samples of an earlier run: 2, from sample_0002.png on" in written.notes[0]


def test_a_source_is_never_replaced(brain, tmp_path):
    source = tmp_path / "sample_0001.nii.gz"
    source.write_bytes(b"precious")
    study = Study((make_scan("T1", source=source),))
    with pytest.raises(UnusableFile, match="is a source"):
        generate_to(tmp_path, brain, 1, study=study, overwrite=True, controls={"targets": ["T2"]})
    assert source.read_bytes() == b"precious"


def test_an_interruption_leaves_whole_files_and_their_record(painter, out):
    with pytest.raises(KeyboardInterrupt):
        generate_to(out, painter, 9, controls={"mood": "interrupted"}, device="cpu", sheet=True)
    made = ["sample_0001.png", "sample_0002.png", "sample_0003.png"]
    assert names(out) == ["provenance.json", *made, "sheet.png"]
    record = record_of(out)
    assert (record["requested"], record["made"]) == (9, 3)
    check_hashes(out)


def test_an_interruption_before_the_first_sample_leaves_nothing(painter, out):
    with pytest.raises(KeyboardInterrupt):
        generate_to(out, painter, 9, 3, {"mood": "interrupted"}, device="cpu")
    assert not out.exists()


def test_a_sample_of_which_one_file_fails_leaves_none(tmp_path, out, monkeypatch):
    from napari_medsyn.scans import picture_files

    package = make_painter(tmp_path / "two", outputs=["T1", "FLAIR"])
    write = picture_files.write_picture

    def full(path, *arguments, **options):
        if path.name == "sample_0002_FLAIR.png":
            raise UnusableFile(path, "cannot be written: No space left on device")
        return write(path, *arguments, **options)

    monkeypatch.setattr(picture_files, "write_picture", full)
    with pytest.raises(UnusableFile, match="No space left"):
        generate_to(out, package, 3, device="cpu")
    assert names(out) == ["provenance.json", "sample_0001_FLAIR.png", "sample_0001_T1.png"]
    check_hashes(out)


def test_a_model_that_fails_leaves_no_folder(painter, out):
    with pytest.raises(EngineError, match="a bug in the model"):
        generate_to(out, painter, 1, controls={"mood": "bug"}, device="cpu")
    assert not out.exists()


def test_values_beyond_training_are_told_once(painter, out):
    written = generate_to(out, painter, 3, controls={"brightness": 2.0}, device="cpu")
    assert len(written.notes) == 1
    assert "beyond the training range 0.5 to 1.5" in written.notes[0]
    assert record_of(out)["notes"] == list(written.notes)


def test_the_command_makes_a_sample_again(painter, tmp_path, out):
    from napari_medsyn.cli.control_values import parse_settings
    from napari_medsyn.registry.card import read_card

    controls = {"brightness": 0.5, "latent": (0.5, -1.0, 0.0), "mirror": True, "grade": 2}
    generate_to(out, painter, 3, 8, controls, device="cpu")
    words = shlex.split(record_of(out)["again"])
    assert words[:7] == ["medsyn", "generate", "--model", "painter", "--n", "1", "--seed"]
    settings = [word for before, word in pairwise(words) if before == "--set"]
    assert parse_settings(read_card(painter), settings) == controls


def test_the_command_names_what_the_study_needs(brain, out):
    study = Study((make_scan("T1", name="Jane Doe"), make_scan("label")))
    options = PreparationOptions(register="never", bias_field=True)
    generate_to(
        out, brain, 1, controls={"targets": ["T2"]}, study=study, device="cpu", options=options
    )
    again = record_of(out)["again"]
    for part in ("--input T1=FILE", "--mask FILE", "--register never", "--n4", "--target T2"):
        assert part in again
    assert "Jane" not in (out / "provenance.json").read_text()


def test_the_record_names_no_scan_in_its_notes(brain, out, monkeypatch):
    def prepare(*arguments, **hooks):
        prepared = _fakes.prepare(*arguments, **hooks)
        prepared.notes = ("Jane Doe had to be registered.",)
        return prepared

    monkeypatch.setattr("napari_medsyn.scans.preparation.prepare", prepare)
    study = Study((make_scan("T1", name="Jane Doe", source=out / "jane.nii"),))
    written = generate_to(out, brain, 1, study=study, device="cpu")
    assert written.notes == ("Jane Doe had to be registered.",)
    assert record_of(out)["notes"] == ["T1 had to be registered."]


def test_progress_counts_what_is_written(painter, out):
    told = []

    def tell(done, total, phase):
        there = len(list(out.glob("sample_*"))) if out.exists() else 0
        told.append((done, there))

    generate_to(out, painter, 4, device="cpu", tell=tell)
    assert told[-1] == (4, 4)
    assert all(int(done) <= there for done, there in told)


def test_a_run_of_billions_begins_at_once_and_meets_what_is_there(painter, out):
    out.mkdir()
    (out / "SAMPLE_0000000007.PNG").touch()  # the same file where case does not count
    with pytest.raises(UnusableFile, match=r"SAMPLE_0000000007\.PNG: exists already"):
        generate_to(out, painter, 2**32, device="cpu")


@pytest.mark.parametrize(
    "name", ["sample_1.png", "sample_0004.png", "sample_0001.nii.gz", "sample_0001_MG.png", "a.png"]
)
def test_files_that_the_run_does_not_write_are_no_reason_to_refuse(painter, out, name):
    out.mkdir()
    (out / name).touch()
    assert len(generate_to(out, painter, 3, device="cpu").files) == 4
