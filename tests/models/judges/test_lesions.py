"""The lesion judge, with a network that reads one channel, so that its answers are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.models.judges._packages import prepared, write

from napari_medsyn.errors import UnusableModel, UnusableStudy
from napari_medsyn.models.families import load_judge
from napari_medsyn.models.judges.lesions import (
    LesionNet,
    LesionTopology,
    Segmenter,
    count,
    place_in_head,
    without_specks,
)
from napari_medsyn.registry.card import read_card

SHAPE = (12, 8, 5)
TOPOLOGY = LesionTopology(("T1", "FLAIR"), (4, 4, 4))
#: Channel of the network's input: second modality, middle slice.
FLAIR = 4
ARCHITECTURE = {"modalities": ["T1", "FLAIR"], "widths": [4, 4, 4]}
CALIBRATION = {"thresholds": {"FLAIR": 0.5, "T1": 0.25}, "smallest_voxels": 2}
READINGS = [
    {"name": "lesion_ml", "label": "Lesions", "unit": "ml"},
    {"name": "lesion_count", "label": "Number"},
]


def threshold_net(channel: int = FLAIR, bound: float = 1.0) -> LesionNet:
    """Log odds 40 (value - bound) of one channel of the input, for values far above 0.

    The middle of each kernel copies; SiLU of a large number is the number itself.
    """
    torch.manual_seed(0)
    net = LesionNet(TOPOLOGY)
    for parameter in net.parameters():
        parameter.data.zero_()
    for block, source in ((net.enter, channel), (net.up[0], 0)):
        for i, convolution in enumerate((block[0], block[3])):
            convolution.weight.data[0, source if i == 0 else 0, 1, 1] = 1.0
        for norm in (block[1], block[4]):
            norm.weight.data[:] = 1.0
            norm.eps = 0.0
    net.enter[0].weight.data *= 100.0
    net.leave.weight.data[0, 0] = 0.4
    net.leave.bias.data[0] = -40.0 * bound
    return net.eval()


def package(folder, net, **changes):
    values = {
        "family": "lesion-judge",
        "architecture": ARCHITECTURE,
        "grid": {
            "shape": list(SHAPE),
            "spacing_mm": [2.0, 2.0, 2.0],
            "origin_mm": [0.0, 0.0, 0.0],
            "space": "MNI152",
            "dim": "2D axial",
        },
        "inputs": ["T1", "FLAIR"],
        "outputs": ["lesions"],
        "readings": READINGS,
        "legends": {"lesions": [{"code": 1, "name": "Lesion"}]},
        "calibration": CALIBRATION,
    }
    return write(folder, net.state_dict(), **{**values, **changes})


def judge(folder, net, **changes):
    path = package(folder, net, **changes)
    return load_judge(path, read_card(path), "cpu")


@pytest.fixture
def flair():
    """Grey everywhere, a bright cube of 8 voxels and a bright voxel on its own."""
    volume = np.full(SHAPE, 0.5, np.float32)
    volume[2:4, 2:4, 1:3] = 1.4
    volume[8, 6, 4] = 1.4
    return volume


def test_bright_voxels_are_lesions_and_specks_are_not(tmp_path, flair):
    verdict = judge(tmp_path / "j", threshold_net()).read(prepared(flair, FLAIR=flair))
    wanted = np.zeros(SHAPE, np.uint8)
    wanted[2:4, 2:4, 1:3] = 1
    np.testing.assert_array_equal(verdict.maps["lesions"], wanted)
    # 8 voxels of 8 cubic mm.
    assert verdict.readings == {"lesion_ml": pytest.approx(0.064), "lesion_count": 1.0}


def test_voxels_outside_the_mask_are_nobodys(tmp_path, flair):
    mask = np.ones(SHAPE, bool)
    mask[2] = False
    verdict = judge(tmp_path / "j", threshold_net()).read(prepared(flair, mask, FLAIR=flair))
    assert verdict.readings["lesion_ml"] == pytest.approx(0.032)


def test_a_study_without_its_modalities_is_refused(tmp_path, flair):
    reader = judge(tmp_path / "j", threshold_net())
    with pytest.raises(UnusableStudy, match="reads T1, FLAIR, and the study has none"):
        reader.read(prepared(flair, T2=flair))


def test_a_missing_modality_is_zero_and_its_flag_too(flair):
    # The flags follow the six slices: T1, FLAIR.
    t1 = np.full(SHAPE, 0.5, np.float32)
    odds = threshold_net(channel=7, bound=0.5).probability({"T1": t1})
    np.testing.assert_allclose(odds, 0.0, atol=1e-6)
    odds = threshold_net(channel=7, bound=0.5).probability({"T1": t1, "FLAIR": flair})
    np.testing.assert_allclose(odds, 1.0, atol=1e-6)


@pytest.mark.parametrize(("channel", "shift"), [(3, 1), (5, -1)])
def test_neighbours_are_the_slices_below_and_above(flair, channel, shift):
    odds = threshold_net(channel=channel).probability({"FLAIR": flair})
    wanted = np.zeros(SHAPE, bool)
    for k in range(SHAPE[2]):
        if 0 <= k - shift < SHAPE[2]:
            wanted[:, :, k] = flair[:, :, k - shift] > 1
    np.testing.assert_array_equal(odds > 0.5, wanted)


def test_only_the_brain_is_computed_whatever_its_place(flair):
    net = LesionNet(TOPOLOGY).eval()
    volume = np.zeros(SHAPE, np.float32)
    volume[5:9, 3:7, 1:4] = flair[5:9, 3:7, 1:4]
    odds = net.probability({"FLAIR": volume})
    assert (odds[5:9, 3:7, 1:4] > 0).all()
    assert np.count_nonzero(odds) == 4 * 4 * 3
    assert not net.probability({"FLAIR": np.zeros(SHAPE, np.float32)}).any()


def test_a_mirrored_brain_gives_the_mirrored_answer():
    torch.manual_seed(1)
    net = LesionNet(TOPOLOGY).eval()
    volume = np.random.default_rng(0).uniform(0.1, 1, SHAPE).astype(np.float32)
    odds = net.probability({"T1": volume})
    mirrored = net.probability({"T1": np.ascontiguousarray(volume[::-1])})
    np.testing.assert_allclose(mirrored[::-1], odds, atol=1e-5)


def test_place_runs_from_the_midplane_outwards():
    place = place_in_head((3, 5, 2))
    assert place.shape == (2, 3, 3, 5)
    np.testing.assert_allclose(place[0, 0, :, 0], [1, 0, 1])
    np.testing.assert_allclose(place[0, 1, 0], [-1, -0.5, 0, 0.5, 1])
    np.testing.assert_allclose(place[:, 2, 0, 0], [-1, 1])


def test_the_threshold_is_that_of_the_first_modality_given():
    class Unsure:
        def probability(self, given):
            return np.full((2, 2, 2), 0.4, np.float32)

    segment = Segmenter(Unsure(), {"FLAIR": 0.5, "T1": 0.25}, 1)
    nothing = np.zeros((2, 2, 2), np.float32)
    assert segment({"T1": nothing}).all()
    assert not segment({"T1": nothing, "FLAIR": nothing}).any()


def test_lesions_that_touch_at_a_corner_are_one():
    lesions = np.zeros((5, 5, 5), bool)
    lesions[0, 0, 0] = lesions[1, 1, 1] = lesions[4, 4, 4] = True
    assert count(lesions) == 2
    kept = without_specks(lesions, 2)
    assert kept[0, 0, 0]
    assert kept[1, 1, 1]
    assert not kept[4, 4, 4]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"calibration": {"smallest_voxels": 2}}, "thresholds"),
        ({"calibration": {**CALIBRATION, "thresholds": {"T1": 0.5}}}, "thresholds of T1"),
        (
            {"calibration": {**CALIBRATION, "thresholds": {"FLAIR": 1.5, "T1": 0.5}}},
            "1.5, 0.5], are no probabilities",
        ),
        ({"architecture": {**ARCHITECTURE, "widths": [4, 4, 8]}}, "size mismatch"),
        ({"architecture": {**ARCHITECTURE, "widths": [4, 4, 4, 4]}}, "multiples of 8"),
        ({"architecture": {**ARCHITECTURE, "widths": [4, 9000]}}, "9000"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(tmp_path, changes, reason):
    with pytest.raises(UnusableModel, match=reason):
        judge(tmp_path / "j", threshold_net(), **changes)
