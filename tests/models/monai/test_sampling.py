"""Which steps a diffusion takes, and where its noise comes from."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_medsyn.models.monai.sampling import Denoising, Schedule

BETAS = {"beta_start": 0.001, "beta_end": 0.02}


class Nothing(nn.Module):
    """A network that predicts no noise, and remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[tuple[torch.Tensor, int, torch.Tensor | None]] = []

    def forward(
        self, x: torch.Tensor, timesteps: torch.Tensor, context: torch.Tensor | None
    ) -> torch.Tensor:
        self.given.append((x, int(timesteps), context))
        return torch.zeros_like(x[:, :2])


def denoising(schedule: Schedule, steps: int, **changes: object) -> tuple[Denoising, Nothing]:
    net = Nothing()
    settings = {
        "shape": (2, 3),
        "noise": "normal",
        "seed": 8,
        "covariates": (),
        "concatenated": False,
        "device": torch.device("cpu"),
        **changes,
    }
    return Denoising(net, schedule, steps, **settings), net  # type: ignore[arg-type]


def visited(schedule: Schedule, steps: int) -> list[int]:
    return [int(t) for t in schedule.scheduler(steps).timesteps]


def test_leading_steps_are_multiples_of_their_distance() -> None:
    assert visited(Schedule("ddim", {**BETAS, "num_train_timesteps": 10}, "leading"), 3) == [
        6,
        3,
        0,
    ]
    offset = {**BETAS, "num_train_timesteps": 10, "steps_offset": 1}
    assert visited(Schedule("ddim", offset, "leading"), 3) == [7, 4, 1]


def test_even_steps_begin_at_the_last_one() -> None:
    assert visited(Schedule("ddim", {**BETAS, "num_train_timesteps": 10}, "even"), 3) == [9, 4, 0]


def test_a_ddpm_takes_all_steps_or_is_sampled_without_noise() -> None:
    schedule = Schedule("ddpm", {**BETAS, "num_train_timesteps": 4}, "leading")
    assert schedule.is_ancestral(4)
    assert not schedule.is_ancestral(2)
    assert visited(schedule, 4) == [3, 2, 1, 0]
    assert visited(schedule, 2) == [2, 0]


def test_one_step_without_predicted_noise_only_scales() -> None:
    # Song et al. 2021, equation 12 with eta 0: x / sqrt(alpha_bar_t) at the last step.
    schedule = Schedule(
        "ddim", {**BETAS, "num_train_timesteps": 4, "clip_sample": False}, "leading"
    )
    run, _ = denoising(schedule, 1)
    before = run.latent
    run.step()
    torch.testing.assert_close(run.latent, before / (1 - 0.001) ** 0.5)


def test_noise_depends_on_the_seed_alone() -> None:
    schedule = Schedule("ddpm", {**BETAS, "num_train_timesteps": 4}, "leading")
    first, again, other = (denoising(schedule, 4, seed=seed)[0] for seed in (8, 8, 9))
    torch.manual_seed(0)
    for run in (first, again, other):
        for _ in range(4):
            run.step()
    assert torch.equal(first.latent, again.latent)
    assert not torch.equal(first.latent, other.latent)


def test_uniform_noise_is_for_all_steps_only() -> None:
    schedule = Schedule("ddpm", {**BETAS, "num_train_timesteps": 40}, "leading")
    uniform, _ = denoising(schedule, 40, noise="uniform", shape=(2, 500))
    normal, _ = denoising(schedule, 20, noise="uniform", shape=(2, 500))
    assert 0 <= float(uniform.latent.min()) < float(uniform.latent.max()) <= 1
    assert float(normal.latent.min()) < -1


@pytest.mark.parametrize(("concatenated", "channels"), [(True, 4), (False, 2)])
def test_covariates_are_given_as_context_and_as_channels(concatenated: bool, channels: int) -> None:
    schedule = Schedule("ddim", {**BETAS, "num_train_timesteps": 4}, "leading")
    run, net = denoising(
        schedule, 2, shape=(2, 3, 5), covariates=(0.25, 0.75), concatenated=concatenated
    )
    run.step()
    x, t, context = net.given[0]
    assert x.shape == (1, channels, 3, 5)
    assert t == 2
    assert context is not None
    assert context.tolist() == [[[0.25, 0.75]]]
    if concatenated:
        assert x[0, 2].unique().tolist() == [0.25]
        assert x[0, 3].unique().tolist() == [0.75]
