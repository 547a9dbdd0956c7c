from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from tests._fakes import make_package

from napari_medsyn.errors import UnusableModel
from napari_medsyn.registry import indexing
from napari_medsyn.registry.catalogue import Catalogue, Entry
from napari_medsyn.registry.searching import search


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two packages, with a cache of their own that takes new files, too."""
    monkeypatch.setenv("MEDSYN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(indexing, "SETTLED_NS", 0)
    make_package(tmp_path / "models" / "a", id="model-a", name="Ähnlich", tags=["first"])
    make_package(tmp_path / "models" / "b", id="model-b")
    return tmp_path / "models"


@pytest.fixture
def checked(monkeypatch):
    """Names of the packages that were checked, so far."""
    names: list[str] = []
    verify = indexing.verify

    def counting(package: Path, *, full: bool = True):
        names.append(package.name)
        return verify(package, full=full)

    monkeypatch.setattr(indexing, "verify", counting)
    return names


def entries(folder: Path) -> tuple[Entry, ...]:
    """What a new process would list."""
    return Catalogue([(folder, "user")]).entries()


def cache_file() -> Path:
    (path,) = indexing.cache_folder().iterdir()
    return path


def test_what_has_not_changed_is_not_checked_again(folder, checked):
    first = entries(folder)
    assert checked == ["a", "b"]
    again = entries(folder)
    assert checked == ["a", "b"]
    assert [(e.id, e.origin, e.is_usable, e.facts) for e in again] == [
        (e.id, e.origin, e.is_usable, e.facts) for e in first
    ]
    assert [entry.words for entry in again] == [entry.words for entry in first]
    assert [entry.card for entry in again] == [entry.card for entry in first]
    assert [entry.id for entry in search(again, ["ähnlich"])] == ["model-a"]


def test_one_catalogue_needs_no_file_for_that(folder, checked, tmp_path):
    (tmp_path / "home").write_text("no folder can be made here")
    catalogue = Catalogue([(folder, "user")])
    assert catalogue.entries()[0].id == catalogue.entries()[0].id == "model-a"
    assert checked == ["a", "b"]


@pytest.mark.parametrize("change", ["content", "size", "missing", "added", "renamed", "link"])
def test_every_change_is_seen(folder, checked, change, tmp_path):
    entries(folder)
    weights = folder / "b" / "weights.safetensors"
    facts = weights.stat()
    if change == "content":
        weights.write_bytes(b"\xff" * 8 + weights.read_bytes()[8:])
        # Somebody who puts the time back cannot put back when he did so.
        os.utime(weights, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    elif change == "size":
        weights.write_bytes(weights.read_bytes() + b"x")
    elif change == "missing":
        weights.unlink()
    elif change == "link":
        weights.rename(tmp_path / "elsewhere")
        weights.symlink_to(tmp_path / "elsewhere")
    elif change == "renamed":
        (folder / "b").rename(folder / "c")
    else:
        make_package(folder / "c", id="model-c")
    ids = {entry.id: entry.is_usable for entry in entries(folder)}
    expected = {"model-a": True, "b": False}
    if change == "added":
        expected = {"model-a": True, "model-b": True, "model-c": True}
    elif change == "renamed":
        expected = {"model-a": True, "model-b": True}
    assert ids == expected
    assert checked.count("a") == 1


def test_a_changed_card_is_read_again(folder):
    entries(folder)
    path = folder / "b" / "card.json"
    path.write_text(path.read_text().replace("Fake brain", "True brain"))
    facts = entries(folder)[1].facts
    assert facts is not None
    assert facts.name == "True brain"


def test_a_removed_package_is_forgotten(folder):
    entries(folder)
    shutil.rmtree(folder / "b")
    assert [entry.id for entry in entries(folder)] == ["model-a"]
    assert b"model-b" not in cache_file().read_bytes()


def test_a_broken_package_is_checked_each_time(folder, checked):
    (folder / "b" / "weights.safetensors").unlink()
    entries(folder)
    entries(folder)
    assert checked == ["a", "b", "b"]


def test_files_that_are_very_new_are_not_remembered(folder, checked, monkeypatch):
    # Within one tick of the clock a file can change and keep its stamp.
    monkeypatch.setattr(indexing, "SETTLED_NS", 60 * 10**9)
    entries(folder)
    entries(folder)
    assert checked == ["a", "b", "a", "b"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content.replace(b"model-a", b"model-x"),
        lambda _: b"",
        lambda _: b"\x80\x04pickle",
        lambda content: content.partition(b"\n")[2],
    ],
)
def test_a_damaged_cache_is_ignored_and_mended(folder, checked, damage):
    entries(folder)
    path = cache_file()
    path.write_bytes(damage(path.read_bytes()))
    assert [entry.id for entry in entries(folder)] == ["model-a", "model-b"]
    assert checked == ["a", "b"] * 2
    entries(folder)
    assert checked == ["a", "b"] * 2


@pytest.mark.parametrize(
    "lines",
    [
        [b"[]", b"x"],
        [b"{", b"a", b"b", b"c"],
        [b"[3]", b"{}", b"b", b"c"],
        [b'[["a", [], [], "a", "generator"]]', b"{}", b"b", b"c"],
        [b"[" * 100_000],
        [b'[["a", [], [], "a", "generator", "native"]]', b"{}", b"\xff", b"c"],
    ],
)
def test_a_cache_that_is_sealed_but_makes_no_sense_is_ignored(folder, checked, lines):
    entries(folder)
    text = b"\n".join(lines)
    cache_file().write_bytes(indexing._seal(text) + b"\n" + text)
    assert [entry.id for entry in entries(folder)] == ["model-a", "model-b"]
    assert checked == ["a", "b"] * 2


def test_another_version_of_the_rules_checks_anew(folder, checked, monkeypatch):
    entries(folder)
    monkeypatch.setattr(indexing, "_rules", lambda: b"stricter")
    entries(folder)
    assert checked == ["a", "b"] * 2


def test_the_cache_is_not_believed_about_a_card(folder):
    """The card itself is read from the package when it is asked for."""
    entries(folder)
    entry = entries(folder)[1]
    (folder / "b" / "card.json").write_text("{}")
    with pytest.raises(UnusableModel, match="schema_version: Field required"):
        entry.card  # noqa: B018 - it is read now


def test_two_folders_do_not_mix(folder, tmp_path, checked):
    make_package(tmp_path / "others" / "a", id="other-a")
    both = [(folder, "user"), (tmp_path / "others", "user")]
    for _ in range(2):
        ids = [entry.id for entry in Catalogue(both).entries()]  # type: ignore[arg-type]
        assert ids == ["model-a", "model-b", "other-a"]
    assert checked == ["a", "b", "a"]


def test_a_word_that_no_encoding_knows_does_no_harm(folder):
    path = folder / "b" / "card.json"
    card = json.loads(path.read_text())
    path.write_text(json.dumps({**card, "provenance": {"source": "\ud800 half"}}))
    assert [entry.is_usable for entry in entries(folder)] == [True, True]
    assert [entry.id for entry in search(entries(folder), ["half"])] == ["model-b"]
