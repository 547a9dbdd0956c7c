"""Searching the catalogue: substrings of everything that cards say, upper and lower case alike.

All that a card says is gathered once, in lower case, with synonyms; see `Searchable`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from napari_medsyn.errors import MedsynError
from napari_medsyn.registry.suggesting import did_you_mean
from napari_medsyn.registry.synonyms import implied, synonyms

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

#: What looks like a field: "colour:red", but neither "12:30" nor "10.1000/x:y" nor "Note: a"
#: nor an address.
_FIELD_LIKE: Final = re.compile(r"([a-z]+):(?!//)\S.*", re.DOTALL)

#: What begins words with a colon that are found as they are.
_SCHEMES: Final = ("doi", "http", "https", "arxiv", "pmid", "spdx")

#: Hashes match words of a to f by chance, and nobody searches for a word within a command.
_NOT_WORDS: Final = re.compile(r"[0-9a-f]{32,}")
_LONGEST_FREE_TEXT: Final = 200


def search(
    entries: Iterable[Entry], words: Sequence[str], operator: Operator = "and"
) -> list[Entry]:
    """The entries whose cards hold the words.

    A word is found anywhere, within other words too.  A card that has a synonym of it, as a
    whole word, has it as well: who searches for "MRI" does not mean every word with "mr" in it.
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
        raise MedsynError(f"operator {operator!r} is not one of and, or, xor")
    kept = list(entries)
    if operator == "and" or not terms:
        for term in terms:
            # What lacks one word need not be looked through for the next.
            hits = term.hits([entry.words for entry in kept])
            kept = [entry for entry, hit in zip(kept, hits, strict=True) if hit]
        return kept
    cards = [entry.words for entry in kept]
    counts = map(sum, zip(*(term.hits(cards) for term in terms), strict=True))
    most = 1 if operator == "xor" else len(terms)
    return [entry for entry, count in zip(kept, counts, strict=True) if 1 <= count <= most]


def refuse_unknown_fields(words: Iterable[str]) -> None:
    """Refuse a word that can only be meant to look in a field, if there is no such field.

    `search` itself takes any word as it is, since people search while they type.

    Raises
    ------
    MedsynError : names the word's field, those there are, and one that is near.
    """
    for word in words:
        meant = _FIELD_LIKE.fullmatch(word.strip())
        if meant and meant[1] not in (*FIELDS, *_SCHEMES):
            raise MedsynError(
                f"there is no field {meant[1]!r} to search{did_you_mean(meant[1], FIELDS)}; "
                f"fields are {', '.join(FIELDS)}"
            )


@dataclass(frozen=True, slots=True)
class Searchable:
    """The words of one card, in lower case.

    Parameters
    ----------
    words : each word once, for words without spaces: half as long as the text.
    text : a line for each field, between separators: `TAG brain; tumour`.  Names of fields
        are in upper case, which no search word is, so that no word is found in a name.
    """

    words: str
    text: str

    #: Between lines of `text`; itself no white space, so that both are one line of a file.
    SEPARATOR: ClassVar[str] = "\x01"

    @classmethod
    def of(cls, card: ModelCard | str) -> Searchable:
        """The words of a card; of a broken one, of its id."""
        fields = {"id": [card]} if isinstance(card, str) else _fields(card)
        lines, every = [], []
        for field, values in fields.items():
            folded = [_folded(value) for value in values if value]
            every += folded
            lines.append(f"{field.upper()} {'; '.join(dict.fromkeys(folded))}")
        lines.append(f"SYNONYM {'; '.join(synonyms(' ; '.join(every)))}")
        words = dict.fromkeys(word for line in lines for word in line.split()[1:])
        return cls(" ".join(words), f"{cls.SEPARATOR}{cls.SEPARATOR.join(lines)}{cls.SEPARATOR}")


class _Term:
    """One word of a search, with its field if it names one."""

    __slots__ = ("_label", "_word")

    def __init__(self, typed: str) -> None:
        folded = _folded(typed)
        named = _TERM.fullmatch(folded)
        self._label = f"{Searchable.SEPARATOR}{named[1].upper()} " if named else ""
        self._word = named[2].strip() if named else folded

    def hits(self, cards: Sequence[Searchable]) -> list[bool]:
        """For each card, whether it has the word."""
        word = self._word
        if self._label:
            return [self._is_in_field(card.text) for card in cards]
        # Written out, since this is where a search of ten thousand cards spends its time.
        if " " in word:
            return [word in card.text for card in cards]
        return [word in card.words for card in cards]

    def _is_in_field(self, text: str) -> bool:
        begin = text.find(self._label)
        if begin < 0:
            return False
        begin += len(self._label)
        return text.find(self._word, begin, text.index(Searchable.SEPARATOR, begin)) >= 0


def _folded(value: Any) -> str:
    """Lower case, on one line, without separators of ours."""
    return " ".join(str(value).casefold().replace(Searchable.SEPARATOR, " ").split())


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
