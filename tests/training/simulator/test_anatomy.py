from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.training.simulator._made import MIDDLE
from training.simulator.anatomy import Anatomy, load_anatomies, signed_distance
from training.simulator.tissues import CODE
from training.simulator.volumes import Lattice

LATTICE = Lattice((48, 48, 48), (-23.5, -23.5, -23.5), 1.0)


def balls(*radii_and_names):
    """(48, 48, 48) uint8: balls in balls around the world's origin."""
    radius = LATTICE.points().norm(dim=-1)
    tissues = torch.zeros(LATTICE.shape, dtype=torch.uint8)
    for size, name in radii_and_names:
        tissues[radius < size] = CODE[name]
    return tissues


@pytest.fixture(scope="module")
def ball():
    return Anatomy("ball", balls((20, "cortex"), (16, "white"), (8, "ventricle")), LATTICE)


def test_distance_to_a_ball_is_that_of_geometry(ball):
    points = torch.tensor([[4.0, 0, 0], [12, 0, 0], [8, 8, 8], [0, 0, 21.5]])
    ventricle, brain = ball.distances.at(points)
    radius = points.norm(dim=1)
    assert ventricle.numpy() == pytest.approx((radius - 8).numpy(), abs=1.0)
    assert brain[1:].numpy() == pytest.approx((radius - 20)[1:].numpy(), abs=1.2)


def test_normals_of_a_ball_point_away_from_its_middle(ball):
    points = torch.tensor([[10.0, 0, 0], [0, -10, 0], [6, 6, 6]])
    normals = ball.normals.at(points).T
    outward = points / points.norm(dim=1, keepdim=True)
    assert (normals[:, :3] * outward).sum(dim=1).min() > 0.95
    assert (normals[:, 3:] * outward).sum(dim=1).min() > 0.95


def test_walls_have_no_ventricle_and_change_nothing_else(ball):
    was_ventricle = ball.tissues == CODE["ventricle"]
    assert (ball.walls[was_ventricle] == CODE["white"]).all()
    assert torch.equal(ball.walls[~was_ventricle], ball.tissues[~was_ventricle])


@pytest.mark.parametrize("share", [np.zeros((4, 4, 4)), np.ones((4, 4, 4))])
def test_a_structure_without_surface_is_refused(share):
    with pytest.raises(ValueError, match="no surface"):
        signed_distance(share, 2.0)


def test_distance_is_in_mm():
    share = np.zeros((20, 20, 20))
    share[:10] = 1
    found = signed_distance(share, 2.0)[[4, 9, 10, 15], 10, 10]
    assert found == pytest.approx([-11, -1, 1, 11], abs=0.2)


def test_cortex_of_a_ball_is_volume_over_area(ball):
    # 4/3 pi (20^3 - 16^3) / (4 pi 16^2)
    assert ball.thickness(1.0) == pytest.approx(5.083, rel=0.05)


def test_label_maps_and_healthy_people_become_the_same_tissues(made, tmp_path):
    anatomies = {a.person: a for a in load_anatomies(made, parts=("train",), cache=tmp_path)}
    assert {"synthseg-01", "synthseg-02"} >= {n for n in anatomies if n.startswith("synthseg")}
    fine = next(a for n, a in anatomies.items() if n.startswith("synthseg"))
    coarse = next(a for n, a in anatomies.items() if n.startswith("ixi"))
    assert (fine.lattice.spacing, coarse.lattice.spacing) == (1.0, 2.0)
    middle = torch.tensor(MIDDLE)
    for anatomy in (fine, coarse):
        for mm, name in ((0, "ventricle"), (30, "white"), (47, "cortex"), (51.5, "fluid")):
            index = middle + torch.tensor([0.0, mm, 0.0]) - torch.tensor(anatomy.lattice.origin)
            place = tuple((index / anatomy.lattice.spacing).round().long().tolist())
            assert int(anatomy.tissues[place]) == CODE[name], (anatomy.person, name)
