"""What somebody may have meant who wrote a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

#: Names that are told at most; a catalogue may have thousands.
MOST_NAMES: Final = 10

#: How much two names must have in common (2 x letters shared / letters of both): a slip of
#: the keyboard, but not KID for FID, which is another metric.
_ALIKE: Final = 0.7


def near(name: str, known: Iterable[str]) -> list[str]:
    """Up to three of `known` that look like `name`, in capitals or not, the nearest first.

    A name that holds the whole of `name` counts as near, too.
    """
    folded = {word.casefold(): word for word in known}
    wanted = name.casefold()
    found = difflib.get_close_matches(wanted, folded, n=3, cutoff=_ALIKE)
    if len(wanted) > 2:
        found += [word for word in folded if wanted in word and word not in found]
    return [folded[word] for word in found[:3]]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question to end a sentence with, as in `; did you mean PSNR?`; "" if nothing is near."""
    found = near(name, known)
    return f"; did you mean {' or '.join(found)}?" if found else ""


def some_of(known: Iterable[str], *, separator: str = ", ", rest: str = "") -> str:
    """The first `MOST_NAMES` names and how many more there are; "none" without any.

    Parameters
    ----------
    known : the names.
    separator : between them.
    rest : where the others are to be found, such as a command.
    """
    names = list(known)
    said = separator.join(names[:MOST_NAMES])
    if len(names) <= MOST_NAMES:
        return said or "none"
    more = f" and {len(names) - MOST_NAMES} more"
    return f"{said} …{more}{f'; {rest}' if rest else ''}"
