"""Crops on the grid of the lesion judge; what the judge finds is its own affair."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_medsyn.evaluation import crop_lesions
from napari_medsyn.evaluation.crop_lesions import ORIGIN, SPACING, judge_lesions
from napari_medsyn.evaluation.crops import LOW, SHAPE
from napari_medsyn.scans.geometry import Grid

#: A grid of 1 mm whose first voxel is at (-40, -50, -30) mm.
FINE = Grid(
    (60, 70, 80), np.array([[1.0, 0, 0, -40], [0, 1, 0, -50], [0, 0, 1, -30], [0, 0, 0, 1]])
)


@pytest.fixture
def seen(monkeypatch):
    """A judge for whom everything brighter than 0.5 is a lesion; gives what it was shown."""
    shown = []

    def segment(volumes):
        shown.append(volumes)
        return next(iter(volumes.values())) > 0.5

    card = SimpleNamespace(grid=SimpleNamespace(grid=lambda: FINE))
    monkeypatch.setattr(
        crop_lesions, "_judge", lambda _device: SimpleNamespace(card=card, segment=segment)
    )
    return shown


def world(axis):
    """(80, 100, 84) mm of each voxel of the crop along one axis."""
    along = ORIGIN[axis] + SPACING * (LOW[axis] + np.arange(SHAPE[axis]))
    shape = [1, 1, 1]
    shape[axis] = -1
    return np.broadcast_to(along.reshape(shape), SHAPE).astype(np.float32)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_every_millimetre_is_where_it_was(seen, axis):
    judge_lesions({"T1": world(axis)[None]}, np.ones((1, *SHAPE), bool))
    expected = FINE.affine[axis, 3] + np.arange(FINE.shape[axis])
    shown = np.moveaxis(seen[0]["T1"], axis, -1)
    np.testing.assert_allclose(shown, np.broadcast_to(expected, shown.shape), atol=1e-4)


def test_a_load_is_what_is_bright_in_the_brain_in_ml(seen):
    crop = np.zeros((1, *SHAPE), np.float32)
    crop[0, 30:50, 40:60, 30:50] = 1  # 40 mm cubed, 64 ml
    brain = np.zeros(crop.shape, bool)
    brain[0, 20:40, 20:80, 20:60] = True  # the half of it
    (load,) = judge_lesions({"T1": crop}, brain)
    assert load == pytest.approx(32, rel=0.1)
    (load,) = judge_lesions({"T1": 0.5 * crop}, brain)
    assert load == 0


def test_all_modalities_are_shown_and_masked(seen):
    crop = np.ones((1, *SHAPE), np.float32)
    brain = np.zeros(crop.shape, bool)
    brain[0, 30:50, 40:60, 30:50] = True
    judge_lesions({"T1": crop, "FLAIR": 0.5 * crop}, brain)
    shown = seen[0]
    assert list(shown) == ["T1", "FLAIR"]
    np.testing.assert_array_equal(shown["T1"] > 0, shown["FLAIR"] > 0)
    assert 0 < (shown["T1"] > 0).sum() < 42**3


def test_what_is_no_crop_is_refused(seen):
    with pytest.raises(ValueError, match="nothing to look"):
        judge_lesions({})
    with pytest.raises(ValueError, match="FLAIR has the shape"):
        judge_lesions({"FLAIR": np.zeros((1, 4, 4, 4), np.float32)})
    assert not seen
