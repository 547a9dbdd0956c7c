"""Where the patient's scans lie against each other and in MNI space, judged by the images.

Registration works on copies of 2 mm along the axes of each scan's world.  A brain without
skull is first brought over the template's by the spread of its voxels and its outline,
then by mutual information, which does not mind the modality.  A whole head has no
outline of the brain: it starts from several heights and is refined by information alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.scans.geometry import Affine, Grid, corner_indices, to_world
from napari_medsyn.scans.preparation.optimising import (
    ShouldStop,
    Stage,
    itk_image,
    metric_at,
    optimise,
)
from napari_medsyn.scans.preparation.resampling import index_map, inverse, resample
from napari_medsyn.scans.preparation.template import Template

#: Voxel size at which images are registered, mm.
SPACING = 2.0
#: A scan whose brain would move by less than this in the median is in place, mm: scans that
#: others normalised move by 1.2 to 1.9, turns by 5 degrees by 2.8 and more.
IN_PLACE = 2.5
#: Scans of one session that would move by less than this are left where they are, mm.
ALIGNED = 0.7
#: Overlap (Dice) with the template's brain below which a brain is not in place for sure.
LEAST_OVERLAP = 0.9
#: Overlap of two brains on one grid from which they were cut out together.
SAME_BRAIN = 0.98
#: Voxels the brain is widened by where images are compared: its outline counts.
MARGIN = 2

OUTLINE = Stage(metric="squares", shrink=2, step=4.0, least_step=0.1)
COARSE = Stage(shrink=2, step=4.0)
FINE = Stage(shrink=1, step=0.5, least_step=0.02, most=30)
RIGID_COARSE = Stage(motion="rigid", shrink=2, step=4.0)
RIGID_FINE = Stage(motion="rigid", shrink=1, step=0.5, least_step=0.02, most=30)
HEAD_RIGID = Stage(motion="rigid", shrink=4, step=8.0, least_step=0.2)


@dataclass(frozen=True, eq=False, slots=True)
class WorkingImage:
    """A scan at 2 mm along the axes of its own world.

    Parameters
    ----------
    grid : RAS+.
    values : (X, Y, Z) float32, 0 to about 1.
    brain : (X, Y, Z) float32, share of brain in each voxel; None while unknown.
    """

    grid: Grid
    values: NDArray[np.float32]
    brain: NDArray[np.float32] | None

    def cut_out(self, brain: NDArray[np.float32]) -> WorkingImage:
        """The same image with everything but `brain` set to 0."""
        return replace(self, values=self.values * brain, brain=brain)

    def points(self) -> NDArray[np.float64]:
        """(n, 3) world points of the brain, or of the head where the brain is unknown, mm."""
        inside = self.values > 0.1 if self.brain is None else self.brain > 0.5
        return to_world(self.grid.affine, np.argwhere(inside))


def working_image(
    voxels: NDArray[Any], grid: Grid, support: NDArray[np.bool_] | None
) -> WorkingImage:
    """`voxels` on `grid` as a `WorkingImage`; `support` is the brain on the same grid."""
    world = to_world(grid.affine, corner_indices(grid.shape))
    low, high = world.min(axis=0) - SPACING, world.max(axis=0) + SPACING
    x, y, z = (np.ceil((high - low) / SPACING).astype(int) + 1).tolist()
    affine = np.diag([SPACING, SPACING, SPACING, 1.0])
    affine[:3, 3] = low
    coarse = Grid((x, y, z), affine)
    to_voxels = index_map(grid, coarse)
    values = resample(voxels, to_voxels, coarse.shape)
    brain = None
    if support is not None:
        brain = resample(support, to_voxels, coarse.shape)
        values *= brain > 0
    bright = values[values > 0]
    top = float(np.percentile(bright, 99)) if bright.size else 1.0
    return WorkingImage(coarse, np.clip(values / max(top, 1e-6), 0, 1.2), brain)


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Dice overlap, 0 to 1."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 0.0


def displacement(one: Affine, other: Affine, points: NDArray[np.float64]) -> float:
    """Median distance between where two affines bring `points`, mm."""
    return float(np.median(np.linalg.norm(to_world(one, points) - to_world(other, points), axis=1)))


def brain_overlap(image: WorkingImage, template: Template, to_model: Affine) -> float:
    """Dice overlap of the image's brain with the template's; `to_model` is world to MNI."""
    if image.brain is None:
        raise ValueError("the image's brain is not known")
    to_image = index_map(image.grid, template.grid, inverse(to_model))
    brain = resample(image.brain, to_image, template.grid.shape)
    return overlap(brain > 0.5, template.brain > 0.5)


# ---------------------------------------------------------------------- to the template


def is_in_place(
    image: WorkingImage, template: Template, should_stop: ShouldStop | None = None
) -> bool:
    """Whether a brain lies in MNI space as it is: at the template's place, turn and scale.

    The brains have to overlap, and registration from here has to lead nowhere else: by
    what is inside and by the outline, as atrophy misleads the one and generous brain
    extraction the other.
    """
    here: Affine = np.eye(4)
    if image.brain is None or brain_overlap(image, template, here) < LEAST_OVERLAP:
        return False
    fixed = _brain_only(template)
    by_inside, _ = optimise(
        fixed.image,
        itk_image(image.values, image.grid),
        here,
        fixed.centre,
        COARSE,
        mask=fixed.mask,
        should_stop=should_stop,
    )
    by_outline, _ = optimise(
        itk_image(template.brain, template.grid),
        itk_image(image.brain, image.grid),
        here,
        fixed.centre,
        OUTLINE,
        should_stop=should_stop,
    )
    return displacement((by_inside + by_outline) / 2, here, fixed.points) < IN_PLACE


def register_brain(
    image: WorkingImage,
    template: Template,
    start: Affine | None = None,
    should_stop: ShouldStop | None = None,
) -> Affine:
    """(4, 4) from the world of a brain without skull to MNI, 12 degrees of freedom.

    Parameters
    ----------
    start : from where to refine; None begins with the brain's position and extent.
    """
    fixed = _brain_only(template)
    moving = itk_image(image.values, image.grid)
    if start is None:
        if image.brain is None:
            raise ValueError("the image's brain is not known")
        where = _by_spread(image.points(), fixed.points)
        outline = itk_image(image.brain, image.grid)
        where, _ = optimise(
            itk_image(template.brain, template.grid),
            outline,
            where,
            fixed.centre,
            OUTLINE,
            should_stop=should_stop,
        )
    else:
        where = inverse(start)
    for stage in (COARSE, FINE):
        where, _ = optimise(
            fixed.image,
            moving,
            where,
            fixed.centre,
            stage,
            mask=fixed.mask,
            should_stop=should_stop,
        )
    to_model: Affine = inverse(where)
    return to_model


def register_head(
    image: WorkingImage, template: Template, should_stop: ShouldStop | None = None
) -> Affine:
    """(4, 4) from the world of a whole head to MNI, 12 degrees of freedom.

    How much neck a scan shows is not known, so it starts from several heights.
    """
    fixed = _around_brain(template)
    moving = itk_image(image.values, image.grid)
    middle = image.points().mean(axis=0)
    starts = []
    for height in (-40.0, -20.0, 0.0, 20.0, 40.0):
        start = np.eye(4)
        start[:3, 3] = middle - fixed.centre + [0.0, 0.0, height]
        starts.append(
            optimise(
                fixed.image,
                moving,
                start,
                fixed.centre,
                HEAD_RIGID,
                mask=fixed.mask,
                should_stop=should_stop,
            )
        )
    where, _ = min(starts, key=lambda found: found[1])
    for stage in (COARSE, FINE):
        where, _ = optimise(
            fixed.image,
            moving,
            where,
            fixed.centre,
            stage,
            mask=fixed.mask,
            should_stop=should_stop,
        )
    to_model: Affine = inverse(where)
    return to_model


# ---------------------------------------------------------------------- to each other


def register_rigidly(
    fixed: WorkingImage, moving: WorkingImage, should_stop: ShouldStop | None = None
) -> Affine:
    """(4, 4) from the world of `fixed` to that of `moving`, 6 degrees of freedom.

    The identity, that is what the headers say, unless moving improves the agreement and
    is worth it (`ALIGNED`).
    """
    from scipy import ndimage

    here = np.eye(4)
    points = fixed.points()
    centre = points.mean(axis=0)
    inside = fixed.values > 0.1 if fixed.brain is None else fixed.brain > 0.5
    mask = itk_image(ndimage.binary_dilation(inside, iterations=MARGIN), fixed.grid)
    images = itk_image(fixed.values, fixed.grid), itk_image(moving.values, moving.grid)
    found = here
    for stage in (RIGID_COARSE, RIGID_FINE):
        found, _ = optimise(*images, found, centre, stage, mask=mask, should_stop=should_stop)
    before, after = (metric_at(*images, where, centre, RIGID_FINE, mask) for where in (here, found))
    if after >= before or displacement(found, here, points) < ALIGNED:
        return here
    return found


# ---------------------------------------------------------------------- parts


@dataclass(frozen=True, eq=False, slots=True)
class Fixed:
    """What scans are compared with: image, mask, and points and centre of the brain, mm."""

    image: Any
    mask: Any
    points: NDArray[np.float64]
    centre: NDArray[np.float64]


def _brain_only(template: Template) -> Fixed:
    return _fixed(template, template.head * (template.brain > 0.5), MARGIN)


def _around_brain(template: Template) -> Fixed:
    return _fixed(template, template.head, 6)


def _fixed(template: Template, values: NDArray[np.float32], margin: int) -> Fixed:
    from scipy import ndimage

    brain = template.brain > 0.5
    widened = ndimage.binary_dilation(brain, iterations=margin)
    points = to_world(template.grid.affine, np.argwhere(brain))
    return Fixed(
        itk_image(values, template.grid),
        itk_image(widened, template.grid),
        points[::20],
        points.mean(axis=0),
    )


def _by_spread(
    points: NDArray[np.float64], template_points: Sequence[Any] | NDArray[np.float64]
) -> Affine:
    """MNI to the patient's world by mean and spread along each axis; nothing is turned."""
    goal = np.asarray(template_points)
    scale = points.std(axis=0) / goal.std(axis=0)
    start: Affine = np.diag([*scale, 1.0])
    start[:3, 3] = points.mean(axis=0) - scale * goal.mean(axis=0)
    return start
