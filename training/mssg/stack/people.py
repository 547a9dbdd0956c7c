"""The people of each source as slices and labels; what is not recorded is drawn."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_medsyn.models.latents import latent
from training.mssg.sources import Source
from training.mssg.stack.config import LAYOUT
from training.mssg.stack.slices import SLICES, sliced

#: Covariates in the order of `LabelModel.encode`; the cohort is the last one.
NAMES: Final = ("age", "sex", "ventricles", "lesions", "cohort")
#: Draws of what is not recorded of a person.
DRAWS: Final = 32


class Labels(Protocol):
    """What is asked of `models.mssg.labels.LabelModel`."""

    def encode(self, values: Mapping[str, Any], cohort: str) -> NDArray[np.floating]:
        """(5,) as networks read them."""

    def complete(self, values: Mapping[str, Any], rng: np.random.Generator) -> Mapping[str, Any]:
        """The values with those that are None drawn."""


@dataclass(frozen=True, eq=False)
class People:
    """The people of one source.

    Parameters
    ----------
    pictures : (P, SLICES, SIDE, SIDE) uint8, as stored: `slices.STORED_ONE` is intensity 1.
    covariates : (P, DRAWS, 5) encoded; what is not recorded differs from draw to draw.
    known : (P, 5) whether it is recorded.
    latents : (P, Z) a random one for each anatomy, by its name: for the warm-up.
    """

    pictures: Tensor
    covariates: Tensor
    known: Tensor
    latents: Tensor

    def __len__(self) -> int:
        return len(self.pictures)

    @classmethod
    def of(cls, source: Source, labels: Labels, seed: int) -> People:
        """All people of a source; labels they lack are drawn by `labels`."""
        rng = np.random.default_rng([seed, len(source.name)])
        stored = [np.rint(sliced(volume)).clip(0, 255).astype(np.uint8) for volume in source.t1]
        rows, known = [], []
        for number in range(len(source.ids)):
            values = recorded(source, number)
            drawn = [labels.complete(values, rng) for _ in range(DRAWS)]
            rows.append([labels.encode(each, source.name) for each in drawn])
            known.append([name == "cohort" or values[name] is not None for name in NAMES])
        return cls(
            torch.from_numpy(np.stack(stored)),
            torch.tensor(np.array(rows, np.float32)),
            torch.tensor(known),
            torch.stack([latent(zlib.crc32(name.encode()), LAYOUT.z) for name in source.anatomy]),
        )


def recorded(source: Source, number: int) -> dict[str, Any]:
    """What a source says of one person by name; None where it does not."""
    values: dict[str, Any] = {"cohort": source.name}
    for name in NAMES[:-1]:
        value = float(source.labels[name][number]) if name in source.labels else float("nan")
        if name == "sex":
            values[name] = None if np.isnan(value) else ("M" if value > 0.5 else "F")
        else:
            values[name] = None if np.isnan(value) else value
    return values


@dataclass(frozen=True, eq=False)
class Examples:
    """Slices with their labels.

    Parameters
    ----------
    pictures : (N, 1, SIDE, SIDE) uint8.
    covariates : (N, 5).
    known : (N, 5) bool.
    slices : (N,) numbers of the slices.
    latents : (N, Z) of whom they are; the other way round where they are mirrored.
    """

    pictures: Tensor
    covariates: Tensor
    known: Tensor
    slices: Tensor
    latents: Tensor


def examples(
    sources: Sequence[People], each: int, generator: torch.Generator, *, look: bool = True
) -> Examples:
    """`each` random slices of every source, some mirrored.

    Brains are nearly the same left and right, and people are few.

    Parameters
    ----------
    look : False for labels only, when no picture is wanted.
    """
    parts = []
    for people in sources:
        who = torch.randint(len(people), (each,), generator=generator)
        where = torch.randint(SLICES, (each,), generator=generator)
        draw = torch.randint(people.covariates.shape[1], (each,), generator=generator)
        mirrored = torch.rand(each, generator=generator) < 0.5
        pictures = people.pictures[who, where] if look else torch.zeros(each, 1, 1)
        pictures = torch.where(mirrored[:, None, None], pictures.flip(1), pictures)
        latents = torch.where(mirrored[:, None], -people.latents[who], people.latents[who])
        covariates, known = people.covariates[who, draw], people.known[who]
        parts.append((pictures[:, None], covariates, known, where, latents))
    return Examples(*(torch.cat(column) for column in zip(*parts, strict=True)))
