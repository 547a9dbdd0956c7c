from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from training.simulator.deformation import (
    BRAIN_REACH,
    NODES,
    VENTRICLE_REACH,
    Moves,
    Surroundings,
    exponentiate,
    move_for_volume,
    random_warp,
    rotation,
    strength_of,
)
from training.simulator.volumes import Field, Lattice

FINE = Lattice((50, 60, 50), (-75.0, -110.0, -60.0), 3.0)


def jacobian(positions):
    """(X-2, Y-2, Z-2) determinant of a map given as (3, X, Y, Z) on `FINE`."""
    rows = np.stack([np.stack(np.gradient(p, FINE.spacing)) for p in positions.double().numpy()])
    return np.linalg.det(rows[:, :, 1:-1, 1:-1, 1:-1].transpose(2, 3, 4, 0, 1))


@pytest.mark.parametrize("seed", range(4))
def test_a_warp_folds_nothing(seed):
    warp = random_warp(torch.Generator().manual_seed(seed), mirror=False)
    determinant = jacobian(warp.on(FINE))
    assert determinant.min() > 0.1
    assert determinant.std() > 0.02  # it does change shapes


def test_a_mirrored_warp_turns_every_place_round():
    warps = [random_warp(torch.Generator().manual_seed(s)) for s in range(12)]
    signs = {float(np.sign(jacobian(w.on(FINE))).mean()) for w in warps}
    assert signs == {-1.0, 1.0}


def test_without_strength_nothing_moves(generator):
    warp = random_warp(generator, strength=0.0, mirror=False)
    assert torch.allclose(warp.on(FINE), FINE.points().movedim(-1, 0), atol=1e-3)


def test_a_constant_velocity_carries_its_own_length():
    velocity = torch.tensor([3.0, -2.0, 1.0])[:, None, None, None].expand(3, *NODES.shape)
    assert torch.allclose(exponentiate(velocity), velocity, atol=1e-4)


def test_there_and_back_again(generator):
    coarse = torch.randn(3, 4, 4, 4, generator=generator)
    velocity = (
        4
        * torch.nn.functional.interpolate(
            coarse[None], NODES.shape, mode="trilinear", align_corners=True
        )[0]
    )
    there, back = exponentiate(velocity), exponentiate(-velocity)
    inner = FINE.points()
    halfway = inner + Field(there, NODES).at(inner).movedim(0, -1)
    home = halfway + Field(back, NODES).at(halfway).movedim(0, -1)
    assert (home - inner).norm(dim=-1).max() < 0.7
    assert (halfway - inner).norm(dim=-1).max() > 3


def test_rotations_are_those_of_scipy():
    angles = [0.1, -0.2, 0.3]
    expected = Rotation.from_euler("xyz", angles).as_matrix()
    assert rotation(torch.tensor(angles)).numpy() == pytest.approx(expected, abs=1e-6)


def around_a_ball(radius, distance_of_brain):
    """Points along x and what they know of a ball of `radius` mm around the origin."""
    x = torch.linspace(1, 60, 600)
    points = torch.stack([x, torch.zeros_like(x), torch.zeros_like(x)], dim=1)
    outward = torch.stack([torch.ones_like(x), torch.zeros_like(x), torch.zeros_like(x)])
    distances = torch.stack([x - radius, x - distance_of_brain])
    return x, Surroundings(points, distances, torch.cat([outward, outward]))


@pytest.mark.parametrize("move", [-4.0, -1.0, 2.0, 6.0])
def test_the_ventricles_surface_comes_to_lie_where_asked(move):
    x, ball = around_a_ball(15.0, 1e6)
    origin = ball.origins(Moves(ventricles=move))[:, 0]
    outside = x > 15 + move - 0.5
    origin, x = origin[outside], x[outside]
    assert float(x[(origin - 15).abs().argmin()]) == pytest.approx(15 + move, abs=0.1)
    assert (origin.diff() > 0).all()  # nothing changes places


@pytest.mark.parametrize("move", [-0.8, 0.8])
def test_the_brain_s_surface_moves_and_what_is_deep_stays(move):
    x, ball = around_a_ball(-1e6, 50.0)
    origin = ball.origins(Moves(brain=move))[:, 0]
    assert float(x[(origin - 50).abs().argmin()]) == pytest.approx(50 + move, abs=0.1)
    assert float((origin - x)[x < 25].abs().max()) < 0.01


@pytest.mark.parametrize("reach", [VENTRICLE_REACH, BRAIN_REACH])
def test_strength_never_lets_points_change_places(reach):
    assert strength_of(0.0, reach) == 0
    for move in (-50.0, -1.0, 1.0, 50.0):
        limit = reach[1] if move > 0 else reach[0]
        assert strength_of(move, reach) / move > 0
        assert abs(strength_of(move, reach)) <= 0.9 * limit
    assert strength_of(2.0, (14.0, 8.0)) == pytest.approx(2 * math.exp(2 / 14))


def test_the_move_for_a_volume_encloses_it():
    distances = FINE.points().norm(dim=-1) - 10
    wanted = 4 / 3 * math.pi * 18**3 / 27
    move = move_for_volume(distances, wanted)
    assert move == pytest.approx(8.0, abs=0.3)
    assert int((distances < move).sum()) == pytest.approx(wanted, abs=60)
