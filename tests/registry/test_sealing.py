from __future__ import annotations

import json

import pytest
from tests._fakes import make_package

from napari_medsyn.errors import UnusableModel
from napari_medsyn.registry.packages import verify
from napari_medsyn.registry.sealing import rewrite_card, seal

#: SHA-256 of "abc", from FIPS 180-2, appendix B.1.
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.fixture
def package(tmp_path):
    return make_package(tmp_path / "package")


def card_of(package):
    return json.loads((package / "card.json").read_text())


@pytest.fixture
def isolated(package):
    """The same package with code of its own."""
    (package / "code").mkdir()
    (package / "code" / "run.py").write_bytes(b"abc")
    (package / "code" / "weights.bin").write_bytes(b"w")
    fields = card_of(package)
    fields["execution"] = "isolated"
    fields["architecture"] = {"weights": "code/weights.bin"}
    fields["files"] = [{"name": "code/weights.bin", "bytes": 1, "sha256": "0" * 64}]
    (package / "card.json").write_text(json.dumps(fields))
    return package


def test_a_changed_file_gets_its_hash_and_nothing_else_changes(package):
    before = card_of(package)
    weights = package / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\7")
    with pytest.raises(UnusableModel, match="SHA-256"):
        verify(package)
    assert seal(package) == ["weights.safetensors has changed"]
    after = card_of(package)
    assert verify(package).id == "fake-brain"
    assert after.pop("files") != before.pop("files")
    assert after == before


def test_what_is_sealed_stays_as_it_is(package):
    seal(package)
    before = (package / "card.json").read_bytes(), (package / "card.json").stat().st_mtime_ns
    assert seal(package) == []
    after = (package / "card.json").read_bytes(), (package / "card.json").stat().st_mtime_ns
    assert after == before


def test_a_preview_is_listed(package):
    (package / "preview.png").write_bytes(b"abc")
    (package / "README.md").write_bytes(b"not for others")
    assert seal(package) == ["preview.png is new on the card"]
    assert card_of(package)["files"][1:] == [{"name": "preview.png", "bytes": 3, "sha256": ABC}]


def test_code_comes_and_goes_with_its_files(isolated):
    (isolated / "code" / "__pycache__").mkdir()
    (isolated / "code" / "__pycache__" / "run.pyc").write_bytes(b"x")
    (isolated / "code" / ".hidden").write_bytes(b"x")
    assert seal(isolated) == ["code/run.py is new on the card", "code/weights.bin has changed"]
    files = {file["name"]: file for file in card_of(isolated)["files"]}
    assert files["code/run.py"] == {"name": "code/run.py", "bytes": 3, "sha256": ABC}
    assert set(files) == {"code/run.py", "code/weights.bin"}
    (isolated / "code" / "run.py").rename(isolated / "code" / "other.py")
    assert seal(isolated) == [
        "code/run.py is gone, so the card no longer lists it",
        "code/other.py is new on the card",
    ]


def test_code_of_a_native_package_is_not_listed(package):
    (package / "code").mkdir()
    (package / "code" / "run.py").write_bytes(b"abc")
    assert seal(package) == []


def test_a_missing_file_is_named_and_the_card_stays(package):
    before = (package / "card.json").read_bytes()
    (package / "weights.safetensors").unlink()
    with pytest.raises(UnusableModel, match=r"weights\.safetensors: is missing; put the file"):
        seal(package)
    assert (package / "card.json").read_bytes() == before


def test_a_link_is_not_sealed(package, tmp_path):
    weights = package / "weights.safetensors"
    weights.rename(tmp_path / "elsewhere")
    weights.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnusableModel, match="is missing"):
        seal(package)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not JSON"),
        ("[]", "must be a list of files"),
        ('{"files": {}}', "must be a list of files"),
        ('{"files": [{"bytes": 3}]}', "must be a list of files"),
        ('{"files": [], "id": "x"}', "Field required"),
    ],
)
def test_what_is_no_card_is_refused_and_stays(package, text, reason):
    (package / "card.json").write_text(text)
    with pytest.raises(UnusableModel, match=reason):
        seal(package)
    assert (package / "card.json").read_text() == text


def test_a_name_that_leads_out_of_the_package_is_refused(package, tmp_path):
    (tmp_path / "secret").write_bytes(b"abc")
    fields = card_of(package)
    fields["files"].append({"name": "../secret"})
    (package / "card.json").write_text(json.dumps(fields))
    with pytest.raises(UnusableModel, match=r"files\[1\]\.name"):
        seal(package)
    assert "sha256" not in card_of(package)["files"][1]


def test_a_change_that_makes_no_card_is_not_written(package):
    before = (package / "card.json").read_bytes()
    with pytest.raises(UnusableModel, match="licence"):
        rewrite_card(package, lambda fields: fields.update(licence="of my own"))
    assert (package / "card.json").read_bytes() == before
    assert sorted(path.name for path in package.iterdir()) == ["card.json", "weights.safetensors"]
