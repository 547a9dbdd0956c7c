"""Small texts and signs that table and page share."""

from __future__ import annotations

from typing import Final

from napari_medsyn.plugin.models.rows import State
from napari_medsyn.plugin.widgets import COLOURS

#: Points to where a figure is better.
ARROWS: Final = {"higher": "↑", "lower": "↓"}

#: Each state's sign and colour: not everyone tells red from green.
SIGNS: Final[dict[State, tuple[str, str]]] = {
    "fits": ("✓", COLOURS["good"]),
    "no scan": ("○", COLOURS["note"]),
    "fits not": ("–", COLOURS["note"]),
    "needs consent": ("?", COLOURS["note"]),
    "needs packages": ("+", COLOURS["note"]),
    "not checked": ("…", "#8a8a8a"),
    "listed only": ("i", "#8a8a8a"),
    "broken": ("✕", COLOURS["bad"]),
}


def size_text(count: int | None) -> str:
    """Bytes in the largest unit that leaves a number above 1; "" if not known."""
    if count is None:
        return ""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
