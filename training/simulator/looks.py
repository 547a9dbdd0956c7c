"""Looks: how bright each tissue is in each modality, measured or drawn at random."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from training.data.grids import MODALITIES
from training.simulator.tissues import LESION, NAMES

FILE = Path(__file__).with_name("looks.json")
#: Tissues in the order of their codes, from 1 on.
ALL_NAMES = (*NAMES, "lesion")
GREY = ("cortex", "cerebellar cortex", "thalamus", "caudate", "putamen", "hippocampus")
FLUIDS = ("ventricle", "fluid")

#: What clinical spin-echo and gradient-echo scans at 1.5 and 3 T typically look like, relative
#: to the 99.5th percentile of a brain: the middle of what is drawn at random.  In the order
#: T1, T1c, T2, FLAIR.
TYPICAL: dict[str, tuple[float, float, float, float]] = {
    "white": (0.86, 0.62, 0.33, 0.70),
    "cortex": (0.64, 0.48, 0.44, 0.82),
    "cerebellar white": (0.84, 0.62, 0.35, 0.70),
    "cerebellar cortex": (0.64, 0.49, 0.42, 0.78),
    "thalamus": (0.74, 0.55, 0.38, 0.75),
    "caudate": (0.68, 0.51, 0.40, 0.80),
    "putamen": (0.71, 0.53, 0.37, 0.76),
    "pallidum": (0.82, 0.60, 0.27, 0.62),
    "hippocampus": (0.66, 0.50, 0.43, 0.84),
    "stem": (0.80, 0.59, 0.37, 0.70),
    "ventricle": (0.24, 0.17, 0.92, 0.22),
    "fluid": (0.26, 0.22, 0.88, 0.30),
    "lesion": (0.62, 0.48, 0.62, 1.00),
}


@dataclass(frozen=True, eq=False)
class Look:
    """Mean intensities of one head in one session.

    Parameters
    ----------
    means : (4, 13) modality by tissue code - 1, in units where a brain's 99.5th
        percentile is about 1.
    vessel : how much contrast agent adds to a vessel in T1c, the same unit.
    """

    means: Tensor
    vessel: float = 0.7


class Looks:
    """The measured looks and what is drawn around them.

    Parameters
    ----------
    measured : visit to modality to tissue to mean, as `measure.py` writes it.
    """

    def __init__(self, measured: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
        self.typical = torch.tensor([TYPICAL[name] for name in ALL_NAMES]).T.contiguous()
        self.by_modality: list[list[Tensor]] = []
        for m, modality in enumerate(MODALITIES):
            found = [visit[modality] for visit in measured.values() if modality in visit]
            rows = [
                torch.tensor(
                    [means.get(n, float(self.typical[m, i])) for i, n in enumerate(ALL_NAMES)]
                )
                for means in found
            ]
            self.by_modality.append(rows)

    @classmethod
    def load(cls, path: Path = FILE) -> Looks:
        """The committed measurements."""
        return cls(json.loads(path.read_text())["visits"])

    def draw(self, generator: torch.Generator, width: float = 1.0) -> Look:
        """A look near a measured one or near a typical one, by chance.

        Parameters
        ----------
        width : 0 gives measured looks as they are, 1 contrasts far beyond them.
        """
        means = self.typical.clone()
        for m, rows in enumerate(self.by_modality):
            measured = float(torch.rand((), generator=generator)) < 1 - 0.5 * width
            if rows and measured:
                means[m] = rows[int(torch.randint(len(rows), (), generator=generator))]
        return Look(_varied(means, width, generator), 0.4 + 0.6 * _uniform(generator))


def _varied(means: Tensor, width: float, generator: torch.Generator) -> Tensor:
    """Means with each tissue, grey against white, fluid and lesions moved at random."""
    modalities = len(means)
    table = means * (1 + 0.06 * width * torch.randn(means.shape, generator=generator))
    grey = _is_in(GREY)
    contrast = 0.22 * torch.rand(modalities, 1, generator=generator) - 0.12
    table = table * (1 + width * contrast * grey)
    # Fluid is dark to very dark but in T2, where it sets the scale.
    darker = 0.7 * torch.rand(modalities, 1, generator=generator) - 0.6
    darker[MODALITIES.index("T2")] = 0
    table = table * (1 + width * darker * _is_in(FLUIDS))
    t1c, t2 = MODALITIES.index("T1c"), MODALITIES.index("T2")
    table[t1c] *= 1 + width * (0.65 * _uniform(generator) - 0.15)  # vessels set T1c's scale
    solid = 1 - _is_in((*FLUIDS, "lesion"))
    table[t2] *= 1 + width * (0.45 * _uniform(generator) - 0.2) * solid
    shift = 0.08 * width * torch.randn(modalities, generator=generator)
    table[:, LESION - 1] += shift
    return table.clamp_min(0.02)


def _is_in(names: Sequence[str]) -> Tensor:
    return torch.tensor([1.0 if name in names else 0.0 for name in ALL_NAMES])


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator))
