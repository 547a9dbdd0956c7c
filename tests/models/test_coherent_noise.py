"""One field of noise for the whole volume: unit size, smooth along it, reproducible."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_medsyn.models.mmhvae_family import ANCHOR_EVERY, CoherentNoise

SLICES = list(range(48))
LIKE = torch.empty(1, 4, 40, 48)


@pytest.fixture(scope="module")
def field():
    """(slices, voxels) of one sample at one level."""
    noise = CoherentNoise(torch.device("cpu")).of(0, 1, SLICES)
    return noise(2, LIKE).flatten(1).numpy()


def correlation(one, other):
    return float(np.corrcoef(one, other)[0, 1])


def test_every_slice_has_mean_0_and_variance_1(field):
    n = field.shape[1]
    assert np.abs(field.mean(axis=1)).max() < 5 / np.sqrt(n)
    assert np.abs(field.var(axis=1) - 1).max() < 5 * np.sqrt(2 / n)


def test_neighbours_are_alike_and_far_slices_independent(field):
    n = field.shape[1]
    near = [correlation(field[k], field[k + 1]) for k in range(47)]
    far = [correlation(field[k], field[k + 2 * ANCHOR_EVERY]) for k in range(32)]
    assert min(near) > 0.9
    assert np.abs(far).max() < 5 / np.sqrt(n)


def test_levels_samples_and_seeds_are_independent():
    noise = CoherentNoise(torch.device("cpu"))
    slices = [0, 3]

    def drawn(seed, samples, level):
        return noise.of(seed, samples, slices)(level, LIKE).flatten(1).numpy()

    two = drawn(0, 2, 1)
    assert two.shape[0] == 4  # sample by sample, its slices in order
    independent = [two[0], two[2], drawn(0, 1, 2)[0], drawn(1, 1, 1)[0]]
    limit = 5 / np.sqrt(two.shape[1])
    for i, one in enumerate(independent):
        for other in independent[:i]:
            assert abs(correlation(one, other)) < limit
    np.testing.assert_array_equal(drawn(0, 1, 1), two[:2])


def test_a_slice_s_noise_does_not_depend_on_the_batch():
    whole = CoherentNoise(torch.device("cpu")).of(5, 1, SLICES)(0, LIKE)
    for slices in ([13], [40, 13, 2]):
        part = CoherentNoise(torch.device("cpu")).of(5, 1, slices)(0, LIKE)
        assert torch.equal(part, whole[slices])


def test_the_global_generator_is_left_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    CoherentNoise(torch.device("cpu")).of(0, 1, [1])(0, LIKE)
    assert torch.equal(torch.get_rng_state(), before)


def test_it_comes_in_the_type_of_the_latent():
    noise = CoherentNoise(torch.device("cpu")).of(0, 1, [1])
    assert noise(0, LIKE.to(torch.bfloat16)).dtype == torch.bfloat16
