"""Entries of the catalogue: what is known of a package without reading its card again.

Ten thousand cards take seconds to validate.  So an entry carries a digest of its card: the
few things that every list needs, the words that searches look at, and the facts that tables
and rankings show, as text that is decoded when somebody asks for it.  The card itself is
read (and the package checked again) only when it is wanted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from napari_medsyn.registry.card import Kind, ModelCard
from napari_medsyn.registry.extras import why_missing
from napari_medsyn.registry.packages import verify
from napari_medsyn.registry.parts import Execution
from napari_medsyn.registry.searching import Searchable

Origin = Literal["embedded", "user"]

#: Controls that every generator has; they say nothing of what a model can be asked for.
_COMMON_CONTROLS = ("seed", "modality_set")

#: Facts that `Entry.as_dict` shows, and those of them that are lists.
_LISTS = ("inputs", "outputs", "readings", "controls", "anatomy", "tags", "shape")
_SHOWN = (
    "name", "version", "family", "kind", "task", "summary", "execution", "licence", "year",
    "dim", "bytes", "extra", *_LISTS,
)  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """What lists, searches and rankings show of a card; JSON values throughout.

    Parameters
    ----------
    id, version, name, summary, kind, family, execution, licence, year : as on the card.
    task : what the model is for, `ModelCard.purpose`.
    inputs, outputs, anatomy, tags : as on the card.
    readings : names of a judge's readings.
    controls : labels of what a user may turn, without seed and choice of modalities.
    dim, shape : of the model's grid.
    bytes : of all files together, the card not counted.
    metrics : each with name, value, direction, data_set, n, extractor and note.
    extra : of ours that it needs, as on the card; whether that is installed is no fact of
        the card, see `Entry.why_not`.
    why_not : why it is only listed; empty if it is not.
    """

    id: str
    version: str
    name: str
    summary: str
    kind: Kind
    family: str
    task: str
    execution: Execution
    licence: str
    year: int | None
    inputs: list[str]
    outputs: list[str]
    anatomy: list[str]
    tags: list[str]
    readings: list[str]
    controls: list[str]
    dim: str
    shape: list[int]
    bytes: int
    metrics: list[dict[str, Any]]
    extra: str
    why_not: str

    @classmethod
    def of(cls, card: ModelCard) -> Facts:
        """The facts of a card."""
        return cls(
            id=card.id,
            version=card.version,
            name=card.name,
            summary=card.summary,
            kind=card.kind,
            family=card.family,
            task=card.purpose,
            execution=card.execution,
            licence=card.licence,
            year=card.year,
            inputs=list(card.inputs),
            outputs=list(card.outputs),
            anatomy=list(card.anatomy),
            tags=list(card.tags),
            readings=[reading.name for reading in card.readings],
            controls=[c.label for c in card.controls if c.kind not in _COMMON_CONTROLS],
            dim=card.grid.dim,
            shape=list(card.grid.shape),
            bytes=sum(file.bytes for file in card.files),
            metrics=[metric.model_dump(mode="json") for metric in card.metrics],
            extra=card.requires.extra,
            why_not=card.why_not_run,
        )


@dataclass(frozen=True, slots=True)
class Digest:
    """What is kept of a card from one listing to the next.

    Parameters
    ----------
    id, kind, execution, extra : as on the card.
    facts_json : `Facts` as a JSON object.
    words : what searches look at.
    """

    id: str
    kind: Kind
    execution: Execution
    extra: str
    facts_json: bytes
    words: Searchable

    @classmethod
    def of(cls, card: ModelCard) -> Digest:
        """The digest of a card."""
        facts = json.dumps(vars(Facts.of(card))).encode()
        extra = card.requires.extra
        return cls(card.id, card.kind, card.execution, extra, facts, Searchable.of(card))

    def facts(self) -> Facts:
        """The facts, decoded."""
        return Facts(**json.loads(self.facts_json))


@dataclass(frozen=True)
class Entry:
    """One package of the catalogue.

    Parameters
    ----------
    id : the card's id, or the folder's name where the card does not say.
    package : the folder.
    origin : whether it ships with us or lies in the user's data folder.
    given : its card, where it has been read already.
    reason : why it is broken; empty if it is not.
    digest : of its card, where only that is known.
    """

    id: str
    package: Path
    origin: Origin
    given: ModelCard | None = None
    reason: str = ""
    digest: Digest | None = None

    @cached_property
    def card(self) -> ModelCard | None:
        """The card, read now if it has not been; None if the package is broken.

        Raises
        ------
        UnusableModel : the package has been damaged or removed since it was listed.
        """
        if self.given is None and self.digest is not None:
            return verify(self.package, full=False)
        return self.given

    @cached_property
    def facts(self) -> Facts | None:
        """Facts of the card, without reading it again; None if the package is broken."""
        if self.digest is not None:
            return self.digest.facts()
        return None if self.given is None else Facts.of(self.given)

    @cached_property
    def words(self) -> Searchable:
        """What searches look at: of a broken package, its id."""
        if self.digest is not None:
            return self.digest.words
        return Searchable.of(self.given or self.id)

    @property
    def is_usable(self) -> bool:
        """Whether the package is whole; it may still be one that is only listed."""
        return self.given is not None or self.digest is not None

    @property
    def is_embedded(self) -> bool:
        """Whether it ships with us."""
        return self.origin == "embedded"

    @property
    def kind(self) -> Kind | None:
        """Whether it makes images or measures them; None if the package is broken."""
        known = self.digest or self.given
        return known.kind if known is not None else None

    @property
    def is_judge(self) -> bool:
        """Whether it measures images; of a broken package nobody knows."""
        return self.kind == "judge"

    @property
    def can_run(self) -> bool:
        """Whether the model may be chosen, with the libraries that are here now."""
        known = self.digest or self.given
        return known is not None and known.execution != "none" and not self.lacks

    @property
    def lacks(self) -> str:
        """Which library that our own code needs for it is not here now; empty if none.

        A package that brings code is asked for its libraries in its own process.
        """
        if self.digest is not None:
            execution, extra = self.digest.execution, self.digest.extra
        elif self.given is not None:
            execution, extra = self.given.execution, self.given.requires.extra
        else:
            return ""
        return why_missing(extra) if execution == "native" and extra else ""

    @property
    def why_not(self) -> str:
        """Why it cannot be chosen; empty if it can."""
        if self.facts is None:
            return self.reason
        return self.facts.why_not or self.lacks

    def as_dict(self) -> dict[str, Any]:
        """The entry in short, as JSON values; every key is there for a broken one, too."""
        facts = self.facts
        values: dict[str, Any] = (
            dict.fromkeys(_SHOWN)
            if facts is None
            else {name: getattr(facts, name) for name in _SHOWN}
        )
        if facts is None:
            values.update({name: [] for name in _LISTS})
        return {
            "id": self.id,
            "name": values.pop("name"),
            "version": values.pop("version"),
            "family": values.pop("family"),
            "embedded": self.is_embedded,
            "path": str(self.package),
            "folder": str(self.package),
            "origin": self.origin,
            "usable": self.is_usable,
            "reason": self.reason,
            "can_run": self.can_run,
            "why_not": self.why_not,
            **values,
        }
