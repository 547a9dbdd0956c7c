from __future__ import annotations

import json

import pytest
import torch
from training.data.splits import part_of
from training.simulator.looks import ALL_NAMES, FILE, FLUIDS, Looks
from training.simulator.tissues import CODE, NAMES

MEASURED = {
    "a": {"T1": dict.fromkeys(ALL_NAMES, 0.5), "T2": dict.fromkeys(ALL_NAMES, 0.3)},
    "b": {"T1": {**dict.fromkeys(ALL_NAMES, 0.7), "ventricle": 0.2}},
}


def test_without_width_a_look_is_one_that_was_measured(generator):
    looks = Looks(MEASURED)
    drawn = [looks.draw(generator, width=0.0).means for _ in range(20)]
    assert {round(float(m[0, CODE["white"] - 1]), 3) for m in drawn} == {0.5, 0.7}
    for means in drawn:
        assert means[2].tolist() == pytest.approx([0.3] * 13)
        # Nobody measured T1c: what is typical stands in.
        assert torch.equal(means[1], looks.typical[1])
        if float(means[0, 0]) > 0.6:
            assert float(means[0, CODE["ventricle"] - 1]) == pytest.approx(0.2)


def test_with_width_no_two_looks_are_alike_and_none_is_negative(generator):
    looks = Looks(MEASURED)
    means = torch.stack([looks.draw(generator).means for _ in range(50)])
    assert (means > 0).all()
    assert (means.std(dim=0) > 0.01).all()


def test_contrast_stays_that_of_each_modality_on_average(generator):
    looks = Looks.load()
    mean = torch.stack([looks.draw(generator).means for _ in range(100)]).mean(dim=0)
    t1, _, t2, flair = mean
    white, cortex, fluid, lesion = (CODE[n] - 1 for n in ("white", "cortex", "ventricle", "fluid"))
    lesion = len(NAMES)
    assert t1[white] > t1[cortex] > t1[fluid]
    assert t2[white] < t2[cortex] < t2[lesion] < t2[fluid]
    assert flair[fluid] < flair[white] < flair[cortex] < flair[lesion]


def test_the_committed_looks_are_of_training_people_and_complete():
    visits = json.loads(FILE.read_text())["visits"]
    for name, look in visits.items():
        assert name == "healthy" or part_of(name.split("_visit")[0]) == "train"
        for modality, means in look.items():
            assert set(means) >= set(NAMES), (name, modality)
            assert all(0 < value < 1.6 for value in means.values())
            if modality == "T2":
                assert min(means[f] for f in FLUIDS) > means["white"]
