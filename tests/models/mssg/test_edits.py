"""Edits on a generator made by hand, whose bases are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.models.mssg._generators import patient
from torch import Tensor

from napari_medsyn.models.mssg import edits
from napari_medsyn.models.mssg.edits import Composed, Target
from napari_medsyn.models.mssg.generator import MultiSourceGenerator
from napari_medsyn.models.mssg.head import Coefficients, sample
from napari_medsyn.models.mssg.inversion import Effort, Found, Inversion, Patient
from napari_medsyn.models.mssg.lattice import LATTICE, SHAPE, finer

T1 = NDArray[np.float32]
OWN = torch.tensor([[0.0, -1.0, 0.0, 0.0, -1.0]])
STAYS = Target(OWN, OWN, torch.zeros(1), torch.zeros(1), torch.zeros(1, 8))
#: Changes of one number of the label vector.
OLDER, WIDER = torch.tensor([[0.5, 0, 0, 0, 0]]), torch.tensor([[0, 0, 1.0, 0, 0]])
MIDDLE = list(range(38, 47))


@pytest.fixture(scope="module")
def somebody(t1: T1) -> Patient:
    return patient(t1)


@pytest.fixture(scope="module")
def found(net: MultiSourceGenerator, somebody: Patient) -> Found:
    return Inversion(net, somebody, OWN, torch.zeros(1), None, Effort(4, 2, 1, 1)).finish()


def moved(change: Tensor) -> Target:
    return replace(STAYS, target=OWN + change)


def test_an_edit_of_nothing_is_exactly_nothing(
    net: MultiSourceGenerator, found: Found, somebody: Patient
) -> None:
    for stays in (STAYS, replace(STAYS, own_ml=torch.tensor([9.0]), target_ml=torch.tensor([9.0]))):
        made = edits.render(edits.compose(net, found, stays), somebody, MIDDLE)
        assert not made.change.any()
        assert not made.displacement.any()
        assert not made.jacobian.any()


def test_the_own_velocity_is_carried_along(net: MultiSourceGenerator, found: Found) -> None:
    """The integration of the person's own velocity errs, and that must not become an edit."""
    assert found.home.any()
    assert not edits.compose(net, found, STAYS).d.any()


def test_the_same_draws_of_z_stand_at_either_end(net: MultiSourceGenerator) -> None:
    step = edits.difference(net, moved(WIDER))
    # The mapping's gain, sqrt(2), over the labels' root mean square, about 2.5.
    assert 0.5 < float(step.shape[0, 0]) < 0.6
    back = edits.difference(net, Target(OWN + WIDER, OWN, *[torch.zeros(1)] * 2, STAYS.push))
    torch.testing.assert_close(back.shape, -step.shape)
    torch.testing.assert_close(back.appearance, -step.appearance)


def test_ventricles_grow_where_the_tissue_is_said_to(
    net: MultiSourceGenerator, found: Found, somebody: Patient
) -> None:
    made = edits.render(edits.compose(net, found, moved(WIDER)), somebody, MIDDLE)
    assert float(made.jacobian[40, 50, 4]) > 0.1
    # What is right of the middle (x greater) comes from nearer to it: the displacement is
    # towards the middle, and in mm.
    assert float(made.displacement[0, 46, 50, 4]) < -0.5
    assert float(made.displacement[0, 34, 50, 4]) > 0.5


def test_narrower_ventricles_are_the_opposite(
    net: MultiSourceGenerator, found: Found, somebody: Patient
) -> None:
    made = edits.render(edits.compose(net, found, moved(-WIDER)), somebody, MIDDLE)
    assert float(made.jacobian[40, 50, 4]) < -0.1


@pytest.mark.parametrize("factor", [0.9, 1.25])
def test_the_jacobian_of_a_scaling_is_its_logarithm(somebody: Patient, factor: float) -> None:
    """The counterfactual takes x f from the patient: its tissue is f^3 times smaller."""
    axes = [torch.linspace(0, n - 1, m) - n / 2 for n, m in zip(SHAPE, LATTICE, strict=True)]
    away = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    composed = Composed(
        torch.zeros(1, 3, *LATTICE), (factor - 1) * away[None], torch.zeros(1, 1, *SHAPE)
    )
    whole = replace(somebody, fade=torch.ones_like(somebody.fade))
    jacobian = edits.render(composed, whole, [40, 41]).jacobian
    np.testing.assert_allclose(jacobian, -3 * np.log(factor), rtol=1e-3)


def test_a_displacement_is_interpolated_linearly(somebody: Patient) -> None:
    torch.manual_seed(0)
    d = torch.randn(1, 3, *LATTICE)
    slices = [0, 17, 42, 83]
    expected = (finer(d) * somebody.fade)[0][..., slices].permute(3, 0, 1, 2)
    torch.testing.assert_close(edits._faded(d, somebody, slices), expected, atol=1e-5, rtol=0)


def test_a_determinant_is_that_of_the_matrix() -> None:
    torch.manual_seed(0)
    columns = 0.3 * torch.randn(3, 3, 5, 4, 2)
    matrix = columns.permute(2, 3, 4, 1, 0) + torch.eye(3)
    determinant = edits._determinant(*columns)
    np.testing.assert_allclose(determinant, np.linalg.det(matrix.numpy()), atol=1e-5)


def test_displacements_are_in_millimetres_of_the_world(
    net: MultiSourceGenerator, found: Found, somebody: Patient
) -> None:
    composed = edits.compose(net, found, moved(WIDER))
    usual = edits.render(composed, somebody, [42]).displacement
    turned = replace(somebody, axes=torch.diag(torch.tensor([-1.0, 2.0, 4.0])))
    other = edits.render(composed, turned, [42]).displacement
    factors = torch.tensor([-0.5, 1.0, 2.0]).view(3, 1, 1, 1)
    torch.testing.assert_close(other, usual * factors)


def test_appearance_is_painted_where_the_person_has_it(
    net: MultiSourceGenerator, found: Found, somebody: Patient
) -> None:
    made = edits.render(edits.compose(net, found, moved(OLDER)), somebody, MIDDLE)
    # The basis darkens white matter; the ventricles have none.
    assert float(made.change[60, 50, 4]) < -0.01
    assert abs(float(made.change[40, 50, 4])) < 0.01
    white = net.head.volume(net.head.white)
    carried = sample(white, found.u, MIDDLE)[0, 0] * somebody.mask[0, 0][:, :, MIDDLE]
    assert np.corrcoef(made.change.ravel(), -carried.ravel())[0, 1] > 0.98


def with_load(own: float, target: float) -> Target:
    return replace(STAYS, own_ml=torch.tensor([own]), target_ml=torch.tensor([target]))


def test_more_lesions_are_darker_white_matter(
    net: MultiSourceGenerator, found: Found, somebody: Patient
) -> None:
    added = []
    for ml in (5.0, 10.0, 30.0):
        made = edits.render(edits.compose(net, found, with_load(5.0, ml)), somebody, range(84))
        assert not made.displacement.any()
        assert float(made.change.max()) <= 0
        added.append(float(made.change.sum()) * 0.008 / -0.25)  # ml at the contrast of a lesion
    assert added == pytest.approx([0.0, 5.0, 25.0], rel=0.1)


def test_lesions_are_taken_away_where_the_scan_has_them(
    net: MultiSourceGenerator, found: Found, somebody: Patient
) -> None:
    fewer = edits.compose(net, found, with_load(20.0, 0.0))
    healthy = edits.render(fewer, somebody, MIDDLE).change
    # The scan has no lesions: nothing but errors of the inversion is dark.
    assert float(healthy.max()) < 0.1
    more = edits.compose(net, found, with_load(0.0, 20.0))
    painted = edits.render(more, somebody, range(84)).change
    ill = replace(somebody, t1=(somebody.t1 + painted).clamp(min=0))
    back = edits.render(fewer, ill, range(84)).change
    rest = (painted + back)[somebody.mask[0, 0]].square().mean().sqrt()
    assert float(rest) < 0.2 * float(painted[somebody.mask[0, 0]].square().mean().sqrt())


def test_nothing_is_done_outside_the_brain(
    net: MultiSourceGenerator, found: Found, somebody: Patient
) -> None:
    target = replace(moved(OLDER + WIDER), target_ml=torch.tensor([20.0]))
    made = edits.render(edits.compose(net, found, target), somebody, MIDDLE)
    outside = ~somebody.mask[0, 0][:, :, MIDDLE]
    assert made.change.any()
    assert made.displacement.any()
    assert not made.change[outside].any()
    assert not made.displacement[:, outside].any()


def test_a_fold_has_no_infinite_jacobian(somebody: Patient) -> None:
    torch.manual_seed(0)
    torn = Composed(
        torch.zeros(1, 3, *LATTICE), 20 * torch.randn(1, 3, *LATTICE), torch.zeros(1, 1, *SHAPE)
    )
    assert bool(torch.isfinite(edits.render(torn, somebody, [41, 42]).jacobian).all())


def test_directions_push_the_target(net: MultiSourceGenerator, found: Found) -> None:
    pushed: Coefficients = edits.difference(net, replace(STAYS, push=net.directions[:1]))
    torch.testing.assert_close(pushed.shape[0, 0], torch.tensor(0.5))
    assert not pushed.appearance.any()
