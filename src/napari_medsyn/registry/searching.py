"""Searching the catalogue: substrings of everything that cards say, upper and lower case alike.

All words of a card are gathered once, in lower case, into one text with a line for each
field: `TAG brain; tumour`.  Labels of fields are in upper case, which no search word is, so
that `tag:brain` looks at one line and `brain` at all of them but never at a label.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from napari_medsyn.errors import MedsynError
from napari_medsyn.registry.synonyms import alternatives, implied

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.registry.controls import ControlBase
    from napari_medsyn.registry.entries import Entry

Operator = Literal["and", "or", "xor"]

#: Fields that a word may be restricted to, as in `modality:T1`.
FIELDS: Final = (
    "id", "version", "name", "summary", "kind", "task", "family", "execution", "modality",
    "anatomy", "tag", "control", "reading", "legend", "grid", "metric", "data", "licence",
    "author", "citation", "doi", "link", "use", "limitation", "needs", "year", "origin",
)  # fmt: skip

_TERM: Final = re.compile(rf"({'|'.join(FIELDS)}):(.+)", re.DOTALL)

#: Hashes match words of a to f by chance, and nobody searches for a word within a command.
_NOT_WORDS: Final = re.compile(r"[0-9a-f]{32,}")
_LONGEST_FREE_TEXT: Final = 200


def search(
    entries: Iterable[Entry], words: Sequence[str], operator: Operator = "and"
) -> list[Entry]:
    """The entries whose cards hold the words.

    A word is found anywhere, within other words too; its synonyms are found as whole words.
    `FIELD:WORD` looks in one of `FIELDS` only.  A broken package is found by its id.

    Parameters
    ----------
    entries : of the catalogue.
    words : to look for; a word with spaces in it is looked for as it is.  Without any,
        every entry is found.
    operator : "and": all words; "or": at least one; "xor": exactly one.

    Returns
    -------
    The entries that were found, in the order given.

    Raises
    ------
    MedsynError : there is no such operator.
    """
    terms = [_Term(word) for word in words if word.strip()]
    if operator not in ("and", "or", "xor"):
        raise MedsynError(f"--operator {operator}: is not one of and, or, xor")
    if not terms:
        return list(entries)
    if operator == "and":
        return [e for e in entries if all(term.is_in(_text(e)) for term in terms)]
    if operator == "or":
        return [e for e in entries if any(term.is_in(_text(e)) for term in terms)]
    return [e for e in entries if sum(term.is_in(_text(e)) for term in terms) == 1]


class _Term:
    """One word of a search, with its field and its synonyms."""

    __slots__ = ("_alternatives", "_label", "_word")

    def __init__(self, typed: str) -> None:
        folded = " ".join(typed.casefold().split())
        named = _TERM.fullmatch(folded)
        self._label = f"\n{named[1].upper()} " if named else ""
        self._word = named[2].strip() if named else folded
        self._alternatives = alternatives(self._word)

    def is_in(self, text: str) -> bool:
        """Whether the text of a card has the word, or a synonym of it."""
        if self._label:
            begin = text.find(self._label)
            if begin < 0:
                return False
            text = text[begin + len(self._label) : text.index("\n", begin + 1)]
        if self._word in text:
            return True
        return any(
            other in text and pattern.search(text) is not None
            for other, pattern in self._alternatives
        )


def _text(entry: Entry) -> str:
    return f"\nID {entry.id.casefold()}\n" if entry.facts is None else entry.facts.text


def searched_text(card: ModelCard) -> str:
    """Everything that a card says in words, in lower case, one line for each field.

    Each line is the field's name in upper case, a space, and its values joined by "; ";
    the text begins and ends with a line break.
    """
    lines = []
    for field, values in _fields(card).items():
        said = dict.fromkeys(" ".join(str(value).casefold().split()) for value in values if value)
        if said:
            lines.append(f"{field.upper()} {'; '.join(said)}")
    return "\n" + "\n".join(lines) + "\n"


def _fields(card: ModelCard) -> dict[str, list[Any]]:
    shape = "x".join(map(str, card.grid.shape[:2] if card.grid.dim == "2D" else card.grid.shape))
    return {
        "id": [card.id],
        "version": [card.version],
        "name": [card.name],
        "summary": [card.summary],
        "kind": [card.kind],
        "task": [card.purpose, card.purpose.replace("-", " ")],
        "family": [card.family],
        "execution": [card.execution],
        "modality": [*card.modalities, *implied(card.modalities)],
        "anatomy": list(card.anatomy),
        "tag": list(card.tags),
        "control": [word for control in card.controls for word in _words_of(control)],
        "reading": [w for r in card.readings for w in (r.name, r.label, r.unit, r.help)],
        "legend": [item.name for legend in card.legends.values() for item in legend],
        "grid": [card.grid.dim, card.grid.space, shape],
        "metric": [w for m in card.metrics for w in (m.name, m.extractor, m.data_set, m.note)],
        "data": [w for d in card.training_data for w in (d.name, d.citation, d.licence)],
        "licence": [card.licence],
        "author": list(card.authors),
        "citation": [card.citation],
        "doi": list(card.doi),
        "link": list(card.links),
        "use": [card.intended_use],
        "limitation": list(card.limitations),
        "needs": [card.requires.extra, *card.requires.packages, card.requires.note],
        "year": [card.year],
        "origin": [*_free_text(card.provenance), *_free_text(card.architecture)],
    }


def _words_of(control: ControlBase) -> list[str]:
    categories = [category.label for category in getattr(control, "categories", ())]
    unit = getattr(control, "unit", "")
    return [control.name, control.label, unit, control.help, *categories]


def _free_text(value: Any) -> Iterator[str]:
    """Every short string in a tree of JSON values, hashes left out."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _free_text(item)
    elif (
        isinstance(value, str)
        and len(value) <= _LONGEST_FREE_TEXT
        and not _NOT_WORDS.search(value.lower())
    ):
        yield value
