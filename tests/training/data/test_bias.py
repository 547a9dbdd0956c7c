from __future__ import annotations

import numpy as np
import pytest
from tests.training.data._made import ball
from training.data.bias import ORDER, BiasFields, estimate, estimate_all

from napari_medsyn.errors import UnusableFile

SHAPE = (50, 60, 48)


@pytest.fixture(scope="module")
def head():
    """Two tissues in shells, a known smooth field, 2 % noise."""
    rng = np.random.default_rng(3)
    brain = ball(SHAPE, 23)
    distance = np.sqrt(sum((g - (n - 1) / 2) ** 2 for g, n in
                           zip(np.indices(SHAPE), SHAPE, strict=True)))  # fmt: skip
    white = (distance % 8) < 4
    tissue = np.where(white, 200.0, 140.0)
    x, y, _ = (2 * (g / (n - 1)) - 1 for g, n in zip(np.indices(SHAPE), SHAPE, strict=True))
    field = np.exp(0.25 * x - 0.15 * y**2)
    volume = tissue * field * (1 + 0.02 * rng.standard_normal(SHAPE)) * brain
    return volume, brain, white & brain, field


def variation(values):
    return values.std() / values.mean()


def test_a_known_field_is_found(head):
    volume, brain, white, field = head
    found = BiasFields(estimate(volume, brain)[None], brain[None]).field(0)
    rest = np.log(found / field)[brain]
    # 25 % to either side were put in; what is left is about a tenth of it.
    assert np.log(field)[brain].std() > 0.1
    assert rest.std() < 0.025
    assert variation((volume / found)[white]) < 0.35 * variation(volume[white])


def test_without_a_field_little_is_changed(head):
    volume, brain, _, field = head
    found = BiasFields(estimate(volume / field, brain)[None], brain[None]).field(0)
    assert np.log(found)[brain].std() < 0.02


def test_the_field_is_1_outside_the_brain_s_box(head):
    volume, brain, *_ = head
    found = BiasFields(estimate(volume, brain)[None], brain[None]).field(0)
    assert found[0, 0, 0] == 1
    assert found.dtype == np.float32


def test_too_little_brain_is_refused(head):
    volume, *_ = head
    with pytest.raises(ValueError, match="too few"):
        estimate(volume, ball(SHAPE, 5))


def test_fields_made_before_are_read(head, tmp_path, monkeypatch):
    volume, brain, *_ = head
    volumes, brains = volume.astype(np.uint8)[None], brain[None]
    first = estimate_all(volumes, brains, tmp_path)
    assert first.shape == (1, *ORDER)
    monkeypatch.setattr("training.data.bias.estimate", lambda *_: pytest.fail("made again"))
    assert np.array_equal(estimate_all(volumes, brains, tmp_path), first)
    assert estimate_all(volumes[:0], brains[:0], tmp_path).shape == (0, *ORDER)


def test_fields_of_other_voxels_or_settings_are_never_read(head, tmp_path, monkeypatch):
    volume, brain, *_ = head
    volumes, brains = volume.astype(np.uint8)[None], brain[None]
    first = estimate_all(volumes, brains, tmp_path)
    one_less = brains.copy()
    one_less[tuple(np.argwhere(brains)[0])] = False
    rounded = volumes // 4 * 4
    asked = []
    monkeypatch.setattr("training.data.bias.estimate", lambda *_: asked.append(1) or first[0])
    for v, b in ((rounded, brains), (volumes, one_less), (volumes, brains)):
        estimate_all(v, b, tmp_path)
    assert len(asked) == 2
    monkeypatch.setattr("training.data.bias.ITERATIONS", 11)
    estimate_all(volumes, brains, tmp_path)
    assert len(asked) == 3


def test_a_damaged_cache_is_named(head, tmp_path):
    volume, brain, *_ = head
    volumes, brains = volume.astype(np.uint8)[None], brain[None]
    estimate_all(volumes, brains, tmp_path)
    (stored,) = tmp_path.glob("bias/*.npy")
    for damage in (b"", b"PK\x03\x04 no", stored.read_bytes()[:-1]):
        stored.write_bytes(damage)
        with pytest.raises(UnusableFile, match=r"damaged cache.*delete it"):
            estimate_all(volumes, brains, tmp_path)
    np.save(stored, np.zeros((2, 2, 2), np.float32))
    with pytest.raises(UnusableFile, match=r"damaged cache \(shape \(2, 2, 2\)\); delete it"):
        estimate_all(volumes, brains, tmp_path)
