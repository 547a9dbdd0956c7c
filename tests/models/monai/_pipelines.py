"""The published pipelines, written once more with MONAI's own classes and none of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from monai.inferers import DiffusionInferer, LatentDiffusionInferer
from monai.networks.schedulers import DDIMScheduler, DDPMScheduler
from tests.models.monai._bundles import network, plain
from tests.registry.importers._monai_configs import (
    BRAIN,
    BRAIN_AUTOENCODER,
    BRAIN_UNET,
    HANDS,
    SLICES,
)
from torch import Tensor


def ddim(config: Mapping[str, Any], key: str, steps: int, *, leading: bool) -> DDIMScheduler:
    """MONAI's scheduler; `leading` visits what it visited before version 1.6."""
    told = {name: value for name, value in config[key].items() if name[0] != "_"}
    if "beta_schedule" in told:
        told["schedule"] = told.pop("beta_schedule") + "_beta"
    scheduler = DDIMScheduler(**told)
    scheduler.set_timesteps(steps)
    if leading:
        ratio = scheduler.num_train_timesteps // steps
        scheduler.timesteps = torch.tensor([ratio * k for k in reversed(range(steps))])
    return scheduler


@torch.no_grad()
def brain(noise: Tensor, covariates: list[float], steps: int, *, leading: bool = True) -> Tensor:
    """The brain latent diffusion model's sampler: covariates as channels and as context."""
    autoencoder, unet = network(BRAIN_AUTOENCODER, 1), network(BRAIN_UNET, 2)
    scheduler = ddim(BRAIN, "scheduler", steps, leading=leading)
    context = torch.tensor([[covariates]])
    channels = torch.tensor(covariates).reshape(1, -1, 1, 1, 1).expand(-1, -1, *noise.shape[2:])
    image = noise
    for t in scheduler.timesteps:
        x = torch.cat((image, channels), dim=1)
        out = unet(x, timesteps=torch.tensor([int(t)]), context=context)
        image, _ = scheduler.step(out, t, image)
    return autoencoder.decode_stage_2_outputs(image)


@torch.no_grad()
def slices(noise: Tensor, steps: int, *, leading: bool, scale_factor: float = 1.0) -> Tensor:
    """The latent diffusion model of axial slices, by MONAI's inferer."""
    autoencoder = network(plain(SLICES, "autoencoder_def"), 4)
    unet = network(plain(SLICES, "network_def"), 5)
    scheduler = ddim(SLICES, "noise_scheduler", steps, leading=leading)
    inferer = LatentDiffusionInferer(scheduler, scale_factor=scale_factor)
    return inferer.sample(noise, autoencoder, unet, scheduler, verbose=False)


@torch.no_grad()
def hands(noise: Tensor, seed_state: Tensor) -> Tensor:
    """The diffusion in pixels with all its steps; noise from a generator in the given state."""
    unet = network(plain(HANDS, "network_def"), 6, include_fc=False)
    scheduler = DDPMScheduler(num_train_timesteps=HANDS["num_train_timesteps"])
    generator = torch.Generator().manual_seed(0)
    generator.set_state(seed_state)
    image = noise
    for t in scheduler.timesteps:
        out = unet(image, timesteps=torch.tensor([int(t)]))
        image, _ = scheduler.step(out, t, image, generator=generator)
    return image


@torch.no_grad()
def hands_without_noise(noise: Tensor, steps: int) -> Tensor:
    """The same network sampled as a DDIM."""
    unet = network(plain(HANDS, "network_def"), 6, include_fc=False)
    scheduler = DDIMScheduler(num_train_timesteps=HANDS["num_train_timesteps"])
    scheduler.set_timesteps(steps)
    ratio = HANDS["num_train_timesteps"] // steps
    scheduler.timesteps = torch.tensor([ratio * k for k in reversed(range(steps))])
    inferer = DiffusionInferer(scheduler)
    return inferer.sample(noise, unet, scheduler, verbose=False)
