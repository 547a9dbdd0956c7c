"""Splines, exponentials and sampling against what is known of them."""

from __future__ import annotations

import torch

from napari_medsyn.models.mssg.lattice import (
    CONTROLS,
    LATTICE,
    POINT_ML,
    SHAPE,
    coarser,
    exponential,
    finer,
    fit_controls,
    points_of,
    spline,
    velocity,
    warp,
)


def constant(*voxels: float) -> torch.Tensor:
    return torch.tensor(voxels).view(1, 3, 1, 1, 1).expand(1, 3, *LATTICE).clone()


def smooth(p: torch.Tensor) -> torch.Tensor:
    """As rough as people are: noise over five control points, about 4 voxels at most."""
    wide = torch.nn.functional.avg_pool3d(p, 5, stride=1, padding=2)
    return wide / wide.abs().max() * 4


def ramp() -> torch.Tensor:
    axes = torch.meshgrid(*[torch.arange(float(n)) for n in SHAPE], indexing="ij")
    return torch.stack(axes)[None]


def test_splines_add_up_to_one_everywhere() -> None:
    for n, controls in zip(LATTICE, CONTROLS, strict=True):
        assert torch.allclose(spline(n, controls).sum(1), torch.ones(n), atol=1e-6)


def test_control_values_are_found_again() -> None:
    torch.manual_seed(0)
    p = torch.randn(1, 3, *CONTROLS)
    v = velocity(p)
    assert v.shape == (1, 3, *LATTICE)
    assert torch.allclose(velocity(fit_controls(v)), v, atol=1e-4)


def test_a_constant_velocity_is_a_translation() -> None:
    u = exponential(constant(1.5, -2.0, 0.5))
    middle = u[0, :, 15:25, 20:30, 15:25]
    assert torch.allclose(middle, torch.tensor([1.5, -2.0, 0.5]).view(3, 1, 1, 1), atol=1e-4)


def test_there_and_back_is_nowhere() -> None:
    torch.manual_seed(1)
    v = velocity(smooth(torch.randn(1, 3, *CONTROLS)))
    u, back = exponential(v), exponential(-v)
    assert float(u.abs().max()) > 2
    home = (u + warp(back, u))[:, :, 4:-4, 4:-4, 4:-4]
    assert float(home.abs().mean()) < 0.03


def test_an_image_is_sampled_at_x_plus_u() -> None:
    u = constant(3.0, 0.0, -2.0)
    moved = warp(ramp(), u)[0, :, 20:60, 20:80, 20:60]
    still = ramp()[0, :, 20:60, 20:80, 20:60]
    assert torch.allclose(moved[0], still[0] + 3, atol=1e-3)
    assert torch.allclose(moved[1], still[1], atol=1e-3)
    assert torch.allclose(moved[2], still[2] - 2, atol=1e-3)


def test_slices_are_those_of_the_whole() -> None:
    torch.manual_seed(2)
    u = exponential(velocity(torch.randn(1, 3, *CONTROLS)))
    image = torch.rand(1, 1, *SHAPE)
    points = points_of(u, [30, 55])
    some = torch.nn.functional.grid_sample(image, points, align_corners=True)
    assert torch.allclose(some, warp(image, u)[..., [30, 55]], atol=1e-4)


def test_coarse_points_stand_for_their_volume() -> None:
    blob = torch.exp(-((ramp() - 40) / 10).square().sum(1, keepdim=True))
    fine_ml = float(blob.sum()) * 0.008
    assert abs(float(coarser(blob).sum()) * POINT_ML / fine_ml - 1) < 0.01
    assert finer(constant(1.0, 2.0, 3.0)).shape == (1, 3, *SHAPE)
