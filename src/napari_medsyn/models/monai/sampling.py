"""Running a diffusion backwards, one step at a time, with MONAI's schedulers.

Everything but the network runs on the CPU in float32, noise included, so that a GPU gives
the same images but for the network's own rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from napari_medsyn.registry.importers.monai_bundle_description import Noise, Spacing
from napari_medsyn.registry.importers.monai_bundle_parts import Sampler, scheduler_arguments

#: Arguments that both samplers understand, for a DDPM that is sampled as a DDIM.
_SHARED: Final = (
    "num_train_timesteps", "schedule", "beta_start", "beta_end", "clip_sample",
    "clip_sample_min", "clip_sample_max", "prediction_type",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Schedule:
    """Which noise levels are visited and how a step is taken.

    Parameters
    ----------
    sampler : "ddim" (Song et al. 2021, eta 0) or "ddpm" (Ho et al. 2020).
    arguments : of MONAI's scheduler.
    spacing : "leading" visits 0, r, 2r, … with r = trained // steps, as the package
        `generative` and MONAI before 1.6 do; "even" goes from the last trained step to 0,
        as MONAI does since 1.6.
    """

    sampler: Sampler
    arguments: Mapping[str, Any]
    spacing: Spacing

    @property
    def trained(self) -> int:
        """Number of steps the network was trained with."""
        return int(self.arguments.get("num_train_timesteps", 1000))

    def is_ancestral(self, steps: int) -> bool:
        """Whether noise is added at each step.

        A DDPM's step goes from one trained step to the next below and no further, so that
        it is taken only where all are visited.  For fewer steps the same network is sampled
        as a DDIM, which may leave steps out.
        """
        return self.sampler == "ddpm" and steps == self.trained

    def scheduler(self, steps: int) -> Any:
        """MONAI's scheduler, ready to take `steps` steps.

        Raises
        ------
        ValueError : the arguments are not allowed.
        """
        from monai.networks.schedulers.ddim import DDIMScheduler
        from monai.networks.schedulers.ddpm import DDPMScheduler

        checked = scheduler_arguments(self.sampler, self.arguments)
        if self.is_ancestral(steps):
            scheduler: Any = DDPMScheduler(**checked)
            scheduler.set_timesteps(steps)
            return scheduler
        if self.sampler == "ddpm":
            checked = {name: checked[name] for name in _SHARED if name in checked}
        scheduler = DDIMScheduler(**checked)
        scheduler.set_timesteps(steps)
        if self.spacing == "leading":
            ratio = self.trained // steps
            visited = torch.arange(steps).flip(0) * ratio + int(checked.get("steps_offset", 0))
            scheduler.timesteps = visited.clamp(max=self.trained - 1)
        return scheduler


class Denoising:
    """One image on its way from noise: a latent that gets a step cleaner at a time.

    Parameters
    ----------
    unet : MONAI's denoising network, on `device`.
    schedule, steps : how it is sampled.
    shape : (C, …) of the noise.
    noise : "normal", or "uniform" for a bundle that begins there.  A DDIM adds no noise on
        its way, and so begins with normal noise always.
    seed : fixes all noise.
    covariates : what the network is conditioned on; empty for nothing.
    concatenated : whether they are also given as constant channels beside the latent.
    """

    def __init__(
        self,
        unet: nn.Module,
        schedule: Schedule,
        steps: int,
        shape: tuple[int, ...],
        noise: Noise,
        seed: int,
        covariates: tuple[float, ...],
        concatenated: bool,
        device: torch.device,
    ) -> None:
        self._unet = unet
        self._scheduler: Any = schedule.scheduler(steps)
        self._generator = torch.Generator("cpu").manual_seed(seed)
        is_uniform = noise == "uniform" and schedule.is_ancestral(steps)
        draw = torch.rand if is_uniform else torch.randn
        self.latent: Tensor = draw((1, *shape), generator=self._generator)
        self._takes_noise = schedule.is_ancestral(steps)
        self._device = device
        context = torch.tensor(covariates, dtype=torch.float32, device=device)
        self._context = context[None, None] if covariates else None
        self._concatenated = concatenated and bool(covariates)
        self.done = 0

    @property
    def steps(self) -> int:
        """How many steps there are in all."""
        return len(self._scheduler.timesteps)

    @torch.inference_mode()
    def step(self) -> None:
        """Take the next step."""
        t = self._scheduler.timesteps[self.done]
        x = self.latent.to(self._device)
        if self._concatenated and self._context is not None:
            constant = self._context[0, 0].reshape(1, -1, *[1] * (x.ndim - 2))
            x = torch.cat([x, constant.expand(-1, -1, *x.shape[2:])], dim=1)
        predicted = self._unet(
            x, timesteps=t.reshape(1).to(self._device), context=self._context
        ).cpu()
        extra = {"generator": self._generator} if self._takes_noise else {}
        self.latent, _ = self._scheduler.step(predicted, t, self.latent, **extra)
        self.done += 1
