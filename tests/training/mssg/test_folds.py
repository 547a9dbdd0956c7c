"""Foldings keep the mean's level and add only detail."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from training.mssg.folds import COARSE, flair_of, sharpened


def brain() -> np.ndarray:
    axes = np.meshgrid(*[np.arange(n) - n / 2 for n in (40, 40, 40)], indexing="ij")
    return sum(a**2 for a in axes) < 18**2  # type: ignore[no-any-return]


def test_level_is_the_means_and_detail_the_foldings() -> None:
    inside = brain()
    rng = np.random.default_rng(0)
    mean = ndimage.gaussian_filter(rng.random((40, 40, 40)), 6).astype(np.float32) * 1.5 * inside
    stripes = (0.6 + 0.2 * (np.arange(40) % 2))[:, None, None] * inside
    crisp = sharpened(mean, stripes.astype(np.float32), inside)
    core = ndimage.binary_erosion(inside, iterations=5)
    blurred = [ndimage.gaussian_filter(x, 2 * COARSE)[core] for x in (crisp, mean)]
    assert np.abs(blurred[0] - blurred[1]).max() < 0.05
    assert np.abs(np.diff(crisp, axis=0))[core[1:]].mean() > 0.15
    assert (crisp[~inside] == 0).all()


def test_a_flair_follows_the_course_of_the_means() -> None:
    inside = brain()
    t1 = np.linspace(0.1, 1, 40, dtype=np.float32)[:, None, None] * np.ones((1, 40, 40)) * inside
    flair = (1.2 - t1) * inside
    detail = np.where(inside, 0.7, 0).astype(np.float32)
    painted = flair_of(t1.astype(np.float32), flair.astype(np.float32), detail, inside)
    assert np.allclose(painted[inside], 0.5, atol=0.02)
    assert (painted[~inside] == 0).all()
