from __future__ import annotations

import getpass
import json
import zipfile
from pathlib import Path

import pytest
from tests._fakes import make_package

from napari_medsyn.errors import UnusableFile, UnusableModel
from napari_medsyn.registry.archives import unpack
from napari_medsyn.registry.packages import sha256_of
from napari_medsyn.registry.submission import (
    check_ready,
    scrubbed,
    versions,
    write_submission,
)

REPORT = {
    "model": "fake-brain",
    "version": "1.2.0",
    "ok": True,
    "checks": [
        {"name": "plan", "ok": True, "verdict": "ok", "sentence": "14 slices"},
        {"name": "a | b", "ok": True, "verdict": "warning", "sentence": "see\n/home/ada/x.npy"},
    ],
}


@pytest.fixture
def package(tmp_path):
    return make_package(tmp_path / "package")


def test_a_submission_is_the_archive_and_what_there_is_to_know(package, tmp_path):
    out = tmp_path / "submission"
    archive = write_submission(out, package, REPORT)
    assert sorted(path.name for path in out.iterdir()) == [
        "SUBMISSION.md",
        "fake-brain-1.2.0.zip",
        "submission.json",
    ]
    facts = json.loads((out / "submission.json").read_text())
    assert facts["archive"] == {
        "name": "fake-brain-1.2.0.zip",
        "bytes": archive.stat().st_size,
        "sha256": sha256_of(archive),
    }
    assert facts["card"]["id"] == "fake-brain"
    assert facts["test"]["checks"][0] == REPORT["checks"][0]
    assert {"python", "system", "napari-medsyn", "torch"} <= set(facts["versions"])
    assert unpack(archive, tmp_path / "unpacked").id == "fake-brain"


def test_the_text_says_what_a_maintainer_has_to_decide(package, tmp_path):
    archive = write_submission(tmp_path / "out", package, REPORT)
    text = (tmp_path / "out" / "SUBMISSION.md").read_text()
    assert text.startswith("# Fake brain (fake-brain 1.2.0)\n")
    for said in (
        sha256_of(archive),
        "## Intended use\n\nTests.",
        "- Knows nothing.",
        "## Licence of the weights\n\nBSD-3-Clause",
        "- made up, CC0-1.0",
        "| plan | ok | 14 slices |",
        "| a \\| b | warning | see … |",
        "- [ ] There is no golden output: ask for one.",
        "- [ ] There is no `preview.png`: ask for one.",
    ):
        assert said in text, said
    assert "The code was read" not in text


def test_nobody_s_name_or_folder_is_in_it(package, tmp_path):
    report = {**REPORT, "checks": [{**REPORT["checks"][0], "sentence": f"{package}/x is odd"}]}
    write_submission(tmp_path / "out", package, report)
    for name in ("submission.json", "SUBMISSION.md"):
        text = (tmp_path / "out" / name).read_text()
        assert "&lt;package&gt;/x is odd" in text or "<package>/x is odd" in text
        for private in (str(tmp_path), str(Path.home()), "/home/"):
            assert private not in text
    user = getpass.getuser()
    assert user == "root" or user not in text


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("see /home/ada/data/x.npy, please", "see …, please"),
        ("see /Users/ada/x", "see …"),
        ("C:\\Users\\ada\\x failed", "… failed"),
        ("~/models is empty", "… is empty"),
        ("file:///srv/x", "…"),
        ("https://example.org/home/ada", "https://example.org/home/ada"),
        ("slices/home/away", "slices/home/away"),
        ("1/2 and/or 3", "1/2 and/or 3"),
    ],
)
def test_local_paths_are_scrubbed_and_nothing_else(said, told, tmp_path):
    assert scrubbed([{"a": said}], tmp_path / "package") == [{"a": told}]


def test_a_card_with_a_local_path_is_refused(tmp_path):
    package = make_package(
        tmp_path / "package", provenance={"runs": [{"command": "train.py --data /home/ada/brains"}]}
    )
    with pytest.raises(
        UnusableModel, match=r"provenance\.runs\[0\]\.command holds the local path /home/ada/brains"
    ):
        check_ready(package)


def test_a_card_that_is_not_filled_in_is_refused(tmp_path):
    package = make_package(
        tmp_path / "package", authors=["FILL IN: you"], licence="LicenseRef-FILL-IN"
    )
    with pytest.raises(UnusableModel, match=r"to be filled in: licence, authors\[0\]; then"):
        check_ready(package)


def test_a_package_that_fails_or_is_damaged_is_not_packed(package, tmp_path):
    with pytest.raises(UnusableModel, match="does not pass its test"):
        write_submission(tmp_path / "out", package, {**REPORT, "ok": False})
    (package / "weights.safetensors").write_bytes(b"x")
    with pytest.raises(UnusableModel, match="bytes where the card says"):
        write_submission(tmp_path / "out", package, REPORT)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_left_alone(package, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(UnusableFile, match="is not empty"):
        write_submission(tmp_path / "out", package, REPORT)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_nothing_is_left_when_packing_fails(package, tmp_path, monkeypatch):
    def full(folder, out):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_medsyn.registry.submission.pack", full)
    with pytest.raises(UnusableFile, match="No space left"):
        write_submission(tmp_path / "out", package, REPORT)
    assert [path.name for path in tmp_path.iterdir()] == ["package"]


def test_steps_for_the_author_are_not_packed(package, tmp_path):
    (package / "README.md").write_text("for me")
    archive = write_submission(tmp_path / "out", package, REPORT)
    with zipfile.ZipFile(archive) as opened:
        assert not any(name.endswith("README.md") for name in opened.namelist())


def test_versions_name_no_computer():
    import platform

    assert platform.node() not in versions().values()
    assert versions()["python"] == platform.python_version()
