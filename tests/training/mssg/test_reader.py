"""The reader reads what can be read, of people it was not fitted to."""

from __future__ import annotations

import numpy as np
import torch
from training.mssg.reader import cross_validated, fit, fluid_ml


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


def test_two_scans_of_a_person_are_left_out_together() -> None:
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((40, 300)).astype(np.float32)
    targets = rng.standard_normal((40, 1)).astype(np.float32)
    twice, both = np.concatenate([rows, rows]), np.concatenate([targets, targets])
    people = np.tile(np.arange(40), 2)
    told = cross_validated(twice, both, 1e-3)
    honest = cross_validated(twice, both, 1e-3, people=people)
    assert np.corrcoef(told[:, 0], both[:, 0])[0, 1] > 0.8
    assert np.corrcoef(honest[:, 0], both[:, 0])[0, 1] < 0.5


def test_fluid_is_counted_where_it_is_asked_for() -> None:
    image = torch.full((1, 1, 10, 10, 10), 0.9)
    image[0, 0, 2:4, 2:4, 2:4] = 0.3
    image[0, 0, 8, 8, 8] = 0.3
    near = torch.zeros_like(image)
    near[0, 0, :6, :6, :6] = 1
    assert abs(float(fluid_ml(image, near)) - 8 * 0.008) < 0.01
