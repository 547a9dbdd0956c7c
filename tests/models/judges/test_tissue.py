"""The tissue judge, with a network that repeats its atlas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.models.judges._packages import (
    KEYS,
    SHAPE,
    TOPOLOGY,
    atlas_reader,
    prepared,
    write_tissue,
)

from napari_medsyn.errors import UnusableModel, UnusableStudy
from napari_medsyn.models.families import load_judge
from napari_medsyn.models.judges.networks import TissueNet, TissueTopology
from napari_medsyn.registry.card import read_card


@pytest.fixture
def t1():
    image = np.zeros(SHAPE, np.float32)
    image[1:9, 1:12, 1:8] = 0.7
    return image


def loaded(package):
    return load_judge(package, read_card(package), "cpu")


def test_a_tissues_volume_is_the_sum_of_its_shares_in_ml(tmp_path, t1):
    net = atlas_reader()
    # Where the atlas says 30 for a class, its share is 1 to within exp(-30).
    net.atlas[0, 0, :2], net.atlas[0, 2, 2:] = 30.0, 30.0
    verdict = loaded(write_tissue(tmp_path / "j", net)).read(prepared(t1))
    # The atlas's first two voxels are the image's first four, of which three lie in the brain.
    first, rest = 3 * 11 * 7, 5 * 11 * 7
    assert verdict.readings == pytest.approx(
        {"white_matter": first * 8 / 1000, "cortex": 0.0, "ventricles": rest * 8 / 1000}, abs=1e-6
    )
    codes = verdict.maps["tissues"]
    assert codes.dtype == np.uint8
    assert (codes[t1 == 0] == 0).all()
    assert (codes[:4][t1[:4] > 0] == 1).all()
    assert (codes[4:][t1[4:] > 0] == 3).all()


def test_shares_add_up_to_one_and_read_the_scan(t1):
    torch.manual_seed(1)
    net = TissueNet(TOPOLOGY).eval()
    shares = net.shares(torch.from_numpy(t1))
    assert shares.shape == (3, *SHAPE)
    torch.testing.assert_close(shares.sum(dim=0), torch.ones(SHAPE))
    assert not torch.equal(shares, net.shares(torch.from_numpy(0.5 * t1)))
    # What is brighter than all that was seen in training is taken for the brightest.
    torch.testing.assert_close(
        net.shares(torch.from_numpy(9 * t1)), net.shares(torch.from_numpy(3 * t1))
    )


def test_a_study_without_t1_is_refused(tmp_path, t1):
    judge = loaded(write_tissue(tmp_path / "j", atlas_reader()))
    with pytest.raises(UnusableStudy, match="reads T1, and the study has none; add a T1 scan"):
        judge.read(prepared(t1, FLAIR=t1))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"architecture": {"classes": 3}}, "widths"),
        ({"architecture": {"classes": 4, "widths": [4, 4, 4], "shape": list(SHAPE)}}, "legend"),
        ({"architecture": {"classes": 3, "widths": [4, 4], "shape": list(SHAPE)}}, "unpack"),
        ({"architecture": {"classes": 3, "widths": [4, 4, 4], "shape": [8, 8, 8]}}, "grid"),
        ({"architecture": {"classes": 3, "widths": [4, 4, 8], "shape": list(SHAPE)}}, "size"),
    ],
)
def test_weights_of_another_architecture_are_refused(tmp_path, changes, reason):
    package = write_tissue(tmp_path / "j", atlas_reader(), **changes)
    with pytest.raises(UnusableModel, match="do not fit the card's architecture") as caught:
        loaded(package)
    assert reason in str(caught.value)


def test_sizes_are_padded_to_what_can_be_halved():
    assert TissueTopology(8, (16, 32, 48), (91, 109, 91)).padded == (92, 112, 92)
    assert TOPOLOGY.padded == (12, 16, 12)
    assert TissueNet(TOPOLOGY).atlas.shape == (1, len(KEYS), 6, 8, 6)
