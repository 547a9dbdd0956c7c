"""What the table knows of each model: small values, made once and off the screen's thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from napari_medsyn.errors import UnusableModel
from napari_medsyn.exploration.resolving import NotReady, Snapshot, present_modalities, resolve
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.catalogue import Entry, Facts
from napari_medsyn.registry.searching import search
from napari_medsyn.scans.study import Study

State = Literal[
    "fits", "no scan", "fits not", "needs consent", "not checked", "listed only", "broken"
]

#: What the badge says, best first; the order is that of sorting.
STATE_NAMES: Final[dict[State, str]] = {
    "fits": "Fits",
    "no scan": "Needs a scan",
    "fits not": "Does not fit",
    "needs consent": "Needs consent",
    "not checked": "Not checked",
    "listed only": "Listed only",
    "broken": "Broken",
}

#: Tasks whose models may do without a scan even if they could read one.
_FREE_TASKS: Final = ("unconditional", "conditional")

#: What the provenance of a card says that an importer has made, as a search.
_IMPORTED: Final = ("origin:models import", "origin:medigan")

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
    size : bytes of the package's files; None where nobody knows.
    """

    entry: Entry
    badge: Badge
    name: str
    task: str = ""
    modalities: tuple[str, ...] = ()
    organ: str = ""
    covariates: str = ""
    dim: str = ""
    size: int | None = None
    licence: str = ""
    origin: str = ""

    @property
    def key(self) -> str:
        """The package's folder: two broken packages may share an id, but not a folder."""
        return str(self.entry.package)

    @property
    def is_usable(self) -> bool:
        """Whether a session may choose it now; whether it fits is another question."""
        return self.badge.state in ("fits", "no scan", "fits not") and not self.entry.is_judge


def make_rows(
    entries: Sequence[Entry], study: Study | None, has_consent: HasConsent
) -> tuple[Row, ...]:
    """A row for each entry, for a worker thread: with a study it reads cards.

    Parameters
    ----------
    entries : of the catalogue.
    study : what models are to fit; None to leave that open, which is fast.
    has_consent : whether the code of a package may run.
    """
    imported = {entry.package for entry in search(entries, _IMPORTED, "or")}
    return tuple(
        make_row(entry, study, has_consent, entry.package in imported) for entry in entries
    )


def make_row(
    entry: Entry, study: Study | None, has_consent: HasConsent, is_imported: bool = False
) -> Row:
    """The row of one entry."""
    facts, badge = entry.facts, badge_of(entry, study, has_consent)
    if entry.is_embedded:
        origin = "embedded"
    else:
        origin = "imported" if is_imported else "installed"
    if facts is None:
        return Row(entry, badge, entry.id, origin=origin)
    return Row(
        entry=entry,
        badge=badge,
        name=facts.name,
        task=facts.task,
        modalities=tuple(dict.fromkeys([*facts.inputs, *facts.outputs])),
        organ=", ".join(facts.anatomy),
        covariates=", ".join(facts.controls),
        dim="3D" if facts.dim == "3D" else "2D",
        size=facts.bytes or None,
        licence=facts.licence,
        origin=origin,
    )


def badge_of(entry: Entry, study: Study | None, has_consent: HasConsent) -> Badge:
    """Whether the model can be used on `study`; pure but for reading the card and consent."""
    facts = entry.facts
    if facts is None:
        return Badge("broken", entry.reason)
    if not entry.can_run:
        return Badge("listed only", f"It cannot be run here: {entry.why_not}.".replace("..", "."))
    if study is None:
        return Badge("not checked", "Being compared with the study.")
    try:
        return _badge_of_whole(entry, facts, study, has_consent)
    except UnusableModel as error:
        # Damaged since it was listed.
        return Badge("broken", str(error))


def _badge_of_whole(entry: Entry, facts: Facts, study: Study, has_consent: HasConsent) -> Badge:
    if facts.execution == "isolated" and not _may_run(entry, has_consent):
        return Badge(
            "needs consent",
            "It brings code of its own, which runs only after your consent: press Trust….",
        )
    # The first two are said without the card: nobody waits for the cards of thousands.
    if not facts.inputs:
        return Badge("fits", "It needs no scan.")
    if not len(study) and facts.task not in _FREE_TASKS:
        names = ", ".join(facts.inputs)
        return Badge("no scan", f"{facts.name} reads {names}. Open a scan, or try the sample.")
    card = entry.card
    if card is None:
        return Badge("broken", entry.reason)
    resolved = resolve(Snapshot(study=study, package=entry.package), card)
    present = present_modalities(study, card, frozenset())
    if isinstance(resolved, NotReady) and not (card.is_judge and len(present) >= card.min_inputs):
        return Badge("fits not" if len(study) else "no scan", resolved.reason)
    if not present:
        return Badge("fits", "It needs no scan.")
    return Badge("fits", f"It reads {', '.join(present)} of the study.")


def _may_run(entry: Entry, has_consent: HasConsent) -> bool:
    card = entry.card
    return card is not None and has_consent(entry.package, card)
