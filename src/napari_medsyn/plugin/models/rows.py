"""What the table knows of each model: small values, made once and off the screen's thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from napari_medsyn.errors import UnusableModel
from napari_medsyn.exploration.resolving import NotReady, Snapshot, present_modalities, resolve
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.catalogue import Entry
from napari_medsyn.registry.searching import search
from napari_medsyn.scans.study import Study

State = Literal[
    "fits",
    "no scan",
    "fits not",
    "needs consent",
    "needs packages",
    "not checked",
    "listed only",
    "broken",
]

#: What the badge says, best first; the order is that of sorting.
STATE_NAMES: Final[dict[State, str]] = {
    "fits": "Fits",
    "no scan": "Needs a scan",
    "fits not": "Does not fit",
    "needs consent": "Needs consent",
    "needs packages": "Needs packages",
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

    It holds what the table needs and nothing else: of ten thousand models, every list
    that is kept is one more thing for Python's garbage collection to stop the window for.

    Parameters
    ----------
    entry : of the catalogue.
    badge : against the study that was loaded when the row was made.
    name, task, modalities, organ, covariates, dim, licence, origin : columns; "" where a
        broken package does not say.
    size : bytes of the package's files; None where nobody knows.
    inputs : modalities that the model reads.
    metrics : names of the figures on the card.
    has_code : whether the package brings code of its own.
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
    inputs: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    has_code: bool = False

    @property
    def key(self) -> str:
        """The package's folder: two broken packages may share an id, but not a folder."""
        return str(self.entry.package)

    @property
    def is_usable(self) -> bool:
        """Whether a session may choose it now; whether it fits is another question."""
        return self.badge.state in ("fits", "no scan", "fits not") and not self.entry.is_judge


_NOT_CHECKED: Final = Badge("not checked", "Being compared with the study.")
_NEEDS_NOTHING: Final = Badge("fits", "It needs no scan.")
_NEEDS_CONSENT: Final = Badge(
    "needs consent",
    "It brings code of its own, which runs only after your consent: press Trust….",
)


def list_rows(entries: Sequence[Entry]) -> tuple[Row, ...]:
    """A row for each entry, not yet compared with a study; reads no card."""
    imported = {entry.package for entry in search(entries, _IMPORTED, "or")}
    return tuple(_row(entry, entry.package in imported) for entry in entries)


def compare_rows(rows: Sequence[Row], study: Study, has_consent: HasConsent) -> tuple[Row, ...]:
    """The same rows with their badges against `study`; it reads cards, so for a thread."""
    return tuple(replace(row, badge=badge_of(row, study, has_consent)) for row in rows)


def badge_of(row: Row, study: Study, has_consent: HasConsent) -> Badge:
    """Whether the model can be used on `study`; pure but for reading the card and consent."""
    if not row.entry.can_run:
        # Broken or listed only: no study changes that.
        return row.badge
    try:
        return _badge_of_whole(row, study, has_consent)
    except UnusableModel as error:
        # Damaged since it was listed.
        return Badge("broken", str(error))


def _row(entry: Entry, is_imported: bool) -> Row:
    if entry.digest is None:
        facts = entry.facts
    else:
        # Neither `entry.facts` nor a card that was read by the way: both would be kept.
        facts, entry = entry.digest.facts(), replace(entry, given=None)
    if entry.is_embedded:
        origin = "embedded"
    else:
        origin = "imported" if is_imported else "installed"
    if facts is None:
        return Row(entry, Badge("broken", entry.reason), entry.id, origin=origin)
    badge = _NOT_CHECKED
    if facts.execution == "none":
        badge = Badge("listed only", f"It cannot be run here: {facts.why_not.rstrip('.')}.")
    elif entry.lacks:
        badge = Badge("listed only", f"It {entry.lacks}.")
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
        inputs=tuple(facts.inputs),
        metrics=tuple(dict.fromkeys(metric["name"] for metric in facts.metrics)),
        has_code=facts.execution == "isolated",
    )


def _badge_of_whole(row: Row, study: Study, has_consent: HasConsent) -> Badge:
    if row.has_code and not _may_run(row.entry, has_consent):
        return _NEEDS_CONSENT
    if row.has_code and (missing := _missing(row.entry)):
        return Badge("needs packages", f"It needs {missing}, which are not here: press Set up….")
    # The first two are said without the card: nobody waits for the cards of thousands.
    if not row.inputs:
        return _NEEDS_NOTHING
    if not len(study) and row.task not in _FREE_TASKS:
        names = ", ".join(row.inputs)
        return Badge("no scan", f"{row.name} reads {names}. Open a scan, or try the sample.")
    card = row.entry.card
    if card is None:
        return Badge("broken", row.entry.reason)
    resolved = resolve(Snapshot(study=study, package=row.entry.package), card)
    present = present_modalities(study, card, frozenset())
    if isinstance(resolved, NotReady) and not (card.is_judge and len(present) >= card.min_inputs):
        return Badge("fits not" if len(study) else "no scan", resolved.reason)
    if not present:
        return _NEEDS_NOTHING
    return Badge("fits", f"It reads {', '.join(present)} of the study.")


def _may_run(entry: Entry, has_consent: HasConsent) -> bool:
    card = entry.card
    return card is not None and has_consent(entry.package, card)


def _missing(entry: Entry) -> str:
    """Python packages that a package's code needs and that neither Python has; "" for none."""
    from napari_medsyn.models.isolated.environment import interpreter, missing_packages

    card = entry.card
    if card is None:
        return ""
    try:
        interpreter(card)
    except UnusableModel:
        return ", ".join(missing_packages(card.requires.packages))
    return ""
