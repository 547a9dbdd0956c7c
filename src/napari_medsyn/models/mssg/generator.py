"""The generator: latent and covariates to a style, a style to coefficients, to a person.

Mapping network, truncation, style mixing and W+ are those of StyleGAN2 (Karras et al., CVPR
2020); covariates enter the mapping as in its conditional snapshots, all sources' together,
after the multi-source StyleGAN.  In the place of convolutions stands a `TemplateHead`, whose
groups of coefficients take a style each, coarse to fine, as StyleGAN's resolutions do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn

from napari_medsyn.models.mssg.head import Coefficients, TemplateHead
from napari_medsyn.models.stylegan2.network import Layout, MappingNetwork

#: Covariates in the order of the label vector: age, sex, ventricles, lesions, cohort.
LABELS: Final = 5
#: First coefficient of each group of shape, coarse to fine.
SHAPE_GROUPS: Final = (0, 6, 16, 32)
#: Groups in all: those of shape, appearance, lesions.
GROUPS: Final = len(SHAPE_GROUPS) + 2
#: Learning rate of the mapping network relative to the rest; 0.01 in the paper, whose
#: networks are trained a thousand times as long.
RATE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of a generator: of latent, style, mapping, and of its head (see `TemplateHead`)."""

    z: int
    w: int
    layers: int
    shapes: int
    appearances: int
    places: int
    voxels: int
    folds: int = 1

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> Sizes:
        """The sizes that tensors have.

        Raises
        ------
        KeyError : a tensor is missing that every such generator has.
        """
        layers = 0
        while f"mapping.fc{layers}.weight" in shapes:
            layers += 1
        w, inputs = shapes["mapping.fc0.weight"]
        appearances, voxels = shapes["head.appearance_basis"]
        return cls(
            z=inputs - w,
            w=w,
            layers=layers,
            shapes=shapes["head.shape_basis"][0],
            appearances=appearances,
            places=shapes["head.lesion_basis"][0],
            voxels=voxels,
            folds=shapes["head.t1"][0],
        )


class MultiSourceGenerator(nn.Module):
    """The whole generator.

    Parameters
    ----------
    sizes : of its parts.
    """

    directions: Tensor

    def __init__(self, sizes: Sizes, directions: int = 0) -> None:
        super().__init__()
        self.sizes = sizes
        layout = Layout(sizes.z, LABELS, sizes.w, 1, sizes.layers, (1,), rate=RATE)
        self.mapping = MappingNetwork(layout)
        ends = [*SHAPE_GROUPS[1:], sizes.shapes]
        counts = [b - a for a, b in zip(SHAPE_GROUPS, ends, strict=True)]
        self.affines = nn.ModuleList(
            nn.Linear(sizes.w, count) for count in (*counts, sizes.appearances, sizes.places)
        )
        self.head = TemplateHead(
            sizes.shapes, sizes.appearances, sizes.places, sizes.voxels, sizes.folds
        )
        #: (n, w) principal directions of w over people, a standard deviation long each.
        self.register_buffer("directions", torch.zeros(directions, sizes.w))

    def style(self, z: Tensor, labels: Tensor, psi: float = 1.0) -> Tensor:
        """(N, w) of latents (N, z) and label vectors (N, 5), truncated by `psi`."""
        w: Tensor = self.mapping(z, labels, psi)
        return w

    def fold(self, z: Tensor) -> Tensor | None:
        """(N,) the folding of latents (N, z): it is the person's, whatever the covariates."""
        crisp = self.sizes.folds - 1
        return 1 + z[:, :crisp].argmax(1) if crisp > 0 else None

    def coefficients(self, styles: Tensor, fold: Tensor | None = None) -> Coefficients:
        """Of styles (N, w), or of one for each group (N, GROUPS, w)."""
        if styles.ndim == 2:
            styles = styles[:, None].expand(-1, GROUPS, -1)
        parts = [affine(styles[:, g]) for g, affine in enumerate(self.affines)]
        shape = torch.cat(parts[: len(SHAPE_GROUPS)], 1)
        return Coefficients(shape, parts[-2], parts[-1], fold)


def mixed(styles: Tensor, others: Tensor, finest: int) -> Tensor:
    """(N, GROUPS, w): `styles` (N, w), but the `finest` last groups from `others` (N, w).

    Style mixing of the paper, section 3.
    """
    own = [styles] * (GROUPS - finest) + [others] * finest
    return torch.stack(own, 1)


def group_ends(shapes: int) -> list[tuple[int, int]]:
    """First and past-the-last coefficient of each group of shape."""
    return list(pairwise((*SHAPE_GROUPS, shapes)))
