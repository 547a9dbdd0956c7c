"""Slices of the real multi-modal scans to train on, deformed and varied at random."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from training.data.multimodal import BRIGHTEST, Visit
from training.mmhvae.config import GRID_SHAPE, MODALITIES
from training.mmhvae.lesions import Brush, paint
from training.mmhvae.simulate import random_warp, smooth_noise, uniform

#: Slices with fewer brain voxels than this teach little.
SMALLEST = 600
T1, T1C = MODALITIES.index("T1"), MODALITIES.index("T1c")
#: Share of batches with a T1 but no T1c that get a pretended one.
PRETENDED = 0.6


class RealSlices:
    """Random augmented batches of slices from visits; one visit group per batch.

    Parameters
    ----------
    lesions : (N, Z, X, Y) masks of patients to paint lesions from.
    painted : share of the slices that get painted lesions; 0 paints none.
    """

    def __init__(
        self, visits: Sequence[Visit], lesions: Tensor | None = None, painted: float = 0.0
    ) -> None:
        self.visits = list(visits)
        self.painted = painted
        self.brush = Brush(visits, lesions) if lesions is not None and painted > 0 else None
        self.usable = [
            torch.nonzero(v.mask.sum(dim=(1, 2)) > SMALLEST)[:, 0].clamp(1, GRID_SHAPE[2] - 2)
            for v in visits
        ]
        # A person with two visits counts once, one with all modalities twice.  The glioma
        # counts half: its contrast is unlike the others', and it must not be what the
        # network takes a T1c for.
        people = [v.person for v in visits]
        self.weights = torch.tensor(
            [_weight(v) / people.count(v.person) for v in visits], dtype=torch.float32
        )

    def batch(
        self, n: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Slices of visits that have the same modalities.

        Returns
        -------
        inputs : (n, 4, 3, X, Y) with intensities changed at random.
        targets : (n, 4, X, Y) middle slices, intensities as scanned.
        present : (4,) bool.
        mask : (n, X, Y) bool.
        lesion : (n, X, Y) in [0, 1], painted lesions and those that somebody has drawn.
        slices : (n,) index of the middle slice.
        """
        lead = int(torch.multinomial(self.weights, 1, generator=generator))
        present = self.visits[lead].present.clone()
        same = torch.tensor([bool((v.present == present).all()) for v in self.visits])
        chosen = torch.multinomial(self.weights * same, n, replacement=True, generator=generator)
        images, masks, known, slices = [], [], [], []
        for v in chosen.tolist():
            usable = self.usable[v]
            k = int(usable[torch.randint(len(usable), (), generator=generator)])
            images.append(self.visits[v].images[:, k - 1 : k + 2])
            masks.append(self.visits[v].mask[k])
            known.append(_drawn(self.visits[v], k))
            slices.append(k)
        stack = torch.stack(images).float()
        where = random_warp(n, generator, atrophy=True)
        warped = F.grid_sample(stack.flatten(1, 2), where, align_corners=False).view(stack.shape)
        mask = torch.stack(masks)[:, None].float()
        mask = F.grid_sample(mask, where, mode="nearest", align_corners=False)
        mask = mask[:, 0] > 0.5
        warped = warped * mask[:, None, None]
        lesion = F.grid_sample(torch.stack(known)[:, None], where, align_corners=False)[:, 0]
        if self.brush is not None:
            warped, added = self._paint(
                self.brush, warped, chosen.tolist(), slices, where, generator
            )
            lesion = torch.maximum(lesion, added)
        if present[T1] and not present[T1C] and torch.rand((), generator=generator) < PRETENDED:
            warped[:, T1C] = pretended_contrast(warped[:, T1], generator)
            present[T1C] = True
        inputs, targets = vary(warped, generator), warped[:, :, 1]
        return inputs, targets, present, mask, lesion * mask, torch.tensor(slices)

    def _paint(
        self,
        brush: Brush,
        images: Tensor,
        visits: Sequence[int],
        slices: Sequence[int],
        where: Tensor,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Some of the slices with lesions; (n, X, Y) how much of each voxel they fill."""
        white, wanted = [], []
        for v, k in zip(visits, slices, strict=True):
            white.append(brush.white[v][k - 1 : k + 2].float())
            chosen = float(torch.rand((), generator=generator)) < self.painted
            place = brush.wanted(k, generator)
            wanted.append(place if chosen else torch.zeros_like(place))
        own = random_warp(len(images), generator)
        place = F.grid_sample(torch.stack(white), where, align_corners=False)
        place = place * F.grid_sample(torch.stack(wanted), own, align_corners=False)
        level = torch.stack([brush.level[v] for v in visits])
        painted, share = paint(images, place, level, generator)
        return painted.clamp(max=BRIGHTEST), share


def _drawn(visit: Visit, k: int) -> Tensor:
    """(X, Y) float: lesions in a slice as far as somebody has drawn them.

    Where lesions changed between two visits there is or was one.
    """
    drawn = visit.lesions if visit.lesions is not None else visit.lesion_change
    return (torch.zeros_like(visit.mask[k]) if drawn is None else drawn[k]).float()


def _weight(visit: Visit) -> float:
    if visit.person.startswith("glioma"):
        return 0.5
    return 2.0 if visit.present.all() else 1.0


def pretended_contrast(t1: Tensor, generator: torch.Generator) -> Tensor:
    """A post-contrast T1 made of a real T1: the same tissue, darker beside bright vessels.

    Few patients have a real one.  Contrast agent leaves healthy tissue as it is and
    brightens vessels, which then set the 99.5th percentile.

    Parameters
    ----------
    t1 : (n, 3, X, Y) in normalised intensity.
    """
    n = len(t1)
    scale = uniform((n, 1, 1, 1), 0.55, 0.9, generator)
    gamma = torch.exp(0.1 * torch.randn(n, 1, 1, 1, generator=generator))
    tissue = scale * t1.clamp_min(1e-4) ** gamma * (1 + 0.03 * smooth_noise(n, 8, generator))
    vessel = (smooth_noise(n, 40, generator) - 1.5).clamp_min(0) * (t1 < 0.4)
    return (tissue + 0.6 * vessel) * (t1 > 0)


def vary(images: Tensor, generator: torch.Generator) -> Tensor:
    """Change contrast, scale, bias field and noise as scanners do; background stays 0."""
    n, m = images.shape[:2]
    inside = images > 0
    gamma = torch.exp(0.15 * torch.randn(n, m, 1, 1, 1, generator=generator))
    scale = uniform((n, m, 1, 1, 1), 0.9, 1.1, generator)
    out = images.clamp_min(1e-4) ** gamma * scale
    bias = torch.stack([smooth_noise(n, 3, generator) for _ in range(m)], dim=1)
    out = out * (1 + 0.05 * bias)
    strength = 0.03 * torch.rand(n, m, 1, 1, 1, generator=generator)
    out = out + strength * torch.randn(out.shape, generator=generator)
    return out.clamp(0, 1.5) * inside
