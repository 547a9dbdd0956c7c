"""The reading is fitted to whom a covariate is recorded of, each around its own mean."""

from __future__ import annotations

import numpy as np
import torch
from training.mssg.reading import fit_reading, told


def test_each_covariate_learns_from_those_it_is_recorded_of() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((90, 12)).astype(np.float32) + 3
    labels = (rows[:, :5] - 2).astype(np.float32)
    half = labels.copy()
    half[:45, 2] = np.nan
    half[45:, 3] = np.nan
    reading = fit_reading(rows, half)
    said = (torch.from_numpy(rows) - reading.mean) @ reading.maps.T + reading.offset
    assert np.abs(said.numpy() - labels).mean() < 0.15
    for place in range(5):
        assert np.corrcoef(said[:, place], labels[:, place])[0, 1] > 0.98


def test_what_is_told_leaves_out_what_nobody_knows() -> None:
    true = np.array(
        [[0.1, -1, 0.2, np.nan, -1], [0.5, 1, 0.4, np.nan, -1], [0.9, 1, 0.9, np.nan, -1]]
    )
    line = told("test", true + 0.01, true)
    assert line == "test, 3 people: age r 1.00, sex 100%, ventricles r 1.00, cohort 100%"
