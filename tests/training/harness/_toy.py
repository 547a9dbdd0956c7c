"""The smallest recipe that has everything: two players in turn, dropout, validation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from training.harness.options import Settings
from training.harness.recipe import Player, Recipe, Turn, one_cycle


@dataclass(frozen=True)
class ToySettings(Settings):
    """Settings of the toy.

    Parameters
    ----------
    slope : what is to be learnt,
        by the way.
    noisy : whether the
        targets are noisy.
    """

    steps: int = 30
    batch: int = 4
    precision: str = "float32"
    slope: float = 3.0
    noisy: bool = False


class Toy(Recipe):
    """Learns y = slope x; a critic learns every third step what the student's error is."""

    Settings = ToySettings

    def __init__(self, settings):
        self.settings = settings
        student = nn.Sequential(
            nn.Linear(1, 4), nn.Dropout(0.2), nn.BatchNorm1d(4), nn.Linear(4, 1)
        )
        critic = nn.Linear(1, 1)
        schedule = one_cycle(settings.steps)
        self.players = {
            "student": Player(
                student, torch.optim.AdamW(student.parameters(), 0.05), schedule, settings.ema, 1.0
            ),
            "critic": Player(critic, torch.optim.SGD(critic.parameters(), 0.1, momentum=0.9)),
        }
        self.events = []

    @classmethod
    def open(cls, settings, machine, data, cache):  # noqa: ARG003
        if "bad" in data.name:
            raise ValueError(f"{data} is bad; give good data")
        return cls(settings)

    def batch(self, step, generator):
        x = torch.randn(self.settings.batch, 1, generator=generator)
        return x, self.settings.slope * x

    def turns(self, step, batch):
        x, y = batch
        error = self.players["student"].network(x) - y
        before = self.players["student"].network[0].weight.detach().clone()
        yield Turn("student", error.square().mean(), {"error": error.abs().mean()})
        self.events.append(bool((before != self.players["student"].network[0].weight).any()))
        if step % 3 == 0:
            judged = self.players["critic"].network(x) - error.detach() + torch.randn_like(x)
            yield Turn("critic", judged.square().mean(), {"judged": 1.0})

    def describe(self):
        return {"architecture": {"layers": 2}}

    def validate(self, networks):
        torch.rand(3)
        assert not networks["student"].training
        x = torch.linspace(-1, 1, 9)[:, None]
        return {"mae": float((networks["student"](x) - self.settings.slope * x).abs().mean())}

    def pictures(self, networks):
        return {"line": torch.rand(4, 5).numpy()}
