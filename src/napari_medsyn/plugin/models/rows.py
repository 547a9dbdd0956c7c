"""What the table knows of each model: small values, made once and off the screen's thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from napari_medsyn.exploration.resolving import (
    NotReady,
    Snapshot,
    needs_no_scan,
    present_modalities,
    resolve,
)
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.catalogue import Entry
from napari_medsyn.scans.study import Study

State = Literal["fits", "fits not", "no scan", "needs consent", "listed only", "broken"]

#: What the badge says, best first; the order is that of sorting.
STATE_NAMES: Final[dict[State, str]] = {
    "fits": "Fits",
    "no scan": "Needs a scan",
    "fits not": "Does not fit",
    "needs consent": "Needs consent",
    "listed only": "Listed only",
    "broken": "Broken",
}

#: Controls that say what goes in and out, or fix the noise; all others describe the image.
_NOT_COVARIATES: Final = ("modality_set", "seed")

#: Whether the code of a package may run: its folder and card.
HasConsent = Callable[[Path, ModelCard], bool]


@dataclass(frozen=True, slots=True)
class Badge:
    """Whether a model can be used now, and one sentence on why or why not."""

    state: State
    sentence: str


@dataclass(frozen=True, slots=True)
class Row:
    """One model of the catalogue, in the words of the table.

    Parameters
    ----------
    entry : of the catalogue.
    badge : against the study that was loaded when the row was made.
    name, task, modalities, organ, covariates, dim, licence, origin : columns; "" where a
        broken package does not say.
    weights_bytes : size of the weights; None where nobody knows.
    """

    entry: Entry
    badge: Badge
    name: str
    task: str = ""
    modalities: tuple[str, ...] = ()
    organ: str = ""
    covariates: str = ""
    dim: str = ""
    weights_bytes: int | None = None
    licence: str = ""
    origin: str = ""

    @property
    def key(self) -> str:
        """The package's folder: two broken packages may share an id, but not a folder."""
        return str(self.entry.package)


def make_rows(entries: tuple[Entry, ...], study: Study, has_consent: HasConsent) -> tuple[Row, ...]:
    """A row for each entry; slow for thousands, so for a worker thread."""
    return tuple(make_row(entry, study, has_consent) for entry in entries)


def make_row(entry: Entry, study: Study, has_consent: HasConsent) -> Row:
    """The row of one entry."""
    card, badge = entry.card, badge_of(entry, study, has_consent)
    origin = _origin(entry)
    if card is None:
        return Row(entry, badge, entry.id, origin=origin)
    return Row(
        entry=entry,
        badge=badge,
        name=card.name,
        task=card.purpose,
        modalities=card.modalities,
        organ=", ".join(card.anatomy),
        covariates=", ".join(covariates(card)),
        dim="3D" if card.grid.dim == "3D" else "2D",
        weights_bytes=weights_bytes(card),
        licence=card.licence,
        origin=origin,
    )


def covariates(card: ModelCard) -> tuple[str, ...]:
    """Labels of the controls that change the image, in the card's order."""
    return tuple(c.label for c in card.controls if c.kind not in _NOT_COVARIATES)


def weights_bytes(card: ModelCard) -> int | None:
    """Size of the weights; for a card that is only listed the sum of its weight files."""
    if card.execution != "none":
        return card.weights.bytes
    sizes = [file.bytes for file in card.files if file.name.endswith(".safetensors")]
    return sum(sizes) or None


def badge_of(entry: Entry, study: Study, has_consent: HasConsent) -> Badge:
    """Whether the model can be used on `study`; pure but for the question of consent."""
    card = entry.card
    if card is None:
        return Badge("broken", entry.reason)
    if not entry.can_run:
        return Badge("listed only", f"It cannot be run here: {entry.why_not}")
    if card.execution == "isolated" and not has_consent(entry.package, card):
        return Badge(
            "needs consent",
            "It brings code of its own, which runs only after your consent: press Trust….",
        )
    if not len(study) and not needs_no_scan(card):
        return Badge(
            "no scan", f"{card.name} reads {_reads(card)}. Open a scan, or try the sample."
        )
    resolved = resolve(Snapshot(study=study, package=entry.package), card)
    present = present_modalities(study, card, frozenset())
    if isinstance(resolved, NotReady) and not (card.is_judge and len(present) >= card.min_inputs):
        return Badge("fits not", resolved.reason)
    if not present:
        return Badge("fits", "It needs no scan.")
    return Badge("fits", f"It reads {', '.join(present)} of the study.")


def _reads(card: ModelCard) -> str:
    names = ", ".join(card.inputs)
    return names if card.min_inputs == len(card.inputs) else f"{card.min_inputs} or more of {names}"


def _origin(entry: Entry) -> str:
    """Embedded, installed, or the registry that it was imported from."""
    if entry.origin == "embedded":
        return "embedded"
    source = entry.card.provenance.get("registry") if entry.card is not None else None
    return f"imported ({source})" if isinstance(source, str) and source else "installed"
