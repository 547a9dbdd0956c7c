"""Calibration and card."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.training.judges.lesions.test_scoring import visit
from training.data.grids import MODALITIES
from training.judges import packaging
from training.judges.lesions.calibrate import (
    SMALLEST,
    THRESHOLDS,
    chosen,
    load_network,
    recall,
    scores,
)
from training.judges.lesions.package import MODEL_ID, card

from napari_medsyn.models.families import load_judge
from napari_medsyn.models.judges.lesions import LesionNet, LesionTopology, Segmenter
from napari_medsyn.registry.card import read_card

ARCHITECTURE = {"modalities": list(MODALITIES), "widths": [4, 6]}
RUN = {
    "architecture": ARCHITECTURE,
    "command": "python -m training.judges.lesions",
    "commit": "0" * 40,
    "config": {"seed": 0, "steps": 1},
    "step": 1,
    "elapsed_s": 1.0,
    "hardware": {"cpu": "any"},
    "data_hash": "x",
}
THRESHOLD_OF = {"FLAIR": 0.4, "T2": 0.3, "T1": 0.2, "T1c": 0.2}
CALIBRATION = {"thresholds": THRESHOLD_OF, "smallest_voxels": 3, "dice, painted, all": 0.7}


def test_a_score_for_each_threshold_and_smallest_lesion_in_the_region():
    truth = np.zeros((6, 6, 6), bool)
    truth[:2, :2, :2] = True
    odds = np.where(truth, 0.62, 0.0).astype(np.float32)
    odds[5, 5, 5] = 0.9
    odds[0, 0, 5] = 0.9
    region = np.ones(truth.shape, bool)
    region[0, 0, 5] = False
    table = scores(odds, truth, region)
    assert table.shape == (len(THRESHOLDS), len(SMALLEST))
    low, high = THRESHOLDS.index(0.6), THRESHOLDS.index(0.7)
    assert table[low].tolist() == [16 / 17, 1.0, 1.0, 0.0]
    assert table[high, 0] == 0.0


def test_each_case_has_its_threshold_and_all_one_smallest_lesion():
    table = np.zeros((2, len(THRESHOLDS), len(SMALLEST)))
    table[0, 3, 1], table[1, 5, 2], table[1, 3, 1] = 0.9, 0.8, 0.4
    other = np.zeros_like(table)
    other[:, 2, 2], other[:, 1, 1] = 0.7, 0.1
    table[0, 5, 2] = np.nan
    # Smallest 1: 0.65 and 0.1; smallest 2: 0.8, of the one person known, and 0.7.
    best = chosen({"one": table, "other": other})
    assert best == ({"one": THRESHOLDS[5], "other": THRESHOLDS[2]}, SMALLEST[2])


def test_recall_of_changed_lesions():
    class Bright:
        def probability(self, given):
            return (given["FLAIR"] > 0.5).astype(np.float32)

    change = torch.zeros(2, 3, 5, dtype=torch.bool)
    change[1, 2, 4] = change[0, 0, 0] = True
    changed = visit()
    object.__setattr__(changed, "lesion_change", change)
    segment = Segmenter(Bright(), {"FLAIR": 0.5}, 1)
    assert list(recall(segment, [changed, visit()])) == [0.5]


def test_the_package_loads_as_a_judge(tmp_path):
    torch.manual_seed(0)
    network = LesionNet(LesionTopology.from_card(ARCHITECTURE))
    (tmp_path / "run").mkdir()
    save_file(network.state_dict(), tmp_path / "run" / "weights.safetensors")
    (tmp_path / "run" / "run.json").write_text(json.dumps(RUN))
    same = load_network(tmp_path / "run")
    assert torch.equal(same.leave.weight, network.leave.weight)

    folder = tmp_path / MODEL_ID
    tensors = packaging.half(load_file(tmp_path / "run" / "weights.safetensors"))
    packaging.write_package(folder, card(RUN, CALIBRATION, [], "1.0.0"), tensors, None)
    judge = load_judge(folder, read_card(folder), "cpu")
    assert (judge.segment.thresholds, judge.segment.smallest) == (THRESHOLD_OF, 3)
    assert judge.card.provenance["validation"] == {"dice, painted, all": 0.7}
    assert judge.segment.network.leave.weight.dtype == torch.float32


def test_a_card_without_a_threshold_is_not_made():
    with pytest.raises(KeyError, match="thresholds"):
        card(RUN, {}, [], "1.0.0")
