"""Libraries that models need: told, never imported for it, and never remembered."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest
from tests._fakes import make_package
from tests.registry._cards import make_entry

from napari_medsyn.errors import UnusableModel
from napari_medsyn.exploration.session import Session
from napari_medsyn.registry import extras, indexing
from napari_medsyn.registry.catalogue import Catalogue
from napari_medsyn.registry.extras import EXTRAS, why_missing

ROOT = Path(__file__).resolve().parents[2]
NEEDS = 'needs monai: pip install "napari-medsyn[monai]"'


@pytest.fixture
def without(monkeypatch):
    """Take a library away, as far as anybody can see."""

    def take(name: str) -> None:
        monkeypatch.delitem(sys.modules, name, raising=False)
        find = extras.find_spec
        monkeypatch.setattr(extras, "find_spec", lambda n: None if n == name else find(n))

    return take


def test_the_table_is_that_of_the_installation():
    with (ROOT / "pyproject.toml").open("rb") as stream:
        offered = tomllib.load(stream)["project"]["optional-dependencies"]
    for extra, modules in EXTRAS.items():
        assert [re.split(r"[<>=]", item)[0] for item in offered[extra]] == list(modules)


def test_what_is_here_is_not_missing(monkeypatch):
    monkeypatch.setitem(EXTRAS, "small", ("json", "wave"))
    assert why_missing("small") == why_missing("") == why_missing("not-ours") == ""


def test_nothing_is_imported_to_find_out(monkeypatch):
    monkeypatch.setitem(EXTRAS, "odd", ("this",))
    assert why_missing("odd") == ""
    assert "this" not in sys.modules


def test_each_library_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(EXTRAS, "small", ("json", "no_such_a", "no_such_b"))
    assert why_missing("small") == (
        'needs no_such_a and no_such_b: pip install "napari-medsyn[small]"'
    )


@pytest.mark.parametrize("digested", [True, False])
def test_a_model_without_its_library_cannot_run(without, digested):
    entry = make_entry(digested=digested, requires={"extra": "monai"})
    assert entry.can_run, "the test environment has MONAI"
    assert entry.why_not == entry.lacks == ""
    without("monai")
    assert (entry.is_usable, entry.can_run, entry.why_not) == (True, False, NEEDS)
    assert (entry.as_dict()["can_run"], entry.as_dict()["why_not"]) == (False, NEEDS)
    assert entry.as_dict()["extra"] == "monai"
    assert make_entry().can_run


def test_a_model_that_is_only_listed_keeps_its_own_reason(without):
    without("monai")
    requires = {"extra": "monai", "note": "its weights are lost"}
    entry = make_entry(execution="none", files=[], requires=requires)
    assert entry.why_not == "its weights are lost"


def test_what_is_missing_is_not_remembered(tmp_path, monkeypatch, without):
    monkeypatch.setenv("MEDSYN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(indexing, "SETTLED_NS", 0)
    make_package(tmp_path / "models" / "a", requires={"extra": "monai"})

    def listed() -> bool:
        (entry,) = Catalogue([(tmp_path / "models", "user")]).entries()
        return entry.can_run

    assert listed()
    with monkeypatch.context() as patch:
        patch.setattr(extras, "find_spec", lambda _name: None)
        patch.delitem(sys.modules, "monai", raising=False)
        assert not listed()
    assert listed()


def test_a_session_says_what_is_missing(tmp_path, without):
    make_package(tmp_path / "a", requires={"extra": "monai"})
    without("monai")
    session = Session(catalogue=Catalogue([(tmp_path, "user")]))
    with pytest.raises(UnusableModel) as caught:
        session.choose_model("fake-brain")
    assert str(caught.value) == f"fake-brain cannot be run: {NEEDS}"
