"""The record of a synthetic scan, its sidecar and its label."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from tests._builders import make_scan, make_study

from napari_medsyn.errors import UnusableFile
from napari_medsyn.scans.provenance import (
    ProvenanceRecord,
    label_text,
    sidecar_path,
    software_versions,
    source_hashes,
    write_sidecar,
)


def make_record(**fields) -> ProvenanceRecord:
    values = {
        "model": "some-model",
        "weights_sha256": "ab" * 32,
        "controls": {"temperature": np.float32(0.5), "present": ("T1", "T2"), "samples": 8},
        "seed": 3,
        "sources": {"T1": "cd" * 32},
        "device": "cpu",
    }
    return ProvenanceRecord(**(values | fields))


def test_a_record_says_first_that_it_is_synthetic() -> None:
    record = make_record(extra={"grid": "reference"}).as_dict()
    assert list(record)[:2] == ["SYNTHETIC", "purpose"]
    assert record["SYNTHETIC"] is True
    assert record["purpose"] == "Research use; not for diagnosis"
    assert record["controls"] == {"temperature": 0.5, "present": ["T1", "T2"], "samples": 8}
    assert record["grid"] == "reference"
    assert "extra" not in record
    assert record["software"]["numpy"] == np.__version__


def test_a_record_can_be_read_back(tmp_path: Path) -> None:
    record = make_record().as_dict()
    path = write_sidecar(tmp_path / "provenance.json", record)
    assert json.loads(path.read_text()) == record


@pytest.mark.parametrize(
    ("image", "sidecar"),
    [("a.nii.gz", "a.json"), ("a.nii", "a.json"), ("a.b.nrrd", "a.b.json")],
)
def test_the_sidecar_lies_beside_its_image(tmp_path: Path, image: str, sidecar: str) -> None:
    assert sidecar_path(tmp_path / image) == tmp_path / sidecar
    assert write_sidecar(tmp_path / image, {}) == tmp_path / sidecar


def test_a_sidecar_is_not_replaced_unless_asked(tmp_path: Path) -> None:
    path = write_sidecar(tmp_path / "a.json", {"n": 1})
    with pytest.raises(UnusableFile, match="exists already"):
        write_sidecar(path, {"n": 2})
    write_sidecar(path, {"n": 3}, overwrite=True)
    assert json.loads(path.read_text()) == {"n": 3}


def test_what_json_cannot_hold_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="a provenance cannot hold a Path"):
        write_sidecar(tmp_path / "a.json", {"file": object.__new__(type("Path", (), {}))})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_sidecar(tmp_path / "a.json", {"value": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_sources_are_known_by_content_only() -> None:
    study = make_study(("T1", "T2"))
    assert source_hashes(study) == {
        "T1": study.scans[0].content_hash,
        "T2": study.scans[1].content_hash,
    }
    assert list(source_hashes([make_scan(modality="")])) == ["scan 1"]


def test_versions_are_those_installed() -> None:
    versions = software_versions()
    assert versions["nibabel"] == metadata.version("nibabel")
    assert versions["napari-medsyn"] == metadata.version("napari-medsyn")
    assert versions["python"].startswith("3.")


def test_label() -> None:
    text = label_text(make_record().as_dict(), "FLAIR")
    assert text == "SYNTHETIC FLAIR · some-model · seed 3 · Research use; not for diagnosis"
    assert label_text({}) == "SYNTHETIC · Research use; not for diagnosis"
