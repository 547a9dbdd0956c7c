"""What the tests of all readers share: spoil a file, and see it refused in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
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


def edit(path: Path, change: Callable[[pydicom.Dataset], Any]) -> None:
    """Change a DICOM file in place."""
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)
