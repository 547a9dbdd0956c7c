"""Reading entries whose fields hold what they please: every surprise becomes a note.

medigan's registry is filled in by its contributors.  Numbers come as text, one field comes
as three types, lists come as null.  A reader gives what can be used and notes the rest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


class Reader:
    """One level of an entry.

    Parameters
    ----------
    value : what should be an object of JSON.
    place : of it in the entry, for the notes; "" for the entry itself.
    notes : sentences about what could not be taken over, added to.
    """

    def __init__(self, value: Any, place: str, notes: list[str]) -> None:
        self.place = place
        self.notes = notes
        self._value: Mapping[str, Any] = {}
        if isinstance(value, dict):
            self._value = value
        elif value is not None:
            self.note("", f"is {_kind(value)} where an object was expected")

    def __contains__(self, key: str) -> bool:
        return key in self._value

    def note(self, key: str, sentence: str) -> None:
        """Note something about a field."""
        where = ".".join(part for part in (self.place, key) if part)
        self.notes.append(f"{where} {sentence}" if where else sentence)

    def raw(self, key: str) -> Any:
        """The field as it is; None if it is missing."""
        return self._value.get(key)

    def keys(self) -> list[str]:
        """Names of the fields."""
        return list(self._value)

    def part(self, key: str) -> Reader:
        """A field that is an object; an empty one if it is missing."""
        where = ".".join(part for part in (self.place, key) if part)
        return Reader(self._value.get(key), where, self.notes)

    def text(self, key: str) -> str:
        """A field as text, "" if there is none; numbers are taken as they are written."""
        value = self._value.get(key)
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            self.note(key, f"is {_kind(value)} where text was expected")
            return ""
        return " ".join(str(value).split())

    def texts(self, key: str) -> list[str]:
        """A field that is a list of texts, each once, without empty ones."""
        value = self._value.get(key)
        if value is None:
            return []
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list):
            self.note(key, f"is {_kind(value)} where a list was expected")
            return []
        found = []
        for item in value:
            if isinstance(item, str):
                found.append(" ".join(item.split()))
            else:
                self.note(key, f"holds {_kind(item)} where text was expected")
        return [item for item in dict.fromkeys(found) if item]

    def number(self, key: str) -> float | None:
        """A field as a finite number; one that is written as text is noted."""
        value = self._value.get(key)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            self.note(key, f"is {_kind(value)} where a number was expected")
            return None
        try:
            number = float(value)
        except ValueError:
            self.note(key, f"is {value!r} where a number was expected")
            return None
        if not math.isfinite(number):
            self.note(key, f"is {number}, which is no figure")
            return None
        if isinstance(value, str):
            self.note(key, f"is the text {value!r}; taken as a number")
        return number

    def whole(self, key: str) -> int | None:
        """A field as a positive whole number."""
        number = self.number(key)
        if number is None:
            return None
        if number != int(number) or number < 1:
            self.note(key, f"is {number:g} where a positive whole number was expected")
            return None
        return int(number)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return "nothing" if value is None else names.get(type(value), "a number")
