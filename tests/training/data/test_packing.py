from __future__ import annotations

import json
import shutil
import zipfile

import numpy as np
import pytest
import torch
from tests.training.data._made import VISITS
from training.data.healthy import load_healthy
from training.data.label_maps import load_label_maps
from training.data.masks import load_lesion_masks
from training.data.multimodal import load_visits
from training.data.pack import main
from training.data.packing import STEPS, PackedFile, pack
from training.data.released import SharedFolder
from training.data.sources import data_hash, open_source

from napari_medsyn.errors import UnusableFile

PARTS = ("validation", "test")


@pytest.fixture(scope="module")
def packed(made, cache, tmp_path_factory):
    """The made-up folder as a file; nobody is scanned but those whom it has."""
    out = tmp_path_factory.mktemp("packed") / "pack.zip"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.data.packing.people", lambda p: ("msv-12",) if p == "msv" else ())
        pack(made, out, cache, tell=lambda _: None)
    return out


def altered(packed, path, change):
    """A copy of the packed file with its members changed."""
    with zipfile.ZipFile(packed) as file:
        members = {name: file.read(name) for name in file.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def test_records_differ_by_rounding_only(made, cache, packed):
    source, file = open_source(made, cache), open_source(packed)
    names = [name for person in ("ms-07", "msv-12") for name in file.visits(person)]
    assert len(names) == len(VISITS)
    for name in (*names, "healthy", "label_maps", "lesions"):
        ours, theirs = source.record(name), file.record(name)
        assert set(theirs) - set(ours) == ({"bias"} if name == "healthy" else set())
        for key, a in ours.items():
            b = theirs[key]
            if key in STEPS:
                a = (np.round(a / STEPS[key]) * STEPS[key]).astype(a.dtype) * ours["brain"]
                assert (a != ours[key]).any()
            assert np.array_equal(a, b), (name, key)
            assert a.dtype == b.dtype


def test_visits_differ_by_half_a_step_at_most(made, cache, packed):
    ours = load_visits(made, parts=PARTS, cache=cache)
    theirs = load_visits(packed, parts=PARTS)
    for one, other in zip(ours, theirs, strict=True):
        assert (one.person, one.name) == (other.person, other.name)
        for name in ("present", "mask", "lesions", "lesion_change"):
            a, b = getattr(one, name), getattr(other, name)
            assert (a is None and b is None) or torch.equal(a, b)
        # Made intensities are 400 to 1200: 1 stands for at least 800, also after rounding.
        assert (one.images.float() - other.images.float()).abs().max() < 2 * 8 / 800


def test_healthy_people_have_the_same_fields(made, cache, packed):
    for people in (None, ("ixi-034", "ixi-012")):
        one = load_healthy(made, people=people, cache=cache)
        other = load_healthy(packed, people=people)
        assert one.ids == other.ids
        assert np.array_equal(one.fields.coefficients, other.fields.coefficients)
        assert np.abs(one.volume(1) - other.volume(1)).max() < 2 * 2 / 180


def test_values_near_the_end_of_their_type(made, cache, tmp_path, monkeypatch):
    """Half a step at most, also where the nearest multiple would not fit in eight bits."""
    brain = np.ones((1, 4, 4, 16), bool)
    t1 = np.arange(256, dtype=np.uint8).reshape(brain.shape)
    visit = {"T1": t1[0].astype(np.int16) - 100, "brain": brain[0]}
    records = {"healthy": {"t1": t1, "brain": brain, "people": np.array(["ixi-012"])}}
    monkeypatch.setattr("training.data.packing.people", lambda _: ())
    monkeypatch.setattr("training.data.packing.estimate_all", lambda *_: np.zeros((1, 1)))
    read = SharedFolder.record
    monkeypatch.setattr(
        SharedFolder,
        "record",
        lambda self, name: (records | {"visits/ms-07": visit}).get(name) or read(self, name),
    )
    pack(made, tmp_path / "a.zip", cache, tell=lambda _: None)
    file = PackedFile(tmp_path / "a.zip")
    found = file.record("healthy")["t1"].astype(int)
    assert np.abs(found - t1).max() == 2
    # Halves to the even multiple: 2 is 0, 6 is 8.
    assert found.ravel()[[0, 1, 2, 3, 5, 6, 7, 251, 253, 254, 255]].tolist() == [
        0, 0, 0, 4, 4, 8, 8, 252, 252, 255, 255]  # fmt: skip
    # What is negative becomes 0.
    assert file.record("visits/ms-07")["T1"].ravel()[[0, 99, 108, 109, 125]].tolist() == [
        0, 0, 0, 16, 32]  # fmt: skip


def test_the_manifest_notes_the_steps(packed):
    with zipfile.ZipFile(packed) as file:
        records = json.loads(file.read("manifest.json"))["records"]
    steps = {key: entry.get("step") for entry in records.values() for key, entry in entry.items()}
    assert {key: step for key, step in steps.items() if step} == {
        "T1": 16, "T1c": 16, "T2": 16, "FLAIR": 16, "t1": 4}  # fmt: skip


def test_folder_and_file_give_equal_label_maps_and_masks(made, packed):
    one, other = load_label_maps(made), load_label_maps(packed)
    assert one.ids == other.ids
    assert all(np.array_equal(one.head(i), other.head(i)) for i in range(len(one)))
    assert np.array_equal(one.affine, other.affine)
    mine, yours = (load_lesion_masks(source, parts=("train",)) for source in (made, packed))
    assert mine.person == yours.person
    for name in ("age", "sex", "volume_ml", "masks", "affine"):
        assert np.array_equal(getattr(mine, name), getattr(yours, name))


def test_the_file_quotes_the_folder_s_hash(made, packed, tmp_path):
    assert data_hash(packed) == data_hash(made)
    assert len(data_hash(made)) == 64
    other = tmp_path / "data"
    shutil.copytree(made, other)
    (other / "lesions" / "lesions.csv").write_text("patient\n")
    assert data_hash(other) != data_hash(made)


def test_nothing_there(tmp_path):
    with pytest.raises(UnusableFile, match="there is nothing here; name the shared data folder"):
        open_source(tmp_path / "none.zip")


def test_other_files_are_refused(tmp_path, packed):
    other = tmp_path / "other.zip"
    other.write_bytes(b"no zip at all")
    with pytest.raises(UnusableFile, match=r"not a whole zip file.*make it anew with python -m"):
        open_source(other)
    with zipfile.ZipFile(other, "w") as file:
        file.writestr("../../evil", b"")
    with pytest.raises(UnusableFile, match=r"manifest\.json is missing"):
        open_source(other)
    altered(packed, other, lambda m: m.update({"manifest.json": b'{"version": 99}'}))
    with pytest.raises(UnusableFile, match="of version 2"):
        open_source(other)


def test_a_missing_or_damaged_member_is_named(tmp_path, packed):
    path = altered(packed, tmp_path / "a.zip", lambda m: m.pop("healthy/t1/001"))
    with pytest.raises(UnusableFile, match="healthy/t1/001 is missing"):
        load_healthy(path)
    path = altered(packed, tmp_path / "b.zip", lambda m: m.update({"lesions/masks/000": b"no"}))
    with pytest.raises(UnusableFile, match="record 'lesions' is damaged"):
        load_lesion_masks(path)


def test_a_manifest_that_promises_too_much_is_refused(tmp_path, packed):
    def grow(members):
        manifest = json.loads(members["manifest.json"])
        manifest["records"]["label_maps"]["codes"]["shape"] = [2, 10**5, 10**5, 10**5]
        members["manifest.json"] = json.dumps(manifest).encode()

    path = altered(packed, tmp_path / "a.zip", grow)
    with pytest.raises(UnusableFile, match="record 'label_maps' is damaged"):
        load_label_maps(path)


def test_more_than_is_ours_is_not_read_whatever_is_promised(packed, monkeypatch):
    monkeypatch.setattr("training.data.packing.LARGEST_MANIFEST", 100)
    with pytest.raises(UnusableFile, match="too large to be ours"):
        open_source(packed)


@pytest.mark.parametrize(
    ("content", "compression", "reason"),
    [("[]", zipfile.ZIP_DEFLATED, "no object"), ("{}", zipfile.ZIP_BZIP2, "not ours")],
)
def test_a_manifest_of_another_kind_is_refused(tmp_path, content, compression, reason):
    path = tmp_path / "strange.zip"
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("manifest.json", content)
    with pytest.raises(UnusableFile, match=reason):
        open_source(path)


def test_somebody_who_is_not_in_the_file(packed):
    with pytest.raises(UnusableFile, match="no scans of msv-01 in it"):
        load_visits(packed, parts=("train",))


def test_the_command_says_what_is_missing(tmp_path, capsys):
    options = ["--data", str(tmp_path), "--out", str(tmp_path / "a" / "pack.zip")]
    assert main([*options, "--cache", str(tmp_path)]) == 2
    assert "no folder of ms-07's scans" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
