from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from numpy.polynomial.polynomial import polyvander2d
from tests.training.mmhvae._made import small_visit
from training.compare.scoring import brain, planes
from training.voxelwise import __main__ as command
from training.voxelwise.regression import DEGREE, VoxelWise, terms


def test_terms_are_all_monomials():
    assert terms([2, 0], 2) == [(), (0,), (2,), (0, 0), (0, 2), (2, 2)]
    # Number of monomials of degree at most 3 in 3 unknowns: 20.
    assert len(terms([0, 1, 3])) == 20


def test_a_polynomial_is_found_again():
    visits = [small_visit("msv-01"), small_visit("msv-03")]
    for visit in visits:
        t1 = visit.images[0].float()
        visit.images[2] = ((0.2 + 0.5 * t1 - 0.3 * t1**3) * visit.mask).half()
    fitted = VoxelWise.fit(visits, every=3)
    weights = fitted.coefficients["T1", "T2"]
    np.testing.assert_allclose(weights, [0.2, 0.5, 0.0, -0.3], atol=0.02)
    made = fitted(visits[0], ("T1",), [1, 4])
    real, inside = planes(visits[0], "T2", [1, 4]), brain(visits[0], [1, 4])
    np.testing.assert_allclose(made.mean["T2"][inside], real[inside], atol=2e-3)
    assert not made.mean["T2"][~inside].any()
    assert made.std is None


def test_least_squares_of_two_visits_equal_numpy_s():
    visits = [small_visit("msv-01"), small_visit("glioma-1")]
    rng = np.random.default_rng(0)
    for visit in visits:
        noise = np.abs(rng.normal(size=visit.mask.shape)) * 0.01
        visit.images[3] += torch.from_numpy(noise).half()
    fitted = VoxelWise.fit(visits, every=1)
    degrees = np.add.outer(np.arange(DEGREE + 1), np.arange(DEGREE + 1)).ravel()
    rows, wanted, made = [], [], []
    for visit in visits:  # the same number of voxels each, so plain least squares
        mask = visit.mask.numpy()
        t1, t2, flair = (visit.images[m].numpy()[mask].astype(float) for m in (0, 2, 3))
        rows.append(polyvander2d(t1, t2, [DEGREE, DEGREE])[:, degrees <= DEGREE])
        wanted.append(flair)
        volume = fitted(visit, ("T1", "T2"), range(8)).mean["FLAIR"]
        made.append(volume.transpose(2, 0, 1)[mask])
    best, *_ = np.linalg.lstsq(np.concatenate(rows), np.concatenate(wanted))
    expected = np.concatenate(rows) @ best
    # T2 follows from T1 here, so weights may differ where what they give does not.
    np.testing.assert_allclose(np.concatenate(made), expected, atol=1e-3)


def test_only_people_who_have_inputs_and_target_are_asked():
    fitted = VoxelWise.fit(
        [small_visit("msv-01"), small_visit("c", present=(False, False, True, True))]
    )
    known = {f"{i}>{t}" for i, t in fitted.coefficients}
    assert "T2>FLAIR" in known
    assert "T1+T2>FLAIR" in known
    assert not any("T1c" in name for name in known)
    assert len(known) == 9


def test_a_command_fits_and_notes_itself(tmp_path, monkeypatch):
    visits = [small_visit("msv-01")]
    asked = []
    monkeypatch.setattr(command, "load_visits", lambda _, parts: (asked.append(parts), visits)[1])
    monkeypatch.setattr(command, "data_hash", lambda _: "abc")
    monkeypatch.setattr(sys, "argv", ["voxelwise", "--data", ".", "--out", str(tmp_path / "run")])
    command.main()
    assert asked == [("train",)]
    stored = VoxelWise.load(tmp_path / "run" / "weights.json")
    expected = VoxelWise.fit(visits)
    assert stored.coefficients.keys() == expected.coefficients.keys()
    assert all(np.array_equal(stored.coefficients[k], v) for k, v in expected.coefficients.items())
    assert json.loads((tmp_path / "run" / "run.json").read_text())["data_hash"] == "abc"


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "weights.json"
    path.write_text('{"degree": 1}')
    with pytest.raises(ValueError, match="is no regression of degree 3; fit it again"):
        VoxelWise.load(path)
