from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch.distributions import Normal, kl_divergence
from training.mmhvae.losses import (
    LOG_SCALE_RANGE,
    kl,
    laplace,
    lesion_weight,
    reconstruction,
    ssim,
)

from napari_medsyn.models.mmhvae import Gaussian


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    a = torch.rand(2, 1, 40, 48, generator=generator)
    return a, (a + 0.2 * torch.randn(a.shape, generator=generator)).clamp(0, 1)


def test_ssim_of_an_image_with_itself_is_1(images):
    torch.testing.assert_close(ssim(images[0], images[0]), torch.ones_like(images[0]))


def test_ssim_equals_skimage_s(images):
    a, b = (x[1, 0].double().numpy() for x in images)
    _, expected = structural_similarity(
        a, b, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    ours = ssim(*images)[1, 0].numpy()
    # At the edge the two pad differently.
    np.testing.assert_allclose(ours[5:-5, 5:-5], expected[5:-5, 5:-5], atol=1e-4)


def test_reconstruction_by_hand():
    target = torch.zeros(1, 1, 40, 40)
    mask = torch.zeros_like(target)
    mask[..., 10:30, 10:30] = 1
    mean = target + 0.2
    # |0.2| + 2 * 0.2^2, whatever lies outside the mask; SSIM left out.
    loss = reconstruction(mean, target, mask, structure=0.0, square=2.0)
    assert float(loss) == pytest.approx(0.2 + 2 * 0.04)
    assert float(reconstruction(target, target, mask, structure=0.2, square=2.0)) == pytest.approx(
        0, abs=1e-6
    )


def test_reconstruction_pays_for_lost_structure(images):
    mask = torch.ones_like(images[0])
    plain, structured = (
        reconstruction(images[1], images[0], mask, structure=s, square=0.0) for s in (0.0, 1.0)
    )
    assert float(structured - plain) == pytest.approx(1 - float(ssim(*images).mean()), abs=1e-5)


def test_the_laplace_term_leaves_the_mean_alone():
    mean = torch.full((1, 1, 4, 4), 0.7, requires_grad=True)
    log_scale = torch.full((1, 1, 4, 4), -1.0, requires_grad=True)
    laplace(log_scale, mean - 0.5, torch.ones(1, 1, 4, 4)).backward()
    assert mean.grad is None
    assert log_scale.grad is not None
    assert log_scale.grad.abs().min() > 0


def test_the_best_laplace_scale_is_the_mean_error():
    # d/ds (|e| exp(-s) + s) = 0 where exp(s) = |e|.
    error, mask = torch.full((1, 1, 4, 4), -0.12), torch.ones(1, 1, 4, 4)
    scales = torch.linspace(-5, -0.5, 901)
    values = [float(laplace(s.expand_as(mask), error, mask)) for s in scales]
    assert float(scales[int(np.argmin(values))]) == pytest.approx(math.log(0.12), abs=0.01)


def test_the_laplace_scale_is_bounded_and_the_background_is_left_out():
    error = torch.zeros(1, 1, 2, 2)
    mask = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]])
    log_scale = torch.tensor([[[[-50.0, -50.0], [7.0, 7.0]]]])
    assert float(laplace(log_scale, error, mask)) == LOG_SCALE_RANGE[0]


def test_kl_of_equal_gaussians_is_the_floor():
    levels = [
        Gaussian(torch.randn(3, 4, 2, 2), torch.rand(3, 4, 2, 2) + 0.1),
        Gaussian(torch.randn(3, 2, 4, 4), torch.rand(3, 2, 4, 4) + 0.1),
    ]
    assert float(kl(levels, levels, 0.01)) == pytest.approx(0.01 * (16 + 32))
    assert float(kl(levels, levels, 0.0)) == 0.0


def test_kl_equals_torch_s_own():
    generator = torch.Generator().manual_seed(0)

    def gaussian(size):
        mean = torch.randn(3, size, 2, 2, generator=generator)
        return Gaussian(mean, 0.2 + torch.rand(mean.shape, generator=generator))

    posteriors, priors = [gaussian(4), gaussian(2)], [gaussian(4), gaussian(2)]
    expected = sum(
        kl_divergence(Normal(q.mean, q.std), Normal(p.mean, p.std)).sum() / 3
        for q, p in zip(posteriors, priors, strict=True)
    )
    assert float(kl(posteriors, priors, 0.0)) == pytest.approx(float(expected), rel=1e-5)


def test_a_lesion_counts_more_and_what_is_beside_it_a_little_more():
    inside = torch.ones(1, 1, 9, 9)
    inside[..., 0] = 0
    lesion = torch.zeros_like(inside)
    lesion[..., 4, 4] = 1.0
    weight = lesion_weight(inside, lesion, 9.0)[0, 0]
    assert float(weight[4, 4]) == 10.0
    assert float(weight[3, 5]) == pytest.approx(1 + 9 / 9)
    assert float(weight[4, 6]) == 1.0
    assert not weight[:, 0].any()
    assert torch.equal(lesion_weight(inside, lesion, 0.0), inside)


def test_a_weighted_loss_is_a_mean_whatever_the_weights():
    weight = torch.ones(1, 1, 20, 20)
    weight[..., 5:10, 5:10] = 7.0
    target = torch.zeros_like(weight)
    uneven = target.clone()
    uneven[..., 5:10, 5:10] = 0.2
    even, more, less = (
        float(reconstruction(mean, target, w, structure=0.0, square=0.0))
        for mean, w in ((target + 0.2, weight), (uneven, weight), (uneven, torch.ones_like(weight)))
    )
    assert even == pytest.approx(0.2)
    # 25 of 400 pixels: 25 * 7 of 25 * 7 + 375.
    assert more == pytest.approx(0.2 * 175 / 550)
    assert less == pytest.approx(0.2 * 25 / 400)


def test_structure_lost_in_a_lesion_costs_more(images):
    real, noisy = images
    noisy = torch.cat([real[:, :, :20], noisy[:, :, 20:]], dim=2)
    mask = torch.ones_like(real)
    heavy = mask.clone()
    heavy[:, :, 26:] = 5.0
    plain, weighted = (
        float(reconstruction(noisy, real, w, structure=1.0, square=0.0))
        - float(reconstruction(noisy, real, w, structure=0.0, square=0.0))
        for w in (mask, heavy)
    )
    assert weighted > 1.3 * plain
