"""Small weights mean what the large ones did."""

from __future__ import annotations

import pytest
import torch

from napari_medsyn.models.mssg.packing import packed, unpacked


def test_eight_bits_are_within_half_a_step_of_each_row() -> None:
    rows = torch.stack([torch.linspace(-3, 2, 50), torch.linspace(-0.01, 0.03, 50)])
    back = unpacked(packed({"basis": rows}, ["basis"]))["basis"]
    steps = rows.abs().amax(1) / 127
    assert ((back - rows).abs().amax(1) <= steps / 2 + 1e-7).all()
    assert (back - rows).abs().max() > 0


def test_images_use_all_of_a_byte() -> None:
    image = torch.rand(3, 40)
    small = packed({"t1": image}, ["t1"])
    assert small["t1"].dtype == torch.uint8
    assert (unpacked(small)["t1"] - image).abs().max() <= 1 / 255 / 2 + 1e-6


def test_a_vector_is_one_row() -> None:
    share = torch.rand(60)
    small = packed({"white": share}, ["white"])
    assert small["white.scale"].shape == (1,)
    assert (unpacked(small)["white"] - share).abs().max() <= 1 / 255 / 2 + 1e-6


def test_the_rest_is_half_precision_and_masks_stay() -> None:
    tensors = {"w": torch.randn(4, 4), "brain": torch.tensor([True, False])}
    small = packed(tensors, [])
    assert small["w"].dtype == torch.float16
    back = unpacked(small)
    assert back["w"].dtype == torch.float32
    assert torch.equal(back["brain"], tensors["brain"])


def test_a_scale_that_is_missing_or_strange_is_refused() -> None:
    small = packed({"basis": torch.randn(3, 5)}, ["basis"])
    with pytest.raises(KeyError, match=r"basis\.scale"):
        unpacked({"basis": small["basis"]})
    with pytest.raises(ValueError, match="shape"):
        unpacked({**small, "basis.scale": torch.ones(2)})
    with pytest.raises(ValueError, match="scale of nothing"):
        unpacked({"w": torch.randn(2), "w.scale": torch.ones(2)})
