"""Small texts that table and page share."""

from __future__ import annotations

import html
from typing import Final

#: Points to where a figure is better.
ARROWS: Final = {"higher": "↑", "lower": "↓"}


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


def tooltip(text: str) -> str:
    """A tooltip that shows `text` as it is, in lines: nothing in it is taken for HTML."""
    return f"<qt>{html.escape(text)}</qt>" if text else ""
