"""The surrogate learns a reader that is not linear, and says how well on what it has not seen."""

from __future__ import annotations

import torch
from training.mssg.surrogate import fit_surrogate


def test_it_learns_what_bends() -> None:
    torch.manual_seed(3)
    x = torch.randn(800, 6)
    y = torch.stack([x[:, 0] + 0.4 * x[:, 1] ** 2, x[:, 2], 2 * x[:, 3] + 7], 1)
    model, r = fit_surrogate(x, y, steps=600)
    assert r.shape == (3,)
    assert float(r.min()) > 0.97
    assert torch.allclose(model(torch.zeros(1, 6))[0, 2], torch.tensor(7.0), atol=0.3)
    assert not any(p.requires_grad for p in model.parameters())


def test_noise_is_not_learnt() -> None:
    torch.manual_seed(4)
    _, r = fit_surrogate(torch.randn(400, 6), torch.randn(400, 3), steps=100)
    assert float(r.abs().max()) < 0.6
