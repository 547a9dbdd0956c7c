"""Names for the principal directions of styles, where they go with something.

Over people of nobody, the position along a direction is correlated with the covariates that
were asked for and with the size of the brain that came out.  A direction is named after what
it goes with most, if that is a clear correlation; most of them are nothing with a name.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_medsyn.models.mssg.generator import MultiSourceGenerator
from napari_medsyn.models.mssg.lattice import coarser, warp

#: A correlation from which a direction is named.
CLEAR = 0.45
#: What it means when the label vector's numbers grow, and when they shrink.
LABELS = (
    ("older", "younger"),
    ("male", "female"),
    ("larger ventricles", "smaller ventricles"),
    ("more lesions", "fewer lesions"),
    ("the MS clinic's look", "the volunteers' look"),
)
#: The same of the brain's extents along the axes.
EXTENTS = (
    ("wider brain", "narrower brain"),
    ("longer brain", "shorter brain"),
    ("taller brain", "lower brain"),
)


def names(correlations: NDArray[np.float64], titles: Sequence[tuple[str, str]]) -> list[str]:
    """A name for each direction.

    Parameters
    ----------
    correlations : (directions, titles) of the position along each with each quantity.
    titles : what it means when the quantity grows, and when it shrinks.
    """
    given = []
    for number, row in enumerate(correlations, 1):
        best = int(np.abs(row).argmax())
        if abs(row[best]) < CLEAR:
            given.append(f"Direction {number}")
        else:
            title = titles[best][int(row[best] < 0)]
            given.append(f"{number} · {title} (r {abs(row[best]):.1f})")
    return given


@torch.no_grad()
def named_directions(net: MultiSourceGenerator, pool: Tensor) -> list[str]:
    """Names of the directions of a generator.

    Parameters
    ----------
    pool : (n, 5) label vectors of people as they are; all are made, on the 4 mm lattice.
    """
    z = torch.randn(len(pool), net.sizes.z, generator=torch.Generator().manual_seed(0))
    styles = net.style(z, pool)
    unit = net.directions / net.directions.norm(dim=1, keepdim=True).square().clamp(min=1e-12)
    along = (styles - net.mapping.w_avg) @ unit.T
    shapes = net.coefficients(styles).shape
    sizes = torch.cat([extents(net, one) for one in shapes.split(1)])
    quantities = torch.cat([pool, sizes], 1)
    both = np.corrcoef(torch.cat([along, quantities], 1).double().numpy().T)
    count = len(net.directions)
    return names(np.nan_to_num(both[:count, count:]), (*LABELS, *EXTENTS))


def extents(net: MultiSourceGenerator, shape: Tensor) -> Tensor:
    """(1, 3) standard deviation of the brain's voxels along x, y and z, lattice points."""
    edge = warp(coarser(net.head.volume(net.head.edge)), net.head.displacement(shape))[0, 0]
    found = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        profile = edge.sum(others)
        at = torch.arange(len(profile), dtype=torch.float32)
        mean = (profile * at).sum() / profile.sum()
        found.append(((profile * (at - mean) ** 2).sum() / profile.sum()).sqrt())
    return torch.stack(found)[None]
