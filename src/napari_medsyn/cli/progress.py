"""A bar that shows how far a long command is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_medsyn.exploration.generating_samples import Tell


@contextmanager
def progress_bar() -> Iterator[Tell]:
    """A bar on standard error while the body runs, if somebody is there to see it."""
    if not sys.stderr.isatty():
        yield lambda _done, _total, _phase: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("Starting", total=None)
        yield lambda done, total, phase: bars.update(
            bar, description=phase, completed=done, total=total or None
        )
