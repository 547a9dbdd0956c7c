"""Sizes as people write them, and tooltips that show what they are given."""

from __future__ import annotations

import pytest

from napari_medsyn.plugin.models.rows import STATE_NAMES
from napari_medsyn.plugin.models.texts import SIGNS, size_text
from napari_medsyn.plugin.widgets import tooltip


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, ""),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (11_936_000, "11.9 MB"),
        (250_000_000, "250 MB"),
        (2_100_000_000, "2.1 GB"),
        (3_000_000_000_000, "3000 GB"),
    ],
)
def test_sizes(count: int | None, text: str) -> None:
    assert size_text(count) == text


def test_a_tooltip_shows_markup_as_text() -> None:
    assert tooltip("<b>a</b> & b") == "<qt>&lt;b&gt;a&lt;/b&gt; &amp; b</qt>"
    assert tooltip("") == ""


def test_every_state_has_a_sign_of_its_own() -> None:
    assert set(SIGNS) == set(STATE_NAMES)
    assert len({sign for sign, _ in SIGNS.values()}) == len(SIGNS)
