"""A registration finds a shift, and the template is in the middle of its people."""

from __future__ import annotations

import torch
from training.mssg.population import Effort, centre, register

from napari_medsyn.models.mssg.lattice import CONTROLS, SHAPE, exponential, velocity, warp


def ball(x: float, size: float = 16.0) -> torch.Tensor:
    """(1, 7, *SHAPE) a soft ball in all channels, its middle at voxel `x` of the first axis."""
    axes = [torch.arange(float(n)) for n in SHAPE]
    a, b, c = torch.meshgrid(*axes, indexing="ij")
    distance = ((a - x) ** 2 + (b - 50) ** 2 + (c - 42) ** 2).sqrt()
    return torch.sigmoid((size - distance) / 1.5).expand(1, 7, *SHAPE).clone()


def test_a_shift_is_found() -> None:
    template, target = ball(40), ball(43)
    before = float(((template - target) ** 2).mean())
    p, _ = register(template, target, torch.zeros(1, 3, *CONTROLS), Effort(40, 0.4, False))
    u = exponential(velocity(p))
    after = float(((warp(template, u) - target) ** 2).mean())
    assert after < 0.15 * before
    # A ball looks the same inside: only where its surface lies, the shift is known.
    assert abs(float(u[0, 0, 28:30, 25, 21].mean()) + 3) < 1


def test_the_mean_velocity_goes_into_the_template() -> None:
    template = ball(40)
    p = torch.zeros(2, 3, *CONTROLS)
    p[0, 0], p[1, 0] = -3.0, -1.0
    seen = warp(template, exponential(velocity(p[:1])))
    middle = centre(template, p, [0, 1])
    assert torch.allclose(p.mean(0), torch.zeros(3, *CONTROLS), atol=1e-6)
    again = warp(middle, exponential(velocity(p[:1])))
    inner = (slice(None), slice(0, 1), slice(10, 70), slice(10, 90), slice(10, 74))
    assert float((again - seen)[inner].abs().max()) < 0.05
