"""Inversion: which style, and which remainder, make the generator give this patient.

Three parts explain a T1, each what the one before it leaves: the style (one w, and small
offsets of it for each group of coefficients, W+: Abdal et al., ICCV 2019), pulled towards the
styles that people with the same covariates have; a velocity of the person's own; and a smooth
field of intensity.  An edit moves the first and carries the second along.

On a CPU the same scan and covariates give the same bits; on a GPU the gradients of sampling
are added up in no fixed order, and the last digits differ.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_medsyn.models.mssg.generator import GROUPS, MultiSourceGenerator
from napari_medsyn.models.mssg.head import Coefficients
from napari_medsyn.models.mssg.lattice import (
    SHAPE,
    coarser,
    exponential,
    velocity,
    warp,
)

if TYPE_CHECKING:
    from napari_medsyn.scans.preparation import PreparedStudy

#: Draws of z by which the styles of people with the same covariates are known.
DRAWS: Final = 64
#: Least spread of a number of w in an inversion, relative to the mean of all.
LEAST: Final = 0.5
#: Weights, against 100 times the mean squared difference: of how far w is from those styles
#: (in their standard deviations), of the offsets of W+, of the remainder's squared gradient.
PRIOR: Final = 0.02
OFFSETS: Final = 0.02
STIFFNESS: Final = 0.15
#: Voxels of 2 mm from one control point of the intensity field to the next, and the weight of
#: its squared control values against the squared difference in a voxel.
INTENSITY_STRIDE: Final = 2
INTENSITY_WEIGHT: Final = 0.02
#: Conjugate gradients in one step of the intensity field.
GRADIENTS: Final = 3
#: A reconstruction below this is told to the user.
POOR_DB: Final = 24.0
#: Depth below the brain's surface at which displacements are whole, voxels of 2 mm.
DEPTH: Final = 3.5


@dataclass(frozen=True, slots=True)
class Effort:
    """Steps of each part of an inversion; none takes longer than about 0.3 s on one core.

    Parameters
    ----------
    style : on the 4 mm lattice.
    coarse, fine : of the velocity, on the lattice and on the grid of 2 mm.
    intensity : of the field of intensity.
    """

    style: int = 30
    coarse: int = 30
    fine: int = 16
    intensity: int = 6

    @property
    def steps(self) -> int:
        """Steps in all."""
        return self.style + self.coarse + self.fine + self.intensity


@dataclass(frozen=True, eq=False)
class Patient:
    """A patient's T1 on the generator's grid.

    Parameters
    ----------
    content : changes with the scan.
    t1 : (1, 1, *SHAPE), normalised intensity, 0 outside the brain.
    mask : (1, 1, *SHAPE) bool, the brain.
    fade : (1, 1, *SHAPE) share of a displacement that a voxel keeps: 0 outside the brain,
        rising to 1 within `DEPTH` voxels of its surface.
    axes : (3, 3) from voxels to the model's world, mm.
    """

    content: str
    t1: Tensor
    mask: Tensor
    fade: Tensor
    axes: Tensor

    @classmethod
    def from_study(cls, study: PreparedStudy, device: torch.device) -> Patient:
        """The T1 of a study that is prepared on the generator's grid."""
        mask = np.asarray(study.mask)
        arrays = np.asarray(study.volumes["T1"], np.float32), mask, faded(mask)
        t1, brain, fade = (torch.from_numpy(np.ascontiguousarray(a)).to(device) for a in arrays)
        axes = torch.tensor(study.grid.affine[:3, :3], dtype=torch.float32, device=device)
        return cls(study.content_hash, t1[None, None], brain[None, None], fade[None, None], axes)


def faded(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """How much of a displacement each voxel of a brain keeps, 0 to 1.

    The surface stays where it is, and displacements of up to 6 mm take nothing from outside
    the brain: s^2 (3 - 2s) of the depth s below the surface, where the outermost voxel lies
    half a voxel deep.
    """
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1, 1:-1] - 0.5
    s = np.clip(depth / DEPTH, 0, 1)
    faded: NDArray[np.float32] = (s**2 * (3 - 2 * s)).astype(np.float32)
    return faded


@dataclass(frozen=True, eq=False)
class Found:
    """What an inversion has found.

    Parameters
    ----------
    coefficients : of the style, one person.
    control_values : (1, 3, *CONTROLS) of the whole velocity, with the person's own remainder.
    u, back : (1, 3, *LATTICE) displacement from person to template, and from template to
        person, 2 mm voxels.
    home : (1, 3, *LATTICE) there and back again: nothing but the errors of integration.
    image : (1, 1, *SHAPE) reconstruction, normalised intensity.
    psnr_db : peak signal-to-noise ratio of `image` in the brain, data range 1.
    psnr_style_db, psnr_shape_db : the same of the style alone, and with the person's own
        velocity but without the field of intensity.
    """

    coefficients: Coefficients
    control_values: Tensor
    u: Tensor
    back: Tensor
    home: Tensor
    image: Tensor
    psnr_db: float
    psnr_style_db: float
    psnr_shape_db: float

    @property
    def warning(self) -> str:
        """A sentence where the reconstruction is poor, else nothing."""
        if self.psnr_db >= POOR_DB:
            return ""
        return (
            f"The model reconstructs this scan poorly ({self.psnr_db:.1f} dB in the brain, usual "
            f"are {POOR_DB:.0f} dB and more): read its counterfactuals with care."
        )


class Inversion:
    """An inversion under way, step by step.

    Parameters
    ----------
    net : the generator.
    patient : whom to find.
    labels : (1, 5) label vector of the patient's own covariates.
    load_ml : (1,) the patient's own lesion load, ml.
    start : (1, w) style to begin with; None for the mean style of the covariates.
    effort : steps of each part.
    """

    def __init__(
        self,
        net: MultiSourceGenerator,
        patient: Patient,
        labels: Tensor,
        load_ml: Tensor,
        start: Tensor | None = None,
        effort: Effort | None = None,
    ) -> None:
        self.effort = effort or Effort()
        self.done = 0
        self._found: Found | None = None
        self._steps = invert(net, patient, labels, load_ml, start, self.effort)

    @property
    def left(self) -> int:
        """Steps still to be made."""
        return 0 if self._found is not None else self.effort.steps - self.done

    @torch.no_grad()
    def advance(self) -> None:
        """Make one step, if there is one left."""
        if self._found is None:
            try:
                next(self._steps)
                self.done += 1
            except StopIteration as end:
                self._found = end.value

    def finish(self) -> Found:
        """Make all steps that are left, and give what was found."""
        while self._found is None:
            self.advance()
        return self._found


def invert(
    net: MultiSourceGenerator,
    patient: Patient,
    labels: Tensor,
    load_ml: Tensor,
    start: Tensor | None,
    effort: Effort,
) -> Generator[None, None, Found]:
    """Invert step by step, giving way after each; parameters as of `Inversion`.

    To be run without gradients: each part turns them on where it needs them.
    """
    head = net.head
    styles = yield from _fit_style(net, patient, labels, start, effort)
    coefficients = net.coefficients(styles)
    composed = head.compose(coefficients, load_ml)
    by_style = psnr_db(warp(composed.t1, composed.u), patient)
    base = head.control_values(coefficients.shape)
    values = yield from _fit_velocity(composed.t1, patient, base, effort)
    v = velocity(values)
    u, back = exponential(v), exponential(-v)
    moved = warp(composed.t1, u)
    by_shape = psnr_db(moved, patient)
    inside = patient.mask[0, 0].float()
    rest = yield from _fit_intensity((patient.t1 - moved)[0, 0], inside, effort)
    image = ((moved + rest) * patient.mask).clamp(0, 1.5)
    home = to_patient(u, back)
    reached = psnr_db(image, patient)
    return Found(coefficients, values, u, back, home, image, reached, by_style, by_shape)


def to_patient(u: Tensor, back: Tensor) -> Tensor:
    """(1, 3, *LATTICE) phi_p^-1(x + u(x)) - x.

    Parameters
    ----------
    u : (1, 3, *LATTICE) displacement from some person to the template, 2 mm voxels.
    back : (1, 3, *LATTICE) displacement from the template to the patient: phi_p^-1.
    """
    return u + warp(back, u)


def psnr_db(image: Tensor, patient: Patient) -> float:
    """Peak signal-to-noise ratio of (1, 1, *SHAPE) in the brain, data range 1; at most 99 dB."""
    error = float((image - patient.t1)[patient.mask].double().square().mean())
    return min(99.0, -10 * math.log10(max(error, 1e-12)))


def _fit_style(
    net: MultiSourceGenerator,
    patient: Patient,
    labels: Tensor,
    start: Tensor | None,
    effort: Effort,
) -> Generator[None, None, Tensor]:
    """(1, GROUPS, w) styles that give the T1 on the 4 mm lattice."""
    usual, spread = usual_styles(net, labels)
    target, brain = coarser(patient.t1), coarser(patient.mask.float())
    t1, basis = _coarse_template(net)
    w = (((usual if start is None else start) - usual) / spread).requires_grad_(True)
    offsets = torch.zeros(1, GROUPS, w.shape[1], device=w.device, requires_grad=True)

    def styles() -> Tensor:
        return usual[:, None] + spread * (w[:, None] + offsets)

    def loss() -> Tensor:
        found = net.coefficients(styles())
        painted = t1 + torch.tensordot(found.appearance, basis, dims=([1], [0]))
        made = warp(painted.clamp(0, 1.5), net.head.displacement(found.shape))
        far = PRIOR * w.square().mean() + OFFSETS * offsets.square().mean() * GROUPS
        return 100 * ((made - target).square() * brain).sum() / brain.sum() + far

    yield from _descend([w, offsets], loss, effort.style, rate=0.15)
    return styles().detach()


def _fit_velocity(
    template: Tensor, patient: Patient, base: Tensor, effort: Effort
) -> Generator[None, None, Tensor]:
    """(1, 3, *CONTROLS) control values: `base` and the person's own remainder of them."""
    own = torch.zeros_like(base, requires_grad=True)
    for steps, rate, is_fine in ((effort.coarse, 0.25, False), (effort.fine, 0.15, True)):
        image, target = template, patient.t1
        if not is_fine:
            image, target = coarser(image), coarser(target)

        def loss(image: Tensor = image, target: Tensor = target) -> Tensor:
            made = warp(image, exponential(velocity(base + own)))
            v = velocity(own)
            rough = torch.stack([v.diff(dim=axis).square().mean() for axis in (2, 3, 4)]).sum()
            return 100 * (made - target).square().mean() + STIFFNESS * rough

        yield from _descend([own], loss, steps, rate)
    return (base + own).detach()


def _descend(
    parameters: list[Tensor], loss: Callable[[], Tensor], steps: int, rate: float
) -> Iterator[None]:
    """Adam with a cosine schedule; gives way after each step."""
    optimiser = torch.optim.Adam(parameters, lr=rate, betas=(0.8, 0.95))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        with torch.enable_grad():
            optimiser.zero_grad()
            loss().backward()
        optimiser.step()
        schedule.step()
        yield


def _fit_intensity(rest: Tensor, inside: Tensor, effort: Effort) -> Generator[None, None, Tensor]:
    """(1, 1, *SHAPE) the smooth part of what is left of (*SHAPE): a cubic B-spline.

    Minimises the squared difference inside the brain plus `INTENSITY_WEIGHT` times the squared
    control values by conjugate gradients (Hestenes and Stiefel 1952).
    """
    weights = [_spline(n).to(rest.device) for n in SHAPE]
    turned = [w.T for w in weights]

    def normal(values: Tensor) -> Tensor:
        field = _separable(values, weights)
        return _separable(inside * field, turned) + INTENSITY_WEIGHT * values

    left = _separable(inside * rest, turned)
    found, towards, size = torch.zeros_like(left), left, left.square().sum()
    for _ in range(effort.intensity):
        for _ in range(GRADIENTS):
            along = normal(towards)
            step = size / (towards * along).sum().clamp(min=1e-12)
            found, left = found + step * towards, left - step * along
            before, size = size, left.square().sum()
            towards = left + size / before.clamp(min=1e-12) * towards
        yield
    return _separable(found, weights)[None, None]


def usual_styles(net: MultiSourceGenerator, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (1, w) of the styles of people with a label vector (1, 5)."""
    styles = net.style(draws(net).to(labels.device), labels.expand(DRAWS, -1))
    # What the covariates fix must still be free to move: they may be wrong, or not known.
    spread = styles.std(0, keepdim=True)
    return styles.mean(0, keepdim=True), spread.clamp(min=LEAST * float(spread.mean()) + 1e-6)


def draws(net: MultiSourceGenerator) -> Tensor:
    """(DRAWS, z) latents, always the same, on the CPU."""
    return torch.randn(DRAWS, net.sizes.z, generator=torch.Generator("cpu").manual_seed(0))


def _coarse_template(net: MultiSourceGenerator) -> tuple[Tensor, Tensor]:
    """Template's T1 (1, 1, *LATTICE) and appearances (n, 1, *LATTICE) on the lattice."""
    head = net.head
    coarse = [coarser(head.volume(row))[0, 0] for row in (head.t1[0], *head.appearance_basis)]
    return coarse[0][None, None], torch.stack(coarse[1:])[:, None]


@cache
def _spline(n: int) -> Tensor:
    """(n, controls) cubic B-spline weights of n voxels, a control point beyond either end."""
    controls = -(-(n - 1) // INTENSITY_STRIDE) + 3
    at = torch.arange(n, dtype=torch.float64) / INTENSITY_STRIDE
    t = (at.view(-1, 1) + 1 - torch.arange(controls, dtype=torch.float64)).abs()
    near = 2 / 3 - t**2 + t**3 / 2
    far = (2 - t).clamp(min=0) ** 3 / 6
    return torch.where(t < 1, near, far).float()


def _separable(values: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """A matrix (to, from) along each of three axes of (X, Y, Z), one after the other."""
    for matrix in weights:
        values = torch.tensordot(values, matrix, dims=([0], [1]))
    return values
