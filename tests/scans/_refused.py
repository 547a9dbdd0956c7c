"""One assertion for all readers: a bad file ends in one sentence that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_medsyn.errors import UnusableFile
from napari_medsyn.scans.reading import read_scans


def refused(path: Path, *words: str) -> str:
    """The text with which `path` is refused; one line, the path first, all `words` in it."""
    with pytest.raises(UnusableFile) as caught:
        read_scans(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    for word in words:
        assert word in text, text
    return text
