"""Painted lesions have the load that was asked for and lie in white matter."""

from __future__ import annotations

import numpy as np
from training.mssg.painting import VOXEL_ML, lesion_score, lesion_share, looked, painted


def white() -> np.ndarray:
    host = np.zeros((40, 40, 40), np.float32)
    host[8:32, 8:32, 8:32] = 1
    return host


def mask() -> np.ndarray:
    share = np.zeros((40, 40, 40), np.float32)
    share[12:16, 20:25, 20:24] = 1
    return share


def test_the_load_is_met_within_white_matter() -> None:
    score = lesion_score([mask()], np.random.default_rng(0))
    loads = [0.5, 3.0, 20.0]
    shares = [lesion_share(score, white(), load) for load in loads]
    found = [float(share.sum()) * VOXEL_ML for share in shares]
    # Faint shares are left out, so that it may be less where the score is flat.
    assert all(0.3 * load < got < 1.05 * load for load, got in zip(loads, found, strict=True))
    assert abs(found[2] - 20) < 1
    assert all((share[white() == 0] == 0).all() for share in shares)


def test_lesions_begin_where_the_patient_had_them() -> None:
    share = lesion_share(lesion_score([mask()], np.random.default_rng(1)), white(), 0.4)
    either_side = np.roll(mask() + mask()[::-1], 0) > 0
    near = np.zeros_like(either_side)
    for axis in range(3):
        for step in (-2, -1, 0, 1, 2):
            near |= np.roll(either_side, step, axis)
    assert share[near].sum() > 0.8 * share.sum()


def test_painting_darkens_lesions_and_keeps_the_order_of_tissues() -> None:
    t1 = np.where(white() > 0, 0.95, 0.68).astype(np.float32)
    share = np.zeros_like(t1)
    share[18:22, 18:22, 18:22] = 1
    image = painted(t1, share, np.random.default_rng(2))
    plain = looked(t1)
    assert (image[20, 20, 20] < plain[20, 20, 20]).all()
    assert np.array_equal(image[share == 0], plain[share == 0])
    assert plain[20, 20, 20] > plain[2, 2, 20] > looked(np.full_like(t1, 0.35))[2, 2, 20]
