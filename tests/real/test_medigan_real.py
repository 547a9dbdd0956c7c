"""medigan's own registry (`../shared/reference/medigan/global.json`), all of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.catalogue import Catalogue
from napari_medsyn.registry.importers.medigan import import_registry
from napari_medsyn.registry.packages import verify
from napari_medsyn.registry.ranking import rank

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def registry(shared: Path) -> Path:
    path = shared / "reference" / "medigan" / "global.json"
    if not path.is_file():
        pytest.skip(f"no {path}")
    return path


@pytest.fixture(scope="module")
def entries(registry: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(registry.read_text(encoding="utf-8"))
    return value


@pytest.fixture(scope="module")
def out(registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("medigan") / "cards"
    notes = import_registry(registry, folder)
    (folder.parent / "notes.json").write_text(json.dumps(notes))
    return folder


@pytest.fixture(scope="module")
def cards(out: Path) -> dict[str, ModelCard]:
    """Every card by medigan's own id."""
    found = [verify(package) for package in sorted(out.iterdir())]
    return {card.provenance["medigan_id"]: card for card in found}


def number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def test_every_entry_is_a_card(entries: dict[str, Any], cards: dict[str, ModelCard]) -> None:
    assert len(entries) == 23
    assert set(cards) == set(entries)
    assert all(card.execution == "none" for card in cards.values())
    links = {i: e["execution"]["package_link"] for i, e in entries.items()}
    assert all(links[i] in card.why_not_run for i, card in cards.items())


def test_the_figures_are_those_of_the_registry(
    entries: dict[str, Any], cards: dict[str, ModelCard]
) -> None:
    seen = 0
    for medigan_id, entry in entries.items():
        given = entry["selection"]["performance"]
        for metric in cards[medigan_id].metrics:
            if metric.name not in ("FID", "rFID"):
                continue
            key = "FID" if metric.extractor != "RadImageNet" else "FID_RADIMAGENET"
            key += "_ratio" if metric.name == "rFID" else ""
            assert metric.value == number(given[key])
            seen += 1
    stored = [
        v
        for e in entries.values()
        for k, v in e["selection"]["performance"].items()
        if k in ("FID", "FID_ratio", "FID_RADIMAGENET", "FID_RADIMAGENET_ratio") and v is not None
    ]
    assert seen == len(stored)


@pytest.mark.parametrize(("metric", "sign"), [("FID", 1), ("rFID", -1)])
def test_ranking_knows_which_way_is_better(
    entries: dict[str, Any], out: Path, metric: str, sign: int
) -> None:
    key = {"FID": "FID", "rFID": "FID_ratio"}[metric]
    values = {i: number(e["selection"]["performance"].get(key)) for i, e in entries.items()}
    best = min((i for i in values if not math.isnan(values[i])), key=lambda i: sign * values[i])

    ranked = rank(Catalogue([(out, "user")]).entries(), metric)

    assert len(ranked) == 23
    assert ranked[0].entry.card is not None
    assert ranked[0].entry.card.provenance["medigan_id"] == best
    missing = [place for place in ranked if place.score is None]
    assert len(missing) == sum(map(math.isnan, values.values()))
    assert ranked[-len(missing) :] == missing


def test_every_latent_is_within_reach(entries: dict[str, Any], cards: dict[str, ModelCard]) -> None:
    sizes = {
        i: e["execution"]["generate_method"]["input_latent_vector_size"]
        for i, e in entries.items()
        if "input_latent_vector_size" in e["execution"]["generate_method"]
    }
    reach = {
        i: len(control.directions)
        for i, card in cards.items()
        for control in card.controls
        if control.kind == "latent"
    }

    assert len(sizes) == 12
    assert reach == sizes


def test_the_two_conditional_ones_and_the_ageing_heart_have_their_controls(
    cards: dict[str, ModelCard],
) -> None:
    for medigan_id, card in cards.items():
        names = {control.name for control in card.controls}
        assert ("condition" in names) == medigan_id.startswith(("00008", "00012"))
        assert ("aging_input" in names) == medigan_id.startswith("00022")


def test_licences_are_named_only_where_they_are_clear(
    entries: dict[str, Any], cards: dict[str, ModelCard]
) -> None:
    for medigan_id, entry in entries.items():
        said, licence = entry["selection"]["license"], cards[medigan_id].licence
        if said == "MIT":
            assert licence == "MIT"
        elif said:
            assert licence.startswith("LicenseRef-")
        else:
            assert licence == "NOASSERTION"


def test_what_is_broken_is_noted(out: Path) -> None:
    notes = json.loads((out.parent / "notes.json").read_text())

    for part in (
        "00020_PGGAN_CHEST_XRAY: execution.image_size is",
        "the text '224'",
        "the text '0.797'",
    ):
        assert any(part in note for note in notes)
    assert not any("left out: " in note for note in notes)
