from __future__ import annotations

import lzma

import numpy as np
import pytest
from scipy import ndimage
from tests.training.data._made import ball
from training.data.coding import Damaged, decode, encode, expand, shrink

SHAPE = (49, 53, 46)


@pytest.fixture(scope="module")
def smooth():
    noise = np.random.default_rng(5).standard_normal(SHAPE)
    return np.round(300 + 2000 * ndimage.gaussian_filter(noise, 3)).clip(0).astype(np.int16)


@pytest.mark.parametrize("shape", [SHAPE, (1, 1, 1), (16, 3, 17)])
def test_what_comes_out_is_what_went_in(shape):
    rng = np.random.default_rng(1)
    volume = rng.integers(0, 1 << 15, shape)
    mask = rng.random(shape) < 0.7
    assert np.array_equal(decode(encode(volume, mask), mask), volume * mask)


def test_smooth_volumes_get_small(smooth):
    mask = ball(SHAPE, 22)
    data = encode(smooth, mask)
    assert np.array_equal(decode(data, mask), smooth * mask)
    assert len(data) < 0.75 * len(lzma.compress(smooth[mask].tobytes()))


def test_nothing_at_all():
    mask = np.zeros((4, 5, 6), bool)
    assert not decode(encode(np.ones((4, 5, 6), int), mask), mask).any()


@pytest.mark.parametrize("value", [-1, 1 << 15])
def test_values_that_would_not_stay_exact_are_refused(value):
    volume = np.full((3, 3, 3), value)
    with pytest.raises(ValueError, match="must be 0 to"):
        encode(volume, np.ones((3, 3, 3), bool))


def test_another_mask_is_noticed(smooth):
    mask = ball(SHAPE, 14)
    with pytest.raises(Damaged, match="voxels for a mask"):
        decode(encode(smooth, mask), ball(SHAPE, 13))


@pytest.mark.parametrize("data", [b"", b"\x00" * 20])
def test_other_bytes_are_noticed(data):
    with pytest.raises(Damaged):
        decode(data, np.zeros((3, 3, 3), bool))


def test_expanding_stops_at_the_size_that_was_promised():
    bomb = shrink(bytes(1 << 20))
    with pytest.raises(Damaged, match="or more in place of 100"):
        expand(bomb, 100)
