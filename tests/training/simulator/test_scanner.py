from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from training.simulator.scanner import FWHM, Scanner, scan, to_full_scale
from training.simulator.volumes import Lattice

LATTICE = Lattice((40, 42, 44), (0.0, 0.0, 0.0), 1.0)
IDEAL = Scanner(point_spread_mm=(0.5, 0.5), thick_share=0.0, bias=(0, 0), noise=(0, 0))


@pytest.fixture
def images():
    """A box of 0.6 with an edge within it."""
    values = torch.zeros(4, *LATTICE.shape)
    values[:, 5:35, 5:37, 5:39] = 0.6
    values[:, 20:35, 5:37, 5:39] = 0.8
    return values


def test_background_stays_0(images, generator):
    scanned = scan(images, LATTICE, Scanner(noise=(0.02, 0.02), bias=(0.05, 0.05)), generator)
    assert not scanned[:, images[0] == 0].any()
    assert scanned[:, images[0] > 0].std() > 0


def test_an_edge_is_as_wide_as_the_resolution_says(images, generator):
    scanned = scan(images, LATTICE, IDEAL, generator)
    slope = scanned[0, 12:28, 20, 20].diff()
    places = torch.arange(len(slope)).float()
    middle = float((slope * places).sum() / slope.sum())
    deviation = math.sqrt(float((slope * (places - middle) ** 2).sum() / slope.sum()))
    # Point spread of 0.5 mm and a voxel that averages over 1 mm.
    assert deviation == pytest.approx(math.sqrt(0.25 + 1 / 12), rel=0.1)


def test_thick_slices_blur_one_axis_and_only_one_that_is_allowed(images, generator):
    thick = Scanner((0.1, 0.1), (5.0, 5.0), 1.0, (0,), (0, 0), (0, 0))
    across = scan(images, LATTICE, thick, generator)[0, 12:28, 20, 20]
    thick = Scanner((0.1, 0.1), (5.0, 5.0), 1.0, (2,), (0, 0), (0, 0))
    along = scan(images, LATTICE, thick, generator)[0, 12:28, 20, 20]
    assert float(across.diff().max()) == pytest.approx(
        0.2 / (5 / FWHM * math.sqrt(2 * math.pi)), rel=0.1
    )
    assert float(along.diff().max()) > 0.15


def test_noise_is_rician(generator):
    air = torch.full((4, *LATTICE.shape), 1e-6)
    scanner = Scanner((0.1, 0.1), thick_share=0.0, bias=(0, 0), noise=(0.05, 0.05))
    values = scan(air, LATTICE, scanner, generator)
    # Without signal Rician noise is Rayleigh's, of mean sigma sqrt(pi / 2).
    assert float(values.mean()) == pytest.approx(0.05 * math.sqrt(math.pi / 2), rel=0.02)


def test_bias_is_smooth_and_another_one_for_each_modality(images, generator):
    scanner = Scanner((0.5, 0.5), thick_share=0.0, bias=(0.06, 0.06), noise=(0, 0))
    ratio = scan(images, LATTICE, scanner, generator) / scan(images, LATTICE, IDEAL, generator)
    inside = ratio[:, 6:34, 6:36, 6:38]
    assert inside.std() > 0.01
    assert inside.diff(dim=1).abs().max() < 0.02
    assert (inside[0] - inside[1]).abs().max() > 0.01


def test_full_scale_is_the_99_5th_percentile(images, generator):
    noisy = images + 0.1 * torch.rand(images.shape, generator=generator)
    brain = images[0] > 0
    shares = torch.tensor([1.0, 0.7, 1.0, 0.9])
    scaled = to_full_scale(noisy, brain, shares, generator)
    for image, share in zip(scaled, shares.tolist(), strict=True):
        assert np.percentile(image[brain].numpy(), 99.5) == pytest.approx(share, abs=0.01)
    assert scaled.max() <= 1.5


def test_a_slab_without_brain_is_left_alone(images, generator):
    empty = torch.zeros_like(images[0], dtype=torch.bool)
    assert torch.equal(to_full_scale(images, empty, torch.ones(4), generator), images)
