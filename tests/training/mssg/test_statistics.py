"""The conditional Gaussian finds the slopes and the spread that people were made with."""

from __future__ import annotations

import torch
from training.mssg.statistics import RESIDUALS, fit, terms


def people(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    labels = torch.randn(n, 5).clamp(-2, 2)
    labels[:, 1] = labels[:, 1].sign()
    labels[:, 4] = labels[:, 4].sign()
    return labels, torch.randn(n, 3)


def test_slopes_and_spread_are_found() -> None:
    labels, noise = people(4000)
    rows = torch.stack([2 * labels[:, 0], labels[:, 1] + labels[:, 2], 3 * labels[:, 4]], 1)
    found = fit(rows + 0.5 * noise, labels)
    age, sex, ventricles, cohort = (found.slopes[i] for i in (0, 2, 3, 5))
    assert torch.allclose(age, torch.tensor([2.0, 0.0, 0.0]), atol=0.05)
    assert torch.allclose(sex, torch.tensor([0.0, 1.0, 0.0]), atol=0.05)
    assert torch.allclose(ventricles, torch.tensor([0.0, 1.0, 0.0]), atol=0.05)
    assert torch.allclose(cohort, torch.tensor([0.0, 0.0, 3.0]), atol=0.05)
    covariance = found.spread.T @ found.spread
    assert torch.allclose(covariance, 0.25 * torch.eye(3), atol=0.03)


def test_what_is_not_known_counts_as_the_mean() -> None:
    labels, _ = people(10)
    labels[:, 2] = torch.nan
    assert torch.equal(terms(labels)[:, 3], torch.zeros(10))


def test_few_people_leave_directions_empty() -> None:
    labels, noise = people(30)
    found = fit(noise, labels)
    drawn = found.draw(labels, torch.randn(30, RESIDUALS))
    assert drawn.shape == (30, 3)
    assert torch.isfinite(drawn).all()
