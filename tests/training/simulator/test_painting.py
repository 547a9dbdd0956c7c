from __future__ import annotations

import pytest
import torch
from training.simulator.looks import Look
from training.simulator.painting import T1C, TEXTURE, paint
from training.simulator.tissues import CODE, LESION
from training.simulator.volumes import Lattice

LATTICE = Lattice((40, 44, 36), (-40.0, -44.0, -36.0), 2.0)
#: Every tissue of every modality another value.
MEANS = 0.2 + torch.arange(52).reshape(4, 13) / 100
LOOK = Look(MEANS, vessel=0.7)


def head(*names):
    """One slab of each tissue, air on one side."""
    tissues = torch.zeros(LATTICE.shape, dtype=torch.uint8)
    for i, name in enumerate(names):
        tissues[5 + 7 * i : 12 + 7 * i] = LESION if name == "lesion" else CODE[name]
    return tissues


def test_air_is_0_and_every_tissue_is_as_bright_as_its_look(generator):
    tissues = head("white", "putamen", "ventricle")
    images = paint(tissues, LATTICE, LOOK, generator)
    assert images.shape == (4, *LATTICE.shape)
    assert not images[:, tissues == 0].any()
    for name in ("white", "putamen"):
        found = images[:, tissues == CODE[name]].mean(dim=1)
        assert found.tolist() == pytest.approx(MEANS[:, CODE[name] - 1].tolist(), abs=0.02)
    still = images[[0, 2, 3]][:, tissues == CODE["ventricle"]]
    assert still.std(dim=1).max() < 1e-6  # fluid has no texture


def test_texture_is_one_of_all_modalities(generator):
    tissues = head("white", "white", "white", "white", "white")
    images = paint(tissues, LATTICE, LOOK, generator)
    white = images[:, tissues > 0]
    expected = torch.outer(torch.tensor(TEXTURE), torch.tensor(TEXTURE)).sign()
    assert torch.equal(torch.corrcoef(white).sign(), expected)


def test_contrast_agent_brightens_t1c_alone():
    tissues = head("cortex", "fluid", "lesion", "ventricle")
    plain = Look(MEANS, vessel=0.0)
    bright = []
    for seed in range(12):
        with_agent, without = (
            paint(tissues, LATTICE, look, torch.Generator().manual_seed(seed))
            for look in (LOOK, plain)
        )
        assert torch.equal(with_agent[[0, 2, 3]], without[[0, 2, 3]])
        added = with_agent[T1C] - without[T1C]
        assert added.min() >= 0
        assert added[tissues == CODE["fluid"]].max() > 0.3
        bright.append(bool(added[tissues == LESION].max() > 0.1))
    assert 0 < sum(bright) < 12  # not everybody's lesions enhance
