"""Counterfactuals: what another value of a covariate does to the patient's own scan.

The patient is image_p(x) = T(phi_p(x)), T the template in the patient's look and phi_p(x) =
x + u_p(x) the exponential of the patient's velocity, remainder included.  Another value moves
the coefficients by the mean over z of coefficients(z, target) - coefficients(z, own), the same
z for both, so that moving back gives back.  Where the person at x would be the template at
phi_cf(x), the patient has that tissue at phi_p^-1(phi_cf(x)); so the counterfactual takes the
patient's own voxel from there:

    d(x) = phi_p^-1(phi_cf(x)) - phi_p^-1(phi_p(x)).

Both terms are the same computation, so that an edit of nothing moves nothing, bit for bit; the
exponential of the negative velocity, which stands for the inverse, errs alike in both.
What appearance and lesions change is made in template space and carried along by phi_cf.

Intervening on a deformation with the person's own part kept: Pawlowski et al., NeurIPS 2020;
stationary velocities as covariate effects: Lorenzi et al., NeuroImage 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_medsyn.models.mssg.generator import MultiSourceGenerator
from napari_medsyn.models.mssg.head import Coefficients, TemplateHead, sample
from napari_medsyn.models.mssg.inversion import DRAWS, Found, Patient, draws, to_patient
from napari_medsyn.models.mssg.lattice import SHAPE, as_grid, exponential, identity, velocity

#: Least determinant that is told: that of a fold, 0 or less, has no logarithm.
LEAST: Final = 1e-3


@dataclass(frozen=True, eq=False)
class Target:
    """Where an edit begins and ends.

    Parameters
    ----------
    own, target : (1, 5) label vectors.
    own_ml, target_ml : (1,) lesion loads, ml.
    push : (1, w) added to the target's styles: steps along directions of w.
    """

    own: Tensor
    target: Tensor
    own_ml: Tensor
    target_ml: Tensor
    push: Tensor


@dataclass(frozen=True, eq=False)
class Composed:
    """An edit before any slice is sampled.

    Parameters
    ----------
    u : (1, 3, *LATTICE) displacement from the counterfactual person to the template, voxels.
    d : (1, 3, *LATTICE) displacement from the counterfactual person to the patient, voxels;
        not yet faded.
    change : (1, 1, *SHAPE) what is added, normalised intensity, in template space.
    healed : (1, 2, *SHAPE) in template space, where lesions are taken away: how much lighter
        that makes the tissue, and how light it is without lesions; None where none are.
    """

    u: Tensor
    d: Tensor
    change: Tensor
    healed: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Slices:
    """An edit on axial slices of the patient's model grid.

    Parameters
    ----------
    change : (X, Y, n) normalised intensity, 0 outside the brain.
    displacement : (3, X, Y, n) mm in the model's world, 0 outside the brain.
    jacobian : (X, Y, n) natural logarithm of how much larger the tissue at a point has become.
    """

    change: Tensor
    displacement: Tensor
    jacobian: Tensor


def compose(net: MultiSourceGenerator, found: Found, target: Target) -> Composed:
    """All of an edit that does not depend on the slice: one exponential, and little more."""
    head = net.head
    step = difference(net, target)
    u = exponential(velocity(found.control_values + head.control_values(step.shape)))
    d = to_patient(u, found.back) - found.home
    own = found.coefficients.appearance
    painted = head.painted(own + step.appearance)
    change = head.volume(painted - head.painted(own))
    if torch.equal(target.own_ml, target.target_ml):
        return Composed(u, d, change)
    lesions = head.lesion_contrast[0] * _more_lesions(head, found, target, u)
    if bool(target.target_ml > target.own_ml):
        return Composed(u, d, change + lesions)
    return Composed(u, d, change, torch.cat([lesions, head.volume(painted)], 1))


def difference(net: MultiSourceGenerator, target: Target) -> Coefficients:
    """Mean over draws of z of what the target's coefficients have over the patient's own."""
    z = draws(net).to(target.own.device)
    ends = [net.style(z, labels.expand(DRAWS, -1)) for labels in (target.own, target.target)]
    own, there = net.coefficients(ends[0]), net.coefficients(ends[1] + target.push)
    return Coefficients(
        (there.shape - own.shape).mean(0, keepdim=True),
        (there.appearance - own.appearance).mean(0, keepdim=True),
        (there.lesion - own.lesion).mean(0, keepdim=True),
    )


def render(composed: Composed, patient: Patient, slices: Sequence[int]) -> Slices:
    """Sample an edit on axial slices."""
    change = sample(composed.change, composed.u, slices)[0, 0]
    last = SHAPE[2] - 1
    around = sorted({min(max(k + step, 0), last) for k in slices for step in (-1, 0, 1)})
    place = {k: number for number, k in enumerate(around)}
    fine = _faded(composed.d, patient, around)
    below, here, above = (
        fine[[place[min(max(k + step, 0), last)] for k in slices]] for step in (-1, 0, 1)
    )
    d = here.permute(1, 2, 3, 0)
    if composed.healed is not None:
        change = change + _healing(composed.healed, composed.u, d, patient, slices)
    change = change * patient.mask[0, 0][:, :, list(slices)]
    millimetres = torch.tensordot(patient.axes, d, dims=([1], [0]))
    return Slices(change, millimetres, _jacobian(below, here, above))


def _more_lesions(head: TemplateHead, found: Found, target: Target, u: Tensor) -> Tensor:
    """(1, 1, *SHAPE) share of lesion that the target has over the own load, template space.

    The scan shows the patient's own lesions, and the displacement carries them along; only
    the load that is added or taken away is painted, where the style says that lesions grow
    in this person.  Both loads are placed in the counterfactual anatomy.
    """
    place = found.coefficients.lesion
    own, there = (head.lesion_share(place, ml, u) for ml in (target.own_ml, target.target_ml))
    return there - own


def _healing(
    healed: Tensor, u: Tensor, d: Tensor, patient: Patient, slices: Sequence[int]
) -> Tensor:
    """(X, Y, n) what taking lesions away adds: never more than the patient's voxel is too dark.

    The style knows roughly where lesions grow; the scan knows where they are.  Without this
    bound, healthy white matter would be painted lighter than any.

    Parameters
    ----------
    healed : of `Composed`.
    u : (1, 3, *LATTICE) to the template.
    d : (3, X, Y, n) to the patient, faded.
    """
    lighter, healthy = sample(healed, u, slices)[0]
    at = identity(SHAPE)[:, :, :, list(slices)].to(d.device) + as_grid(d[None])
    own = F.grid_sample(patient.t1, at, align_corners=True, padding_mode="zeros")[0, 0]
    return torch.minimum(lighter, (healthy - own).clamp(min=0))


def _faded(d: Tensor, patient: Patient, slices: Sequence[int]) -> Tensor:
    """(n, 3, X, Y) a displacement of the lattice (1, 3, *LATTICE) on slices, faded; voxels."""
    # Along the slices first, then within each: much cheaper than sampling in three dimensions.
    last = d.shape[4] - 1
    at = torch.tensor(slices, dtype=torch.float32, device=d.device) * (last / (SHAPE[2] - 1))
    below = at.floor().clamp(max=last - 1)
    share, index = at - below, below.long()
    between = torch.lerp(d[0][..., index], d[0][..., index + 1], share)
    planes = between.permute(3, 0, 1, 2)
    fine = F.interpolate(planes, SHAPE[:2], mode="bilinear", align_corners=True)
    return fine * patient.fade[0, 0][:, :, list(slices)].permute(2, 0, 1)[:, None]


def _jacobian(below: Tensor, here: Tensor, above: Tensor) -> Tensor:
    """(X, Y, n) minus the logarithm of the determinant of the gradient of x + d(x).

    Minus: where the counterfactual takes a wider piece of the patient into the same space,
    the tissue has become smaller.  Central differences; the fade keeps the ends at 0.

    Parameters
    ----------
    below, here, above : (n, 3, X, Y) faded displacement of each slice and its neighbours, voxels.
    """
    x, y = torch.gradient(here, dim=(2, 3))
    columns = [column.unbind(1) for column in (x, y, (above - below) / 2)]
    determinant = _determinant(*columns)
    return determinant.clamp(min=LEAST).reciprocal().log().permute(1, 2, 0)


def _determinant(x: Sequence[Tensor], y: Sequence[Tensor], z: Sequence[Tensor]) -> Tensor:
    """(…) determinant of the identity plus the matrix of columns `x`, `y`, `z`, three (…) each."""
    a, b, c = x[0] + 1, y[1] + 1, z[2] + 1
    determinant: Tensor = (
        a * (b * c - z[1] * y[2])
        - y[0] * (x[1] * c - z[1] * x[2])
        + z[0] * (x[1] * y[2] - b * x[2])
    )
    return determinant
