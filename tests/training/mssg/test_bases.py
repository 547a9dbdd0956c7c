"""Principal components, with more features than people."""

from __future__ import annotations

import numpy as np
from training.mssg.bases import components


def test_two_directions_are_found_with_their_lengths() -> None:
    rng = np.random.default_rng(0)
    a, b = np.zeros(50), np.zeros(50)
    a[:10], b[20:30] = 1, 1
    weights = rng.standard_normal((400, 2)) * [3.0, 1.0]
    rows = (5 + weights @ np.stack([a, b])).astype(np.float32)
    found = components(rows, 2)
    assert abs(abs(found.basis[0] @ a) / 10 - weights[:, 0].std()) < 0.05
    assert abs(abs(found.basis[1] @ b) / 10 - weights[:, 1].std()) < 0.05
    assert found.share[0] > 0.85
    assert abs(found.share.sum() - 1) < 1e-3


def test_coefficients_are_in_standard_deviations_and_give_the_rows_back() -> None:
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((6, 40)).astype(np.float32)
    found = components(rows, 5)
    coefficients = found.coefficients(rows)
    assert np.allclose(coefficients.std(0), 1, atol=1e-3)
    assert np.allclose(found.mean + coefficients @ found.basis, rows, atol=1e-4)
