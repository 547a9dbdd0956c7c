"""The brain in a whole head, from one or more modalities, by classical means.

The head has been registered to the template by an affine.  In MNI space the template says
where brain may be; a mixture of Gaussians per kind of tissue, fitted to the head's own
intensities by expectation maximisation with those priors (Ashburner & Friston 2005,
without their deformation), says where it is; morphology makes one closed region of it.
No modality has to be known: the contrast is learned from each head.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import Cancelled, UnusableFile, UnusableStudy
from napari_medsyn.scans.geometry import Affine, Grid
from napari_medsyn.scans.preparation.resampling import index_map, inverse, resample
from napari_medsyn.scans.preparation.template import template_path
from napari_medsyn.scans.preparation.tissues import KINDS, Mixture, align_priors

Volume = NDArray[np.float32]
Mask = NDArray[np.bool_]
ShouldStop = Callable[[], bool]

#: Where and how finely the brain is looked for: MNI mm.
SPACING = 1.5
LOW, HIGH = (-87.0, -123.0, -72.0), (87.0, 90.0, 99.0)

#: The least of a brain that is enough to know what it looks like, mm³.
LEAST_SEEN = 30_000.0
NO_BRAIN = "no brain lies where the registration to MNI puts it; check the scans"

#: An affine leaves heads a few mm apart: the priors are blurred by this, mm.
PRIOR_BLUR = 2.5
SAMPLES, ALIGNING_SAMPLES = 40_000, 10_000
#: Rounds of fitting intensities and moving the priors, before the final fit.
ALIGNMENTS = 3
#: Distance over which the receive field is taken for constant, mm.
BIAS_WIDTH = 30.0
#: Strength and number of the rounds in which neighbours have their say.
NEIGHBOURS, ROUNDS = 4.0, 3

#: What is thinner than twice this is no brain but a bridge to the scalp, mm.
BRIDGE = 4.0
#: Gaps narrower than twice this belong to the brain (sulci), mm.
SULCUS = 8.0
#: What is left on the surface: anything, and what looks like fluid, mm.
MARGIN, FLUID_MARGIN = 1.0, 4.0
#: Smoothness of the surface, mm.
SURFACE = 1.5

#: A brain cut out of its skull is not larger than this, litres.
LARGEST_BRAIN = 2.4
#: The skull lies this deep below the head's surface, mm.
SKULL_DEPTH = (4.0, 14.0)
#: Darker than this against the depth of the head is bone or air …
DARK = 0.35
#: … and that is more than this share of the skull's layer (a fifth and more of it in the
#: heads looked at), but less of a brain's (6 % at most in 25 scans).
LEAST_BONE = 0.12


@dataclass(frozen=True, eq=False, slots=True)
class FoundBrain:
    """A brain and a better idea of where it lies.

    Parameters
    ----------
    mask : (X, Y, Z) bool, one piece without holes.
    to_mni : (4, 4) world of the mask's grid to MNI152 world, mm, as tissues fit best.
    """

    mask: Mask
    to_mni: Affine


def compute_brain_mask(
    volumes: Mapping[str, NDArray[np.float32]],
    to_mni: Affine,
    grid: Grid,
    should_stop: ShouldStop | None = None,
) -> Mask:
    """The mask of `find_brain`, which see."""
    return find_brain(volumes, to_mni, grid, should_stop).mask


def find_brain(
    volumes: Mapping[str, NDArray[np.float32]],
    to_mni: Affine,
    grid: Grid,
    should_stop: ShouldStop | None = None,
    template: Path | None = None,
) -> FoundBrain:
    """The brain with its ventricles and sulci in a head that shows skull and scalp.

    Parameters
    ----------
    volumes : modality to (X, Y, Z) intensities on `grid`, at least one; any scale.
    to_mni : (4, 4) world of `grid` to MNI152 world, mm; an affine registration, which
        may be off by a centimetre.
    grid : the grid of all volumes and of the result.
    should_stop : asked between steps.
    template : a file like the shipped one, which is taken if None.

    Raises
    ------
    UnusableStudy : no volume shows a brain where `to_mni` says.
    Cancelled : `should_stop` said so.
    """
    if not volumes:
        raise ValueError("a brain mask needs at least one volume")
    check = _checker(should_stop)
    work = _working_grid()
    priors = _Priors.load(template or template_path(), work)
    for _ in range(ALIGNMENTS):
        check()
        head = _Head.at(volumes, grid, work, to_mni, priors)
        to_mni = head.correction(work, priors, check) @ to_mni
    check()
    head = _Head.at(volumes, grid, work, to_mni, priors)
    tissue, fluid = _classify(head, priors, check)
    mask = _one_piece(tissue, fluid, priors, check)
    return FoundBrain(_on_grid(mask, work, grid, to_mni), to_mni)


def has_skull(volume: NDArray[Any], grid: Grid) -> bool:
    """Whether a scan shows the whole head rather than a brain that was cut out.

    A cut-out brain lies in exact zeros, is of a brain's size, and has no layer of bone
    below its surface.

    Parameters
    ----------
    volume : (X, Y, Z) finite intensities, background at or near 0.
    grid : the volume's grid.
    """
    from scipy import ndimage

    air = np.concatenate([np.take(volume, (0, -1), axis).ravel() for axis in range(3)])
    if np.count_nonzero(air) > 0.5 * air.size:
        return True  # noise in the air, or a head that fills the field of view
    spacing = grid.spacing
    inside = ndimage.binary_fill_holes(volume > 0)
    litres = np.count_nonzero(inside) * abs(np.linalg.det(grid.affine[:3, :3])) / 1e6
    if litres > LARGEST_BRAIN:
        return True
    depth = ndimage.distance_transform_edt(inside, sampling=spacing)
    deep = depth > max(25.0, float(np.percentile(depth[inside], 70))) if inside.any() else inside
    layer = (depth > SKULL_DEPTH[0]) & (depth < SKULL_DEPTH[1])
    if not deep.any() or not layer.any():
        return False
    dark = volume[layer] < DARK * np.median(volume[deep])
    return bool(dark.mean() > LEAST_BONE)


# ---------------------------------------------------------------------- into MNI space


@dataclass(frozen=True, eq=False, slots=True)
class _Priors:
    """Probabilities on the working grid, (X, Y, Z) float32 from 0 to 1.

    `kinds` holds those of `KINDS`, in this order.
    """

    brain: Volume
    kinds: Volume

    @classmethod
    def load(cls, path: Path, work: Grid) -> _Priors:
        from scipy import ndimage

        try:
            with np.load(path, allow_pickle=False) as stored:
                names = ("brain", *(kind for kind in KINDS if kind != "air"))
                arrays = {name: stored[name].astype(np.float32) / 255 for name in names}
                affine = stored["affine"].astype(float)
        except (OSError, ValueError, KeyError) as error:
            raise UnusableFile(
                path, f"the MNI template cannot be read ({error}); install napari-medsyn again"
            ) from error
        x, y, z = arrays["brain"].shape
        to_template = index_map(Grid((x, y, z), affine), work)
        maps = []
        for array in arrays.values():
            blurred = ndimage.gaussian_filter(array, PRIOR_BLUR / 2.0)
            maps.append(resample(blurred, to_template, work.shape))
        brain, *tissues = maps
        air = np.clip(1 - np.sum(tissues, axis=0), 0.0, 1.0)
        kinds = np.stack([*tissues, air]) + np.float32(1e-4)
        return cls(brain, kinds / kinds.sum(axis=0))


def _working_grid() -> Grid:
    affine = np.diag([SPACING, SPACING, SPACING, 1.0])
    affine[:3, 3] = LOW
    x, y, z = (np.ceil(np.subtract(HIGH, LOW) / SPACING).astype(int) + 1).tolist()
    return Grid((x, y, z), affine)


def _to_work(volume: NDArray[np.float32], grid: Grid, work: Grid, to_mni: Affine) -> Volume:
    return resample(volume, index_map(grid, work, inverse(to_mni)), work.shape)


def _flattened(image: Volume, priors: _Priors, seen: Mask) -> Volume:
    """`image` with 1 for what is typical of its brain, its receive field evened out."""
    from scipy import ndimage

    core = seen & (priors.kinds[:2].sum(axis=0) > 0.9) & (image > 0)
    if np.count_nonzero(core) < 1000:
        raise UnusableStudy(NO_BRAIN)
    image = image / np.median(image[core])
    means = [np.average(np.minimum(image[core], 3), weights=p[core]) for p in priors.kinds[:3]]
    expected = np.tensordot(np.asarray(means, np.float32), priors.kinds[:3], axes=1)
    coarse = (slice(None, None, 4),) * 3
    weight = core[coarse].astype(np.float32)
    ratio = weight * np.clip(image[coarse] / np.maximum(expected[coarse], 0.1), 0.3, 3.0)
    width = BIAS_WIDTH / (4 * SPACING)
    # The small constant leads to 1 where no brain is near.
    field = (ndimage.gaussian_filter(ratio, width) + 1e-3) / (
        ndimage.gaussian_filter(weight, width) + 1e-3
    )
    whole = ndimage.zoom(field, 4, order=1)[tuple(slice(n) for n in image.shape)]
    return np.asarray(np.clip(image / whole, 0.0, 4.0), np.float32)


# ---------------------------------------------------------------------- kinds of tissue


@dataclass(frozen=True, eq=False, slots=True)
class _Head:
    """A head on the working grid.

    Parameters
    ----------
    channels : (M, X, Y, Z) float32, 1 for what is typical of its brain.
    seen : (X, Y, Z) bool, where the scans reach.
    """

    channels: NDArray[np.float32]
    seen: Mask

    @classmethod
    def at(
        cls, volumes: Mapping[str, Volume], grid: Grid, work: Grid, to_mni: Affine, priors: _Priors
    ) -> _Head:
        seen = _to_work(np.ones(grid.shape, np.float32), grid, work, to_mni) > 0.5
        if np.count_nonzero(seen & (priors.brain > 0.5)) < LEAST_SEEN / SPACING**3:
            raise UnusableStudy(NO_BRAIN)
        images = [_to_work(volume, grid, work, to_mni) for volume in volumes.values()]
        return cls(np.stack([_flattened(image, priors, seen) for image in images]), seen)

    def values(self, where: NDArray[np.int64]) -> NDArray[np.float64]:
        """(N, M) intensities at flat indices."""
        return self.channels.reshape(len(self.channels), -1)[:, where].T.astype(float)

    def mixture(self, priors: _Priors, check: Callable[[], None]) -> Mixture:
        """What kinds of tissue look like in this head."""
        where = _thinned(np.flatnonzero(self.seen), SAMPLES)
        shares = priors.kinds.reshape(len(priors.kinds), -1)[:, where].T
        return Mixture.fit(self.values(where), shares.astype(float), check)

    def correction(self, work: Grid, priors: _Priors, check: Callable[[], None]) -> Affine:
        """(4, 4) MNI to MNI, mm: how the head has to move to fit the priors."""
        where = _thinned(np.flatnonzero(self.seen), ALIGNING_SAMPLES)
        likelihood = self.mixture(priors, check).likelihoods(self.values(where))
        step = 2
        points = np.stack(np.unravel_index(where, work.shape), axis=1) / step
        coarse = np.ascontiguousarray(priors.kinds[:, ::step, ::step, ::step])
        found = align_priors(points, likelihood, coarse, check)
        to_world = work.affine @ np.diag([step, step, step, 1.0])
        return np.asarray(to_world @ found @ inverse(to_world), float)


def _thinned(where: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    return where[:: max(1, len(where) // most)]


def _classify(head: _Head, priors: _Priors, check: Callable[[], None]) -> tuple[Volume, Volume]:
    """Probability of brain tissue and of fluid, given intensities and neighbours."""
    from scipy import ndimage

    where = np.flatnonzero(head.seen)
    found = head.mixture(priors, check).likelihoods(head.values(where))
    belief = priors.kinds.copy()
    for kind, part in enumerate(belief):
        part.reshape(-1)[where] *= found[:, kind].astype(np.float32)
    posterior = belief / belief.sum(axis=0)
    for _ in range(ROUNDS):
        check()
        tissue = ndimage.gaussian_filter(posterior[0] + posterior[1], 1.0)
        fluid = ndimage.gaussian_filter(posterior[2], 1.0)
        others = [1 - tissue - fluid] * (len(KINDS) - 3)
        spoken = belief * np.exp(NEIGHBOURS * np.stack([tissue, tissue, fluid, *others]))
        posterior = spoken / spoken.sum(axis=0)
    return posterior[0] + posterior[1], posterior[2]


# ---------------------------------------------------------------------- one closed region


def _one_piece(tissue: Volume, fluid: Volume, priors: _Priors, check: Callable[[], None]) -> Volume:
    """The brain on the working grid: 1 inside, 0 outside, between them at the surface."""
    from scipy import ndimage

    possible = priors.brain > 0.02
    solid = (tissue > 0.5) & possible
    check()
    # Ventricles would part the brain from itself: deep fluid stays while bridges are cut.
    deep = (priors.brain > 0.98) & (tissue + fluid > 0.5)
    core = _largest(_depth(solid | deep) > BRIDGE)
    check()
    solid &= _distance(core) <= BRIDGE + SPACING
    check()
    far = _distance(solid | core)
    closed = _depth(far <= SULCUS) > SULCUS
    wet = (tissue + fluid > 0.5) & (far <= FLUID_MARGIN)
    closed |= (wet | (far <= MARGIN)) & possible
    mask = _largest(np.asarray(ndimage.binary_fill_holes(closed | core), dtype=bool))
    smooth: Volume = ndimage.gaussian_filter(mask.astype(np.float32), SURFACE / SPACING)
    return smooth


def _depth(mask: Mask) -> Volume:
    from scipy import ndimage

    return np.asarray(ndimage.distance_transform_edt(mask, sampling=SPACING), np.float32)


def _distance(mask: Mask) -> Volume:
    return _depth(~mask)


def _largest(mask: Mask) -> Mask:
    """The largest connected piece; all of an empty mask."""
    from scipy import ndimage

    pieces, count = ndimage.label(mask)
    if count < 2:
        return mask
    return np.asarray(pieces == np.bincount(pieces.ravel())[1:].argmax() + 1, dtype=bool)


def _on_grid(mask: Volume, work: Grid, grid: Grid, to_mni: Affine) -> Mask:
    from scipy import ndimage

    found = resample(mask, index_map(work, grid, to_mni), grid.shape, average=False) > 0.5
    return np.asarray(ndimage.binary_fill_holes(_largest(found)), dtype=bool)


def _checker(should_stop: ShouldStop | None) -> Callable[[], None]:
    def check() -> None:
        if should_stop is not None and should_stop():
            raise Cancelled("the brain extraction was stopped")

    return check
