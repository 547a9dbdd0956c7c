from __future__ import annotations

import torch
from safetensors.torch import load
from tests.models._nets import COMPACT

from napari_medsyn.models.mmhvae import MMHVAE
from napari_medsyn.models.untrained import untrained_mmhvae

ARCHITECTURE = {
    "layout": "compact",
    "modalities": ["T1", "T1c", "T2", "FLAIR"],
    "widths": [8, 16, 16],
    "latents": [4, 4, 8],
    "patch": 2,
    "context": 1,
    "positions": 3,
    "head_features": 8,
}


def test_weights_fit_the_architecture_and_are_always_the_same():
    weights = untrained_mmhvae(ARCHITECTURE)
    MMHVAE(COMPACT).load_state_dict(load(weights), strict=True)
    torch.manual_seed(123)
    assert untrained_mmhvae(ARCHITECTURE) == weights


def test_other_random_numbers_are_not_disturbed():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    untrained_mmhvae(ARCHITECTURE)
    assert torch.equal(torch.rand(3), expected)
