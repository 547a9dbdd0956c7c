"""The reader reads what can be read, of people it was not fitted to."""

from __future__ import annotations

import numpy as np
import torch
from training.mssg.reader import cross_validated, fit


def test_a_linear_target_is_read_in_people_left_out() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((60, 20)).astype(np.float32)
    targets = (rows[:, :2] @ np.array([[2.0, 0.0], [0.0, 1.0]])).astype(np.float32)
    said = cross_validated(rows, targets, 1e-3)
    assert np.corrcoef(said[:, 0], targets[:, 0])[0, 1] > 0.95
    nothing = cross_validated(rows, rng.permutation(targets), 1e-3)
    assert np.corrcoef(nothing[:, 0], targets[:, 0])[0, 1] < 0.5


def test_ridge_pulls_towards_the_mean() -> None:
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((20, 100)).astype(np.float32)
    targets = rng.standard_normal((20, 1)).astype(np.float32) + 5
    weak, strong = (fit(rows, targets, ridge)(torch.from_numpy(rows)) for ridge in (1e-4, 100.0))
    assert torch.allclose(weak, torch.from_numpy(targets), atol=0.02)
    assert float(strong.std()) < 0.1
    assert abs(float(strong.mean()) - 5) < 0.5
