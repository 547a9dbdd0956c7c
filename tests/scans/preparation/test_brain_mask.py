"""Brains are found in heads with skull and scalp, and cut-out brains are told from heads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from tests.scans.preparation._phantoms import sample, shifted, turned

from napari_medsyn import resources
from napari_medsyn.errors import Cancelled, UnusableFile, UnusableStudy
from napari_medsyn.scans.geometry import Affine, Grid
from napari_medsyn.scans.preparation.brain_mask import (
    FoundBrain,
    compute_brain_mask,
    find_brain,
    has_skull,
)
from napari_medsyn.scans.preparation.tissues import KINDS, Mixture, align_priors

#: How bright each kind of tissue is in a T2-weighted head.
LOOK = {"wm": 330.0, "gm": 450.0, "csf": 900.0, "bone": 60.0, "soft": 300.0}
#: Thick oblique slices that leave out the neck.
GRID = Grid(
    (96, 120, 48),
    turned((6, 0, 0))
    @ np.array([[-1.9, 0, 0, 91], [0, 1.9, 0, -118], [0, 0, 3.3, -62], [0, 0, 0, 1.0]]),
)
#: The head is smaller than MNI's, turned and shifted.
TO_MNI = shifted(4, -6, 8) @ turned((0, 4, -5)) @ np.diag([1.08, 1.12, 1.05, 1.0])


def head() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A noisy head with uneven sensitivity, and its brain."""
    with np.load(resources.folder() / "templates/mni_template_2mm.npz") as stored:
        # Each voxel is what it most likely is: the average has no sharp borders.
        shares = np.stack([stored[name] for name in LOOK]).astype(np.float32)
        air = 255 - shares.sum(axis=0)
        kind = np.concatenate([shares, air[None]]).argmax(axis=0)
        voxels = np.array([*LOOK.values(), 0.0], np.float32)[kind]
        brain = (stored["brain"] > 127).astype(np.float32)
        to_voxels: Affine = np.linalg.inv(stored["affine"]) @ TO_MNI
    image = sample(ndimage.gaussian_filter(voxels, 0.5), to_voxels, GRID)
    x = np.linspace(-1, 1, GRID.shape[0])[:, None, None]
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 15, (2, *GRID.shape))
    image = np.hypot(image * np.exp(0.25 * x) + noise[0], noise[1])
    return image.astype(np.float32), sample(brain, to_voxels, GRID) > 0.5


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


@pytest.fixture(scope="module")
def truth() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    return head()


@pytest.fixture(scope="module")
def found(truth: tuple[NDArray[np.float32], NDArray[np.bool_]]) -> FoundBrain:
    """By a registration that is 7 mm and some per cent off."""
    off = shifted(4, -5, 4) @ np.diag([0.96, 1.0, 1.04, 1.0])
    return find_brain({"T2": truth[0]}, off @ TO_MNI, GRID)


def test_brain_in_a_head(
    truth: tuple[NDArray[np.float32], NDArray[np.bool_]], found: FoundBrain
) -> None:
    assert dice(found.mask, truth[1]) > 0.96


def test_one_piece_without_holes(found: FoundBrain) -> None:
    assert ndimage.label(found.mask)[1] == 1
    assert np.array_equal(ndimage.binary_fill_holes(found.mask), found.mask)


def test_better_registration_than_the_one_given(found: FoundBrain) -> None:
    points = np.array([[0.0, 0, 0], [40, 0, 20], [-40, 20, 0], [0, -60, -10], [0, 40, 30]])
    world = np.c_[points, np.ones(5)] @ np.linalg.inv(TO_MNI).T
    distance = np.linalg.norm((world @ found.to_mni.T)[:, :3] - points, axis=1)
    assert distance.max() < 2.5


def test_cancel_stops_it(truth: tuple[NDArray[np.float32], NDArray[np.bool_]]) -> None:
    asked: list[bool] = []

    def stop() -> bool:
        asked.append(True)
        return len(asked) > 2

    with pytest.raises(Cancelled):
        compute_brain_mask({"T2": truth[0]}, TO_MNI, GRID, stop)
    assert len(asked) == 3


def test_a_registration_beside_the_head_is_refused(
    truth: tuple[NDArray[np.float32], NDArray[np.bool_]],
) -> None:
    with pytest.raises(UnusableStudy, match="no brain lies where"):
        find_brain({"T2": truth[0]}, shifted(500, 0, 0), GRID)


def test_an_empty_scan_is_refused() -> None:
    with pytest.raises(UnusableStudy, match="no brain lies where"):
        find_brain({"T2": np.zeros(GRID.shape, np.float32)}, TO_MNI, GRID)


def test_a_damaged_template_is_named(tmp_path: Path) -> None:
    path = tmp_path / "template.npz"
    np.savez(path, brain=np.zeros((2, 2, 2), np.uint8))
    with pytest.raises(UnusableFile, match=r"template\.npz: the MNI template cannot be read"):
        find_brain({"T2": np.ones(GRID.shape, np.float32)}, TO_MNI, GRID, template=path)


def test_a_head_has_a_skull_and_its_brain_has_none(
    truth: tuple[NDArray[np.float32], NDArray[np.bool_]],
) -> None:
    image, brain = truth
    assert has_skull(image, GRID)  # noise in the air
    assert has_skull(np.where(image > 40, image, 0), GRID)  # air set to 0 by the scanner
    assert not has_skull(image * brain, GRID)


def test_a_small_head_is_told_by_its_bone(
    truth: tuple[NDArray[np.float32], NDArray[np.bool_]],
) -> None:
    small = Grid(GRID.shape, np.diag([0.75, 0.75, 0.75, 1.0]) @ GRID.affine)
    image = np.where(truth[0] > 40, truth[0], 0)
    litres = ndimage.binary_fill_holes(image > 0).sum() * abs(np.linalg.det(small.affine)) / 1e6
    assert litres < 2.4  # so size alone would not tell
    assert has_skull(image, small)


def test_mixture_finds_the_gaussians_that_it_is_given() -> None:
    """Priors that are half right, means set by hand."""
    rng = np.random.default_rng(0)
    kinds = rng.choice([0, 1, 2], 6000)
    values = np.array([1.0, 0.6, 2.0])[kinds][:, None] + rng.normal(0, 0.05, (6000, 1))
    shares = np.full((6000, len(KINDS)), 1e-4)
    shares[:, :3] = 0.25
    shares[np.arange(6000), kinds] = 0.5
    mixture = Mixture.fit(values, shares, lambda: None)
    assert mixture.means[:3, 0] == pytest.approx([1.0, 0.6, 2.0], abs=0.02)
    likely = mixture.likelihoods(np.array([[1.0], [0.6], [2.0]]))
    assert likely[:, :3].argmax(axis=1).tolist() == [0, 1, 2]


def test_priors_are_moved_to_where_they_explain_the_most() -> None:
    """A ball of brain 2 voxels to the right of where the prior has it."""
    x, y, z = np.indices((30, 30, 30))

    def ball(middle: float) -> NDArray[np.float32]:
        r = np.sqrt((x - middle) ** 2 + (y - 15) ** 2 + (z - 15) ** 2)
        return np.asarray(1 / (1 + np.exp(r - 9)), np.float32)

    priors = np.full((len(KINDS), 30, 30, 30), 1e-4, np.float32)
    priors[0], priors[-1] = ball(15), 1 - ball(15)
    points = np.stack([x, y, z], axis=-1).reshape(-1, 3)[::7].astype(float)
    seen = ball(17).reshape(-1)[::7].astype(float)
    likelihood = np.full((len(points), len(KINDS)), 1e-3)
    likelihood[:, 0], likelihood[:, -1] = seen, 1 - seen
    moved = align_priors(points, likelihood, priors, lambda: None)
    assert moved[:3] @ [17, 15, 15, 1] == pytest.approx([15, 15, 15], abs=0.4)
