"""A model's citation in BibTeX: the model itself, and the work it comes from."""

from __future__ import annotations

import re
from typing import Final

from napari_medsyn.registry.card import ModelCard

#: What LaTeX reads as something else than the character.
_SPECIAL: Final = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: rf"\{character}" for character in "&%$#_{}"},
}


def bibtex(card: ModelCard) -> str:
    """BibTeX of a model, for a paper that uses it.

    The first entry is the model itself, with version, licence and hash of the weights, so
    that a reader can tell which one was used.  If the card's citation is BibTeX already, it
    follows as it is; if it is prose, it is the entry's note.
    """
    is_entry = re.match(r"\s*@\w+\s*\{", card.citation) is not None
    fields = {
        "author": " and ".join(_author(name) for name in card.authors),
        # Braces keep the capitals of names that styles would lower.
        "title": f"{{{_escaped(card.name)}}}",
        "year": str(card.year) if card.year else "",
        "version": _escaped(card.version),
        "howpublished": _escaped(f"Model {card.id}, licence {card.licence}"),
        # Verbatim: styles take what stands in these two as it is.
        "doi": card.doi[0] if card.doi else "",
        "url": card.links[0] if card.links else "",
        "note": " ".join(_notes(card, is_entry)),
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    entry = "\n".join([f"@misc{{{_key(card)},", *lines, "}"])
    return f"{entry}\n\n{card.citation.strip()}\n" if is_entry else f"{entry}\n"


def _notes(card: ModelCard, is_entry: bool) -> list[str]:
    notes = [f"{_escaped(card.citation.strip().rstrip('.'))}."] if card.citation.strip() else []
    if is_entry:
        notes = []
    if len(card.doi) > 1:
        notes.append(f"See also {', '.join(_escaped(doi) for doi in card.doi[1:])}.")
    if card.execution != "none":
        notes.append(f"SHA-256 {card.weights_sha256}.")
    return notes


def _key(card: ModelCard) -> str:
    return f"{card.id}-{card.version}"


def _author(name: str) -> str:
    """A person as it is; a body in braces, so that its last word is not taken for a surname."""
    escaped = _escaped(name)
    is_body = " " not in name or " and " in name or name.lower().startswith("the ")
    return f"{{{escaped}}}" if is_body else escaped


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(character, character) for character in " ".join(text.split()))
