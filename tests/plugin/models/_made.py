"""Catalogues of made cards: no files, but where a test needs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests._builders import make_scan
from tests._fakes import card_values

from napari_medsyn.plugin.models.rows import HasConsent, Row, compare_rows, list_rows
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.catalogue import Entry, Origin
from napari_medsyn.registry.entries import Digest
from napari_medsyn.scans.study import Study

#: What a card needs to make images of nobody.
FREE: dict[str, Any] = {"inputs": [], "min_inputs": 0, "outputs": ["T1"], "task": "unconditional"}

#: What a card needs to be listed only.
LISTED: dict[str, Any] = {"execution": "none", "files": [], "requires": {"note": "it is huge"}}

#: What a card needs to bring code.
ISOLATED: dict[str, Any] = {
    "execution": "isolated",
    "architecture": {"weights": "weights.safetensors"},
}


def made_card(**changes: Any) -> ModelCard:
    """A valid card of a model that reads one or more of T1, T2, FLAIR."""
    return ModelCard.model_validate(card_values(**changes))


def made_entry(model_id: str = "fake-brain", origin: Origin = "user", **changes: Any) -> Entry:
    """A whole package of the catalogue."""
    card = made_card(id=model_id, **changes)
    return Entry(model_id, Path("/models") / model_id, origin, card)


def broken_entry(model_id: str = "torn", reason: str = "torn: weights are missing") -> Entry:
    """A broken package."""
    return Entry(model_id, Path("/models") / model_id, "user", reason=reason)


def metric(name: str, value: float, direction: str = "lower") -> dict[str, Any]:
    """One figure of a card."""
    return {"name": name, "value": value, "direction": direction, "data_set": "made up", "n": 3}


def many_entries(count: int) -> tuple[Entry, ...]:
    """Entries as the index gives them: their cards are nowhere and are not to be read."""
    digest = Digest.of(made_card(**FREE))
    return tuple(
        Entry(name, Path("/models") / name, "user", digest=replace(digest, id=name))
        for name in (f"m{number}" for number in range(count))
    )


def study_of(*modalities: str) -> Study:
    """A study of small scans on one grid."""
    return Study(tuple(make_scan((4, 5, 6), modality=name) for name in modalities))


def nobody_consents(package: Path, card: ModelCard) -> bool:
    """A user who has trusted nothing."""
    return False


class MadeCatalogue:
    """A catalogue of given entries; `before` is called by every listing, on its thread."""

    def __init__(
        self, entries: Sequence[Entry], before: Callable[[], object] = lambda: None
    ) -> None:
        self.made = list(entries)
        self._before = before

    def entries(self) -> tuple[Entry, ...]:
        self._before()
        return tuple(self.made)


def rows_of(
    *entries: Entry, study: Study | None = None, has_consent: HasConsent = nobody_consents
) -> tuple[Row, ...]:
    """Rows of the entries, compared with the study (by default an empty one)."""
    return compare_rows(list_rows(entries), study or Study(), has_consent)
