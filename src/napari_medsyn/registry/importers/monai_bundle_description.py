"""What is taken from a MONAI bundle: networks, sampling, noise and covariates, all literal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from napari_medsyn.registry.importers.monai_bundle_parts import Kind, Sampler

Noise = Literal["normal", "uniform"]
#: Which training steps are visited: "leading" 0, r, 2r, … of the package `generative` and
#: of MONAI before 1.6; "even" from the last one to 0, of MONAI since 1.6.
Spacing = Literal["leading", "even"]


@dataclass(frozen=True, slots=True)
class Network:
    """One network of a bundle.

    Parameters
    ----------
    arguments : of MONAI's class, checked.
    is_legacy : named in the package `generative`, MONAI's predecessor.
    weights : its file within the bundle.
    """

    kind: Kind
    arguments: Mapping[str, Any]
    is_legacy: bool
    weights: Path


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a diffusion is run backwards.

    Parameters
    ----------
    sampler, arguments : MONAI's scheduler and what its constructor is given.
    spacing : which of the training steps are visited.
    steps : how many of them the bundle takes.
    scale_factor : the latent is divided by it before it is decoded.
    """

    sampler: Sampler
    arguments: Mapping[str, Any]
    spacing: Spacing
    steps: int
    scale_factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle says of its generator.

    Parameters
    ----------
    folder, config : the bundle, and the file its networks were read from.
    metadata : `configs/metadata.json` as it is.
    networks : by kind: a generator, or a denoising network with or without autoencoder.
    sampling : None for a generator.
    shape : of the noise without batch: (channels, …) of a diffusion, (numbers, …) of a
        generator.
    noise : what it is drawn from.
    covariates : names and defaults, in the order in which the network reads them.
    sigmoid : whether a generator's output goes through one.
    listed : why there is nothing to run; empty if there is.
    notes : what the reader should know.
    """

    folder: Path
    config: Path
    metadata: Mapping[str, Any]
    networks: Mapping[Kind, Network] = field(default_factory=dict)
    sampling: Sampling | None = None
    shape: tuple[int, ...] = ()
    noise: Noise = "normal"
    covariates: tuple[tuple[str, float], ...] = ()
    sigmoid: bool = False
    listed: str = ""
    notes: tuple[str, ...] = ()
