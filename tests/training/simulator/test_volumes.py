from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from training.simulator.volumes import Field, Lattice, gaussian, lookup, smooth_noise

LATTICE = Lattice((7, 9, 8), (-3.0, 5.0, 1.0), 2.0)


@pytest.fixture
def field(generator):
    return Field(torch.randn(2, *LATTICE.shape, generator=generator), LATTICE)


@pytest.fixture
def points(generator):
    """(50, 3) within the lattice and up to 3 mm beyond it."""
    low = torch.tensor(LATTICE.origin) - 3
    extent = 2.0 * (torch.tensor(LATTICE.shape) - 1) + 6
    return low + extent * torch.rand(50, 3, generator=generator)


def index_of(points):
    return ((points - torch.tensor(LATTICE.origin)) / LATTICE.spacing).T.numpy()


@pytest.mark.parametrize(("nearest", "order"), [(False, 1), (True, 0)])
def test_values_at_points_are_those_of_scipy(field, points, nearest, order):
    found = field.at(points, nearest=nearest)
    for channel, values in zip(found, field.values, strict=True):
        expected = ndimage.map_coordinates(
            values.numpy(), index_of(points), order=order, mode="nearest"
        )
        assert channel.numpy() == pytest.approx(expected, abs=1e-4)


def test_no_points_have_no_values(field):
    assert field.at(torch.zeros(0, 3)).shape == (2, 0)


def test_values_on_a_lattice_are_those_at_its_points(field):
    other = Lattice((12, 5, 3), (-5.0, 6.3, 2.2), 1.3)
    assert torch.allclose(field.on(other), field.at(other.points()), atol=1e-5)


def test_codes_are_looked_up_at_the_nearest_voxel_and_are_0_outside(generator, points):
    codes = torch.randint(1, 200, LATTICE.shape, generator=generator).to(torch.uint8)
    expected = ndimage.map_coordinates(
        codes.numpy(), np.round(index_of(points)), order=0, mode="constant", cval=0
    )
    found = lookup(codes, LATTICE, points)
    assert found.dtype == torch.uint8
    assert (found.numpy() == expected).all()
    assert (found == 0).any()


def test_points_of_a_part_are_those_of_the_whole():
    box = (slice(2, 6), slice(0, 9), slice(3, 5))
    assert torch.allclose(LATTICE.part(box).points(), LATTICE.points()[box])
    assert torch.allclose(LATTICE.slices(3, 5).points(), LATTICE.points()[:, :, 3:5])


def test_a_voxel_of_2_mm_has_8_thousandths_of_an_ml():
    assert pytest.approx(0.008) == LATTICE.voxel_ml


def test_blur_is_scipy_s_where_the_border_is_far(generator):
    images = torch.zeros(1, 31, 33, 35)
    images[:, 12:19, 12:19, 12:19] = torch.rand(1, 7, 7, 7, generator=generator)
    sigmas = (0.8, 1.5, 0.0)
    expected = ndimage.gaussian_filter(images[0].numpy(), sigmas, truncate=3.0)
    assert gaussian(images, sigmas)[0].numpy() == pytest.approx(expected, abs=1e-4)


def test_noise_is_of_about_unit_size_and_as_smooth_as_asked(generator):
    noise = smooth_noise(Lattice((60, 60, 60), (0.0, 0.0, 0.0), 2.0), 12.0, generator, 4)
    assert float(noise.std()) == pytest.approx(0.85, abs=0.15)
    at_once = torch.corrcoef(torch.stack([noise[..., 1:].flatten(), noise[..., :-1].flatten()]))
    far = torch.corrcoef(torch.stack([noise[..., 12:].flatten(), noise[..., :-12].flatten()]))
    assert at_once[0, 1] > 0.9
    assert abs(far[0, 1]) < 0.15
