from __future__ import annotations

from pathlib import Path

import pytest
from tests.registry._cards import make_card, make_entry

from napari_medsyn.registry.entries import Digest, Entry, Facts

SEED = {"kind": "seed", "name": "seed", "label": "Seed"}
AGE = {
    "kind": "continuous", "name": "age", "label": "Age", "minimum": 0, "maximum": 9,
    "default": 5, "step": 1,
}  # fmt: skip


def test_facts_are_those_of_the_card():
    files = [
        {"name": "weights.safetensors", "bytes": 7, "sha256": "0" * 64},
        {"name": "preview.png", "bytes": 5, "sha256": "1" * 64},
    ]
    facts = Facts.of(make_card(files=files, controls=[SEED, AGE], year=2024))
    assert (facts.id, facts.version, facts.bytes, facts.year) == ("fake-brain", "1.2.0", 12, 2024)
    assert (facts.controls, facts.task, facts.dim) == (["Age"], "imputation", "2D axial")
    assert facts.metrics[0]["value"] == 25.0
    assert facts.why_not == ""


def test_a_digest_gives_the_facts_back():
    card = make_card()
    assert Digest.of(card).facts() == Facts.of(card)


@pytest.mark.parametrize("digested", [True, False])
def test_an_entry_says_the_same_with_a_digest_or_a_card(digested):
    entry = make_entry(digested=digested)
    shown = entry.as_dict()
    assert shown["id"] == "fake-brain"
    assert (shown["name"], shown["family"], shown["embedded"]) == ("Fake brain", "fake", False)
    assert (shown["path"], shown["usable"]) == ("/models/fake-brain", True)
    assert (entry.kind, entry.is_judge, entry.can_run, entry.why_not) == (
        "generator", False, True, "",
    )  # fmt: skip


def test_a_model_that_is_only_listed_says_why():
    entry = make_entry(execution="none", files=[], requires={"note": "its weights are lost"})
    assert (entry.is_usable, entry.can_run) == (True, False)
    assert entry.why_not == entry.as_dict()["why_not"] == "its weights are lost"
    assert entry.as_dict()["reason"] == ""


def test_a_broken_package_has_every_key_and_the_reason():
    torn = Entry("torn", Path("/models/torn"), "embedded", reason="torn: it is")
    shown = torn.as_dict()
    assert set(shown) == set(make_entry().as_dict())
    assert (shown["reason"], shown["why_not"], shown["usable"]) == ("torn: it is",) * 2 + (False,)
    assert (shown["inputs"], shown["name"], shown["embedded"]) == ([], None, True)
    assert (torn.card, torn.facts, torn.can_run, torn.is_judge) == (None, None, False, False)
