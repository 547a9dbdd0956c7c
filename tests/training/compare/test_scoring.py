from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm
from tests.training.mmhvae._made import make_visit, small_visit
from training.compare import scoring
from training.compare.imputers import Imputed
from training.compare.scoring import (
    Case,
    brain,
    cases,
    lesions_kept,
    planes,
    rim_of,
    rows_of,
    score,
    scored_slices,
)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(scoring, "SMALLEST_SLICE", 1000)


def copy_of(visit, slices, change=0.0, std=None):
    """A model that knows the truth, but for `change`."""
    have = ("T1", "T2", "FLAIR")
    inside = brain(visit, slices)
    mean = {m: planes(visit, m, slices) + np.float32(change) * inside for m in have}
    return Imputed(mean, None if std is None else dict.fromkeys(have, std))


# ---- what is asked ---------------------------------------------------------------------


def test_cases():
    assert cases(small_visit(), singles=("T2",)) == [
        Case("others", ("T2", "FLAIR"), ("T1",)),
        Case("others", ("T1", "FLAIR"), ("T2",)),
        Case("others", ("T1", "T2"), ("FLAIR",)),
        Case("T1", ("T1",), ("T2", "FLAIR")),
        Case("T2", ("T2",), ("T1", "FLAIR")),
    ]
    alone = small_visit(present=(True, False, False, False))
    assert cases(alone) == []
    assert [c.name for c in cases(make_visit("a", (True,) * 4))] == ["others"] * 4 + [
        "T1", "T1c", "T2", "FLAIR"
    ]  # fmt: skip


def test_scored_slices_have_enough_brain():
    visit = make_visit("a", (True,) * 4)
    assert scored_slices(visit, 7) == [60, 67, 74]
    visit.mask[67] = False
    assert scored_slices(visit, 7) == [60, 68, 75]


def test_planes_are_the_visit_s():
    visit = small_visit()
    x, y, z = 10, 20, 5
    shown = planes(visit, "T2", [3, 5])
    assert shown.shape == (48, 64, 2)
    assert shown[x, y, 1] == float(visit.images[2, z, x, y])
    assert bool(brain(visit, [5])[x, y, 0]) == bool(visit.mask[z, x, y])


# ---- how well it is answered -----------------------------------------------------------


def test_psnr_by_hand():
    visit = small_visit()
    found = score(visit, "T2", copy_of(visit, [2], 0.1), [2], 1.0)
    real, inside = planes(visit, "T2", [2]), brain(visit, [2])
    span = np.where(inside, real, 0).max() - np.where(inside, real, 0).min()
    expected = 10 * np.log10(span**2 / (0.01 * inside.mean()))
    assert found["psnr"] == pytest.approx(expected, abs=0.01)
    assert "coverage" not in found  # no standard deviation, none invented


def test_coverage_is_that_of_the_calibrated_interval(monkeypatch, rng):
    visit = small_visit()
    slices = list(range(8))
    inside = brain(visit, slices)
    std = np.where(rng.random(inside.shape) < 0.5, 0.02, 0.1).astype(np.float32)
    made = copy_of(visit, slices)
    noisy = {
        m: v + (rng.normal(size=v.shape) * 2 * std).astype(np.float32) for m, v in made.mean.items()
    }
    made = Imputed(noisy, dict.fromkeys(noisy, std))
    # The error is twice as large as the model says.
    found = score(visit, "T2", made, slices, 1.0)
    assert found["scale"] == pytest.approx(2.0, rel=0.03)
    assert found["coverage"] == pytest.approx(2 * norm.cdf(norm.ppf(0.95) / 2) - 1, abs=0.01)
    assert score(visit, "T2", made, slices, 2.0)["coverage"] == pytest.approx(0.9, abs=0.01)
    assert 0.3 < found["spearman"] < 0.9


def test_lesions_kept_by_hand():
    mask = np.zeros((30, 30, 2), bool)
    mask[2:28, 2:28] = True
    lesions = np.zeros_like(mask)
    lesions[12:16, 12:16] = True
    real = np.where(mask, 0.6, 0.0)
    real[lesions] = 1.0
    imputed = np.where(mask, 0.5, 0.0)
    imputed[lesions] = 0.7
    assert lesions_kept(real, imputed, lesions, mask) == pytest.approx(0.2 / 0.4)
    assert lesions_kept(real, real, lesions, mask) == pytest.approx(1)
    flat = np.where(mask, 0.5, 0.0)
    assert lesions_kept(real, flat, lesions, mask) == pytest.approx(0)


def test_the_rim_keeps_off_lesions_fluid_and_background():
    mask = np.zeros((30, 30, 1), bool)
    mask[2:28, 2:28] = True
    lesions = np.zeros_like(mask)
    lesions[12:16, 12:16] = True
    flair = np.where(mask, 0.6, 0.0)
    flair[:11] = 0.1  # a ventricle beside
    rim = rim_of(lesions, flair, mask)
    assert not rim[:11].any()
    assert not rim[12:16, 11:17].any()
    assert rim[13, 17]
    assert rim[13, 19]
    assert not rim[13, 20]


def test_rows_name_what_was_asked():
    visit = small_visit("ms-07", lesions=True)
    rows = rows_of(lambda v, _, slices: copy_of(v, slices, 0.05), visit, 4)
    assert [(r["given"], r["target"]) for r in rows] == [
        ("others", "T1"), ("others", "T2"), ("others", "FLAIR"),
        ("T1", "T2"), ("T1", "FLAIR"), ("T2", "T1"), ("T2", "FLAIR"),
        ("FLAIR", "T1"), ("FLAIR", "T2"),
    ]  # fmt: skip
    assert all(("lesions" in r) == (r["target"] == "FLAIR") for r in rows)
    kept = next(r["lesions"] for r in rows if "lesions" in r)
    assert kept == pytest.approx(1, abs=0.01)  # a shift takes no contrast


def test_a_model_may_not_know_a_modality():
    visit = small_visit()
    only = {"T2": planes(visit, "T2", scored_slices(visit, 4))}
    rows = rows_of(lambda *_: Imputed(only, None), visit, 4)
    assert {r["target"] for r in rows} == {"T2"}


def test_models_read_only_what_is_given():
    # The family is given all volumes, and told which it may read.
    from tests.training.mmhvae._made import TINY
    from training.compare.imputers import FamilyImputer

    from napari_medsyn.models.mmhvae import MMHVAE, Topology

    torch.manual_seed(0)
    imputer = FamilyImputer(MMHVAE(Topology.from_card(TINY)), torch.device("cpu"), samples=2)
    visit = small_visit()
    other = small_visit(name="other")
    other.images[:] = visit.images
    other.images[2:] = torch.rand_like(other.images[2:])
    one, two = (imputer(v, ("T1",), [2, 5]) for v in (visit, other))
    assert one.mean["T2"].shape == (48, 64, 2)
    assert all(np.array_equal(one.mean[m], two.mean[m]) for m in one.mean)
    assert np.array_equal(one.std["FLAIR"], two.std["FLAIR"])
    both = imputer(other, ("T1", "T2"), [2, 5])
    assert not np.array_equal(both.mean["FLAIR"], two.mean["FLAIR"])
    assert (one.std["T2"][brain(visit, [2, 5])] > 0).all()
