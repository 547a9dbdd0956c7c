"""Measuring: the way back to 2 mm, roughness, who is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from benchmarks import stacks
from training.mssg.stack.slices import FIRST, LAST, SLICES, sliced

from napari_medsyn.models.mssg.lattice import SHAPE


def test_there_and_back_is_a_slightly_blurred_head() -> None:
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    head = np.clip(1.2 - x**2 - y**2 - z**2, 0, 1).astype(np.float32)
    back = stacks.unsliced(sliced(head))
    inside = head[:, :, FIRST:LAST] > 0.1
    assert np.abs(back - head)[:, :, FIRST:LAST][inside].mean() < 0.01
    assert back[:, :, :FIRST].max() == 0


def test_a_stack_whose_slices_do_not_go_together_is_rough() -> None:
    rng = np.random.default_rng(0)
    along = np.cumsum(rng.normal(0, 0.01, (SLICES, 64, 64)), axis=0).astype(np.float32)
    smooth = 0.6 + along + rng.normal(0, 0.02, (1, 64, 64)).astype(np.float32)
    shuffled = smooth[rng.permutation(SLICES)]
    assert stacks.roughness(shuffled) > 1.5 * stacks.roughness(smooth)


def test_covariates_are_asked_for_on_their_own() -> None:
    rng = np.random.default_rng(0)
    people = [stacks.asked(rng) for _ in range(300)]
    age, ventricles = (np.array([p[name] for p in people]) for name in ("age", "ventricles"))
    assert abs(np.corrcoef(age, ventricles)[0, 1]) < 0.15
    assert {p["cohort"] for p in people} == {"ixi", "ms"}
    assert stacks.ASKED["age"][0] <= age.min() < age.max() <= stacks.ASKED["age"][1]


def test_metrics_are_those_of_what_the_judge_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge that reads what was asked for finds a correlation of 1 and everybody's sex."""
    rng = np.random.default_rng(2026)
    wanted = [stacks.asked(rng) for _ in range(5)]
    real: dict[str, Any] = {
        "age": np.array([30.0, 50]),
        "ventricles": np.array([20.0, 10]),
        "sex": ["F", "M"],
    }

    def judge(volumes: np.ndarray) -> dict[str, np.ndarray]:
        if len(volumes) == 2:
            return {"age": real["age"], "ventricles": 30 - np.array([20.0, 10]), "male": np.ones(2)}
        read = {n: np.array([v[n] for v in wanted]) for n in ("age", "ventricles")}
        return read | {"male": np.array([v["sex"] == "M" for v in wanted], float)}

    class People:
        age, ventricle_ml, sex = real["age"], real["ventricles"], np.array(real["sex"])

        def __len__(self) -> int:
            return 2

        def volume(self, n: int) -> np.ndarray:
            return np.full((91, 109, 91), 0.5 + 0.1 * n, np.float32)

    noise = np.random.default_rng(1).uniform(0.3, 0.9, (SLICES, 64, 64)).astype(np.float32)
    monkeypatch.setattr(stacks, "judge_crops", judge)
    monkeypatch.setattr(stacks, "made", lambda *_: noise)
    monkeypatch.setattr(stacks, "roughness", lambda slices: float(slices[30, 32, 32]))
    found = {m["name"]: m["value"] for m in stacks.figures(None, None, People(), 5)}  # type: ignore[arg-type]
    assert found["Age: correlation of asked and read"] == 1
    assert found["Ventricles: correlation of true and read, real slices as coarse"] == -1
    assert found["Sex: share read as asked"] == 1
    assert found["Sex: share read as it is, real slices as coarse"] == 0.5
    expected = float(noise[30, 32, 32]) / 0.55
    assert found["Roughness through the slices, made over real"] == pytest.approx(
        expected, abs=2e-3
    )
