"""Fit the covariate judge: ``python -m training.judges.covariates --data … --tissue … --out …``.

Seconds once the tissue network has run on everybody; there is nothing to resume.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from napari_medsyn.models.judges.covariates import CovariateNet
from napari_medsyn.models.judges.networks import TissueNet, TissueTopology
from training.data.healthy import Healthy
from training.data.sources import data_hash
from training.harness import machine
from training.judges import people
from training.judges.covariates import ridge
from training.judges.covariates.features import Measured, measure
from training.judges.tissue.classes import TISSUES

#: Age bands, in years, that the folds share evenly.
BANDS = (35, 50, 65)
VENTRICLES = next(i for i, tissue in enumerate(TISSUES) if tissue.key == "ventricles")


@dataclass(frozen=True)
class Config:
    """Settings of the fit.

    `strength` and `floor` were looked at once with features made of all 157 people's labels,
    by cross-validation, where a factor of ten changed the error of age by 0.1 years; `cover`
    was decided on the judges' people and the patients of the train and validation parts.

    Parameters
    ----------
    strength, floor : see `ridge.fit`.
    cover : cells count that tissue fills to at least this share in the mean of the judges'
        people.  The brain's rim is where masks differ from program to program, and tells sex
        in IXI: with it, patients of another scanner were all read as men.
    count, repeats : folds of the cross-validation, and how often they are drawn anew.
    seed : of the folds.
    """

    strength: float = 0.1
    floor: float = 0.05
    cover: float = 0.97
    count: int = 10
    repeats: int = 5
    seed: int = 0


def main() -> None:
    """Fit, cross-validate, test; write weights.safetensors and run.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data folder or packed file")
    parser.add_argument("--tissue", type=Path, required=True, help="folder of the tissue run")
    parser.add_argument("--out", type=Path, required=True, help="folder of this fit")
    args = parser.parse_args()
    torch.set_num_threads(1)
    record = json.loads((args.tissue / "run.json").read_text())
    weights = args.tissue / "weights.safetensors"
    tissue = TissueNet(TissueTopology.from_card(record["architecture"]))
    tissue.load_state_dict(load_file(weights))
    folk = people.load(args.data)
    measured = measure(tissue.eval(), folk, weights, args.out.parent / "cache")
    config = Config()
    network, figures = fit(tissue, folk, measured, config)
    args.out.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), args.out / "weights.safetensors")
    facts = {
        "command": f"python -m training.judges.covariates --data {args.data} "
        f"--tissue {args.tissue} --out {args.out}",
        "commit": machine.commit(),
        "config": asdict(config),
        "architecture": record["architecture"],
        "data_hash": data_hash(args.data),
        "hardware": machine.hardware(),
        "figures": figures,
    }
    (args.out / "run.json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


def fit(
    tissue: TissueNet, folk: Healthy, measured: Measured, config: Config
) -> tuple[CovariateNet, dict[str, Any]]:
    """The judge of the judges' people, and all figures.

    The shipped maps are fitted to the judges' people only; cross-validation over all people
    fits others for each fold.
    """
    ours = np.isin(folk.ids, people.judges_people())
    male = folk.sex == "M"
    used = cells_in_use(measured.features, ours, config.cover)
    x, signs = measured.features[:, used], np.where(male, 1.0, -1.0)
    age = ridge.fit(x[ours], folk.age[ours], config.strength, config.floor)
    sex = ridge.fit(x[ours], signs[ours], config.strength, config.floor)
    held = cross_validated(x, folk, ours, config)
    slope, intercept = ridge.log_odds_line(held["sex"].ravel(), np.tile(male[ours], config.repeats))
    network = _network(tissue, used, age, sex, slope, intercept)
    everyone = cross_validated(x, folk, np.ones(len(folk), bool), config)
    test = np.isin(folk.ids, people.test_people())
    unseen = ~ours
    return network, {
        "cross_validation": {
            "n": len(folk),
            **_scores(everyone, folk.age, male),
            **_volume(measured, np.ones(len(folk), bool)),
        },
        "judges_people": {"n": int(ours.sum()), **_scores(held, folk.age[ours], male[ours])},
        "test": {
            "n": int(test.sum()),
            **_scores(_told(age, sex, x[test]), folk.age[test], male[test]),
            **_volume(measured, test),
            "mean_predictor_age_mae": _error(folk.age[ours].mean(), folk.age[test]),
        },
        "unseen": {"n": int(unseen.sum()), **_volume(measured, unseen)},
        "dice_test": {
            t.key: round(float(d), 4)
            for t, d in zip(TISSUES, measured.dice[test].mean(axis=0), strict=True)
        },
        "volume_r_test": {
            t.key: round(
                float(np.corrcoef(measured.volume_ml[test, k], measured.drawn_ml[test, k])[0, 1]), 4
            )
            for k, t in enumerate(TISSUES)
        },
        "age_sd": round(float(np.std(held["age"] - folk.age[ours])), 2),
        "ventricles_sd": _volume(measured, ours)["ventricles_rmse_ml"],
        "sex_slope": slope,
        "sex_intercept": intercept,
        "sex_log_loss": _log_loss(slope * held["sex"] + intercept, male[ours]),
    }


def cells_in_use(
    features: NDArray[np.float32], who: NDArray[np.bool_], cover: float
) -> NDArray[np.bool_]:
    """(features,) bool: inside the brain of the people `who`, and not empty in all of them."""
    mean = features[who].mean(axis=0).reshape(len(TISSUES), -1)
    inside = mean.sum(axis=0) >= cover
    used: NDArray[np.bool_] = ((mean > 0) & inside).ravel()
    return used


def cross_validated(
    x: NDArray[np.float32], folk: Healthy, who: NDArray[np.bool_], config: Config
) -> dict[str, NDArray[np.float64]]:
    """Held-out age and sex score, (repeats, people of `who`)."""
    age, male = folk.age[who], folk.sex[who] == "M"
    strata = 2 * np.searchsorted(BANDS, age) + male
    rows: dict[str, list[NDArray[np.float64]]] = {"age": [], "sex": []}
    for repeat in range(config.repeats):
        rng = np.random.default_rng([config.seed, repeat])
        fold = ridge.folds(strata, config.count, rng)
        for name, target in (("age", age), ("sex", np.where(male, 1.0, -1.0))):
            rows[name].append(
                ridge.predicted_by_others(x[who], target, fold, config.strength, config.floor)
            )
    return {name: np.stack(values) for name, values in rows.items()}


def _network(
    tissue: TissueNet,
    used: NDArray[np.bool_],
    age: ridge.Ridge,
    sex: ridge.Ridge,
    slope: float,
    intercept: float,
) -> CovariateNet:
    network = CovariateNet(tissue.topology)
    network.tissue.load_state_dict(tissue.state_dict())
    maps = np.zeros((2, len(used)))
    maps[:, used] = age.weights, slope * sex.weights
    scale = np.abs(maps).max(axis=1)
    network.maps.copy_(torch.from_numpy(maps / scale[:, None]))
    network.scale.copy_(torch.from_numpy(scale))
    network.offset.copy_(torch.tensor([age.offset, slope * sex.offset + intercept]))
    return network.eval()


def _told(
    age: ridge.Ridge, sex: ridge.Ridge, x: NDArray[np.float32]
) -> dict[str, NDArray[np.float64]]:
    return {"age": age.of(x)[None], "sex": sex.of(x)[None]}


def _scores(
    told: dict[str, NDArray[np.float64]], age: NDArray[np.float32], male: NDArray[np.bool_]
) -> dict[str, float]:
    """Mean over repeats; the mean-predictor says everybody's mean age of everybody."""
    slope = np.polyfit(np.tile(age, len(told["age"])), told["age"].ravel(), 1)[0]
    return {
        "age_mae": _error(told["age"], age),
        "age_r": round(float(np.mean([np.corrcoef(row, age)[0, 1] for row in told["age"]])), 4),
        "age_slope": round(float(slope), 3),
        "mean_predictor_age_mae": _error(age.mean(), age),
        "sex_accuracy": round(float(((told["sex"] > 0) == male).mean()), 4),
    }


def _volume(measured: Measured, who: NDArray[np.bool_]) -> dict[str, float]:
    ours, drawn = measured.volume_ml[who, VENTRICLES], measured.drawn_ml[who, VENTRICLES]
    return {
        "ventricles_r": round(float(np.corrcoef(ours, drawn)[0, 1]), 4),
        "ventricles_mae_ml": _error(ours, drawn),
        "ventricles_rmse_ml": round(float(np.sqrt(np.mean((ours - drawn) ** 2))), 3),
        "ventricles_bias_ml": round(float(np.mean(ours - drawn)), 3),
    }


def _error(told: Any, truth: NDArray[Any]) -> float:
    return round(float(np.abs(told - truth).mean()), 3)


def _log_loss(log_odds: NDArray[np.float64], male: NDArray[np.bool_]) -> float:
    return round(float(np.mean(np.log1p(np.exp(np.where(male, -log_odds, log_odds))))), 4)


if __name__ == "__main__":
    main()
