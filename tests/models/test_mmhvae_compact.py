from __future__ import annotations

import json
from dataclasses import asdict
from itertools import combinations

import numpy as np
import pytest
import torch
from tests.models._nets import COMPACT, make_net

from napari_medsyn.models.mmhvae import MMHVAE, Topology, positions

NAMES = COMPACT.modalities
SUBSETS = [subset for size in range(1, 5) for subset in combinations(NAMES, size)]


@pytest.fixture(scope="module")
def net() -> MMHVAE:
    return make_net(COMPACT)


@pytest.fixture(scope="module")
def skips(net):
    where = positions(torch.tensor([3, 4]), (24, 32, 20), COMPACT.patch)
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        return {
            m: net.encode(m, torch.rand(2, 3, 24, 32, generator=generator), where) for m in NAMES
        }


@pytest.mark.parametrize("subset", SUBSETS, ids="+".join)
@torch.inference_mode()
def test_any_subset_in_all_out(net, skips, subset):
    decoded = net.decode({m: skips[m] for m in subset})
    for images in (decoded.mean, decoded.log_scale):
        assert list(images) == list(NAMES)
        assert all(y.shape == (2, 1, 24, 32) and y.isfinite().all() for y in images.values())


@torch.inference_mode()
def test_every_modality_that_is_present_has_a_say(net, skips):
    everything = net.decode(skips).mean["FLAIR"]
    for missing in NAMES:
        fewer = net.decode({m: skips[m] for m in NAMES if m != missing}).mean["FLAIR"]
        assert (everything - fewer).abs().max() > 1e-4


@torch.inference_mode()
def test_the_order_of_modalities_is_irrelevant(net, skips):
    one = net.decode({m: skips[m] for m in NAMES}).mean
    other = net.decode({m: skips[m] for m in NAMES[::-1]}).mean
    for modality in NAMES:
        torch.testing.assert_close(one[modality], other[modality], atol=2e-4, rtol=1e-4)


@torch.inference_mode()
def test_latents_halve_from_level_to_level(net, skips):
    posteriors = net.decode(skips, keep_latents=True).posteriors
    assert [tuple(q.mean.shape[1:]) for q in posteriors] == [(8, 3, 4), (4, 6, 8), (4, 12, 16)]
    assert all((q.std > 0).all() for q in posteriors)


@torch.inference_mode()
def test_more_modalities_never_make_the_deepest_level_less_certain(net, skips):
    alone = net.decode({"T1": skips["T1"]}, keep_latents=True).posteriors[0].std
    both = net.decode({m: skips[m] for m in ("T1", "T2")}, keep_latents=True).posteriors[0].std
    assert (both < alone).all()


def test_neighbouring_slices_and_the_position_are_read(net):
    x = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(1))
    where = positions(torch.tensor([4]), (24, 32, 20), 2)
    changed = x.clone()
    changed[:, 0] = 0
    base = net.encode("T1", x, where)[0]
    assert (net.encode("T1", changed, where)[0] - base).abs().max() > 1e-3
    elsewhere = positions(torch.tensor([5]), (24, 32, 20), 2)
    assert (net.encode("T1", x, elsewhere)[0] - base).abs().max() > 1e-4


def test_positions_run_from_minus_1_to_1_along_each_axis():
    where = positions(torch.tensor([0, 10, 20]), (24, 32, 21), 2)
    assert where.shape == (3, 3, 12, 16)
    np.testing.assert_allclose(where[1, 0, [0, -1], 5], [-1, 1])
    np.testing.assert_allclose(where[1, 1, 5, [0, -1]], [-1, 1])
    np.testing.assert_allclose(where[:, 2, 3, 3], [-1, 0, 1])


def test_a_topology_survives_the_card_s_json():
    assert Topology.from_card(json.loads(json.dumps(asdict(COMPACT)))) == COMPACT


def test_a_layout_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="'spiral'"):
        Topology.from_card({**asdict(COMPACT), "layout": "spiral"})
