"""The encoder's sizes and outputs."""

from __future__ import annotations

import pytest
import torch

from napari_medsyn.models.mssg.encoder import Encoder, EncoderSizes
from napari_medsyn.models.mssg.lattice import LATTICE

SIZES = EncoderSizes((8, 16, 8), 12, 6)


def test_sizes_are_read_off_the_tensors() -> None:
    shapes = {name: tuple(t.shape) for name, t in Encoder(SIZES).state_dict().items()}
    assert EncoderSizes.from_shapes(shapes) == SIZES
    del shapes["head.weight"]
    with pytest.raises(KeyError):
        EncoderSizes.from_shapes(shapes)


def test_a_style_and_a_label_vector_come_out() -> None:
    torch.manual_seed(0)
    encoder = Encoder(SIZES).eval()
    with torch.no_grad():
        style, labels = encoder(torch.rand(2, 1, *LATTICE))
    assert style.shape == (2, 6)
    assert labels.shape == (2, 5)
    assert not torch.equal(style[0], style[1])


def test_widths_that_cannot_be_grouped_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 8"):
        Encoder(EncoderSizes((8, 12), 4, 6))
    with pytest.raises(ValueError, match="multiples of 8"):
        Encoder(EncoderSizes((), 4, 6))
