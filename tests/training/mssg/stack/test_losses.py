"""Losses: masked labels, the ramp, R1."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from training.mssg.stack import losses

UNKNOWN = torch.zeros(2, 6, dtype=torch.bool)


def heads(column: int, said: list[float], wanted: list[float], known: list[bool]) -> float:
    name = losses.HEADS[column]
    rows, targets, mask = torch.zeros(2, 6), torch.zeros(2, 6), UNKNOWN.clone()
    rows[:, column], targets[:, column] = torch.tensor(said), torch.tensor(wanted)
    mask[:, column] = torch.tensor(known)
    return float(losses.by_head(rows, targets, mask)[name])


def test_only_labels_that_are_recorded_count() -> None:
    age = losses.HEADS.index("age")
    assert heads(age, [3.0, 9.0], [1.0, 0.0], [True, False]) == 4
    assert heads(age, [3.0, 9.0], [1.0, 0.0], [True, True]) == (4 + 81) / 2
    assert heads(age, [3.0, 9.0], [1.0, 0.0], [False, False]) == 0


def test_what_is_not_recorded_gives_no_gradient() -> None:
    said = torch.randn(2, 6, requires_grad=True)
    known = UNKNOWN.clone()
    known[0, 2] = True
    losses.total(losses.by_head(said, torch.randn(2, 6), known)).backward()
    assert said.grad is not None
    assert (said.grad != 0).nonzero().tolist() == [[0, 2]]


def test_sex_and_cohort_are_classes() -> None:
    sex = losses.HEADS.index("sex")
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2
    assert heads(sex, [2.0, -1.0], [1.0, -1.0], [True, True]) == pytest.approx(expected)


def test_the_ramp_is_the_published_one_in_shares_of_the_run() -> None:
    assert losses.ramp(0.009, 0.01, 0.11) == 0
    assert losses.ramp(0.06, 0.01, 0.11) == pytest.approx(math.exp(-5))
    assert losses.ramp(0.11, 0.01, 0.11) == 1
    assert losses.ramp(0.9, 0.01, 0.11) == 1


def test_logistic_losses_are_those_of_confidence() -> None:
    logits = torch.tensor([0.0, 0.0])
    assert float(losses.real(logits)) == pytest.approx(math.log(2))
    assert float(losses.made(torch.tensor([-30.0]))) == pytest.approx(0, abs=1e-6)
    assert float(losses.real(torch.tensor([-30.0]))) == pytest.approx(30)


def test_r1_is_half_the_squared_slope() -> None:
    class Slope(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return 3 * x.sum(dim=(1, 2, 3)), x

    # Four pixels of slope 3: 4 * 9 / 2.
    penalty = losses.r1(Slope(), torch.zeros(2, 1, 2, 2))  # type: ignore[arg-type]
    assert float(penalty) == 18
