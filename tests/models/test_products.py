"""Products of Gaussian experts, against their limits and against densities multiplied out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from napari_medsyn.models.mmhvae import product_by_inverse_scale, product_by_precision

RULES = [product_by_inverse_scale, product_by_precision]


def parameters(mean: float, log: float) -> Tensor:
    """(1, 2): mean, and log-scale or log-variance, as a head gives them."""
    return torch.tensor([[mean, log]])


@pytest.mark.parametrize("rule", RULES)
def test_without_experts_the_posterior_is_the_prior(rule):
    posterior, prior = rule(parameters(0.7, -0.4), [])
    torch.testing.assert_close(posterior.mean, prior.mean)
    torch.testing.assert_close(posterior.std, prior.std)


@pytest.mark.parametrize("rule", RULES)
def test_a_certain_expert_alone_decides(rule):
    posterior, _ = rule(None, [parameters(2.0, -1e3), parameters(-1.0, 0.0)])
    # Both rules bound how certain an expert can be: log-scale -10, log-variance -8.
    assert float(posterior.mean) == pytest.approx(2.0, abs=0.04)
    assert float(posterior.std) < 0.02


@pytest.mark.parametrize("rule", RULES)
def test_the_order_of_experts_is_irrelevant(rule):
    experts = [parameters(0.3, -1.0), parameters(-2.0, 0.5), parameters(1.1, 0.1)]
    one, _ = rule(parameters(0.1, 0.2), experts)
    other, _ = rule(parameters(0.1, 0.2), experts[::-1])
    torch.testing.assert_close(one.mean, other.mean)
    torch.testing.assert_close(one.std, other.std)


@pytest.mark.parametrize(("rule", "std"), [(RULES[0], 1 / 3), (RULES[1], 1 / np.sqrt(3))])
def test_two_unit_experts_and_a_unit_prior(rule, std):
    # The rules differ here: the released code adds inverse scales, the textbook precisions.
    posterior, prior = rule(None, [parameters(0.0, 0.0)] * 2)
    assert float(posterior.std) == pytest.approx(std)
    assert (float(prior.mean), float(prior.std)) == (0.0, 1.0)


def test_the_textbook_rule_multiplies_densities():
    prior, experts = (0.4, -0.3), [(1.5, -1.0), (-0.6, 0.8)]
    x = np.linspace(-12, 12, 200_001)
    density = np.prod(
        [norm.pdf(x, mean, np.exp(log / 2)) for mean, log in (prior, *experts)], axis=0
    )
    density /= density.sum()
    mean = (density * x).sum()
    std = np.sqrt((density * (x - mean) ** 2).sum())
    posterior, _ = product_by_precision(parameters(*prior), [parameters(*e) for e in experts])
    assert float(posterior.mean) == pytest.approx(mean, abs=1e-5)
    assert float(posterior.std) == pytest.approx(std, abs=1e-5)


def test_the_released_rule_squashes_and_weighs_by_inverse_scales():
    # By hand: v -> 10 tanh(v / 10), then s = 1 / sum(1 / s_i), mu = s sum(m_i / s_i).
    m_p, s_p = 10 * np.tanh(0.3), np.exp(10 * np.tanh(-0.05))
    m_e, s_e = 10 * np.tanh(-2.0), np.exp(10 * np.tanh(0.1))
    s = 1 / (1 / s_p + 1 / s_e)
    posterior, prior = product_by_inverse_scale(parameters(3.0, -0.5), [parameters(-20.0, 1.0)])
    assert float(prior.mean) == pytest.approx(m_p, rel=1e-5)
    assert float(prior.std) == pytest.approx(s_p, rel=1e-5)
    assert float(posterior.std) == pytest.approx(s, rel=1e-5)
    assert float(posterior.mean) == pytest.approx(s * (m_p / s_p + m_e / s_e), rel=1e-5)


def test_the_textbook_rule_bounds_log_variances():
    bounded, _ = product_by_precision(parameters(0.0, 30.0), [parameters(1.0, 30.0)])
    assert float(bounded.std) == pytest.approx(np.sqrt(np.exp(8) / 2), rel=1e-5)
