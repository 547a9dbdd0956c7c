from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch
from tests.training.mmhvae._made import Simulated, Slices, seeded
from training.mmhvae.batches import Stream, cut, draw_all_but_one, draw_subset, draw_windows
from training.mmhvae.config import Config

CONFIG = Config(steps=100, batch=2, real=1.0)


# ---- which modalities are fed ----------------------------------------------------------


def test_subsets_cover_every_case_and_never_pick_what_is_absent():
    generator = seeded()
    drawn = Counter(tuple(sorted(draw_subset([True] * 4, generator))) for _ in range(3000))
    assert len(drawn) == 15
    assert all(len(set(subset)) == len(subset) > 0 for subset in drawn)
    # What users meet is met often: T1 alone, and each modality from all others.
    assert drawn[0,] > 600
    assert all(drawn[tuple(i for i in range(4) if i != m)] > 200 for m in range(4))


@pytest.mark.parametrize("present", [(0, 0, 1, 1), (1, 0, 1, 1), (0, 1, 0, 0), (1, 0, 0, 0)])
def test_subsets_of_some_modalities(present):
    generator = seeded()
    there = {i for i, p in enumerate(present) if p}
    drawn = {tuple(sorted(draw_subset(present, generator))) for _ in range(500)}
    assert all(set(subset) <= there for subset in drawn)
    assert len(drawn) == 2 ** len(there) - 1


def test_all_but_one_is_all_but_one():
    generator = seeded()
    drawn = Counter(tuple(sorted(draw_all_but_one([1, 0, 1, 1], generator))) for _ in range(300))
    assert set(drawn) == {(0, 2), (0, 3), (2, 3)}
    assert min(drawn.values()) > 60
    assert draw_all_but_one([0, 1, 0, 0], generator) == [1]


def test_flair_is_hidden_unless_it_is_all_there_is():
    shown = [{*Stream(replace(CONFIG, hidden=h), None, Slices(), 2).batch(0, seeded(k)).fed}
             for h in (0.0, 1.0) for k in range(30)]  # fmt: skip
    assert any(3 in fed and len(fed) > 1 for fed in shown[:30])
    assert all(3 not in fed or fed == {3} for fed in shown[30:])
    assert {3} in shown[30:]


# ---- batches ---------------------------------------------------------------------------


def test_a_batch_of_real_slices():
    batch = Stream(CONFIG, None, Slices(), 2).batch(99, seeded())
    assert batch.source == "real"
    assert batch.inputs.shape == (2, 4, 3, 32, 48)
    assert batch.targets.shape == (2, 4, 32, 48)
    assert batch.where.shape == (2, 3, 16, 24)
    assert batch.lesion.shape == batch.inside.shape == (2, 1, 32, 48)
    assert batch.lesion.sum() == 2 * 4 * 4
    assert batch.present == [0, 2, 3]
    assert set(batch.fed) <= set(batch.present)


def test_simulated_slices_are_varied_and_have_all_modalities():
    config = replace(CONFIG, real=0.0)
    batch = Stream(config, Simulated(), None, 2).batch(99, seeded())
    assert (batch.source, batch.present) == ("sim", [0, 1, 2, 3])
    mask = batch.inside[:, 0] > 0
    assert torch.equal(mask, batch.targets.sum(dim=1) > 0)
    changed = (batch.inputs[:, :, 1] - batch.targets).abs()[:, 0]
    assert changed[mask].mean() > 0.01
    assert not changed[~mask].any()


def test_real_and_simulated_slices_are_mixed():
    stream = Stream(replace(CONFIG, real=0.7, batch=1, crop=16), Simulated(), Slices(), 2)
    sources = [stream.batch(k, seeded(k)).source for k in range(40)]
    assert 20 <= sources.count("real") <= 36


def test_windows_are_cut_from_images_and_places_alike():
    plain, cropped = (
        Stream(replace(CONFIG, crop=c), None, Slices(), 2).batch(0, seeded(4)) for c in (0, 16)
    )
    assert cropped.inputs.shape == (2, 4, 3, 16, 16)
    assert cropped.where.shape == (2, 3, 8, 8)
    for n in range(2):
        # Found again by its place in the head, and the same there.
        x, y = (
            int((plain.where[n, axis] == cropped.where[n, axis, 0, 0]).nonzero()[0, axis])
            for axis in (0, 1)
        )
        window = plain.targets[n, :, 2 * x : 2 * x + 16, 2 * y : 2 * y + 16]
        assert torch.equal(window, cropped.targets[n])
        there = plain.lesion[n, :, 2 * x : 2 * x + 16, 2 * y : 2 * y + 16]
        assert torch.equal(there, cropped.lesion[n])
    # The last steps are on whole slices.
    whole = Stream(replace(CONFIG, crop=16), None, Slices(), 2).batch(85, seeded(4))
    assert whole.inputs.shape == plain.inputs.shape


def test_windows_hold_brain_and_stay_inside():
    mask = torch.zeros(50, 32, 48, dtype=torch.bool)
    mask[:, 30:, 46:] = True
    mask[0] = False  # nothing there: anywhere
    corners = draw_windows(mask, 16, 2, seeded())
    windows = cut(mask, corners, 16)
    assert windows.shape == (50, 16, 16)
    assert windows[1:].flatten(1).any(dim=1).all()
    assert all(x % 2 == y % 2 == 0 for x, y in corners)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="give --pool 0 or --workers 0"):
        Stream(replace(CONFIG, pool=8, workers=2), Simulated(), None, 2)
    with pytest.raises(ValueError, match="nothing to simulate from; give --real 1"):
        Stream(replace(CONFIG, real=0.0), None, Slices(), 2).batch(0, seeded())
