"""Measures the looks of the real training scans: ``python -m training.simulator.measure``.

Healthy people come with labels.  The visits with several modalities do not: their tissues
are told by a Gaussian for each, fitted by expectation maximisation with the mean of the
training people's label maps as the prior at each place (Ashburner & Friston 2005, "Unified
segmentation", section 2, without its warps).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.data.grids import MODALITIES, to_model_grid
from training.data.healthy import Healthy, load_healthy
from training.data.label_maps import load_label_maps
from training.data.multimodal import Visit, load_visits
from training.simulator.looks import FILE, FLUIDS
from training.simulator.tissues import CODE, NAMES, TISSUES, code_table

ITERATIONS = 12
#: Distance of the samples, voxels, and blur of the prior, mm.
STRIDE, BLUR = 2, 2.0
#: A voxel of white matter this many deviations brighter in FLAIR is taken for lesion.
LESION_DEVIATIONS = 3.0
#: Most voxels of fluid are partly tissue: the purest are this share of them from the end that
#: fluid is on, bright in T2 and dark elsewhere.
PUREST = 0.08
#: A tumour is taken for tissues, so glioma patients tell only what nobody else has.
GLIOMA = ("T1c",)
#: Lesions of fewer sampled voxels tell nothing.
FEWEST = 30


def priors(data: Path) -> NDArray[np.float32]:
    """(12, X, Y, Z) share of the training people that have each tissue at a place."""
    maps = load_label_maps(data, parts=("train",))
    table = code_table("freesurfer", int(maps.labels.max()) + 1)
    total: NDArray[np.float32] | None = None
    for codes in maps.codes:
        tissues = to_model_grid(table[maps.labels[codes]], maps.affine)
        kept = tissues[::STRIDE, ::STRIDE, ::STRIDE]
        shares = np.stack([kept == tissue.code for tissue in TISSUES]).astype(np.float32)
        total = shares if total is None else total + shares
    assert total is not None
    blurred = [ndimage.gaussian_filter(share, BLUR / STRIDE) for share in total / len(maps)]
    return np.stack(blurred) + np.float32(1e-4)


def fit(
    values: NDArray[np.float64], prior: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """One Gaussian for each tissue by expectation maximisation.

    Parameters
    ----------
    values : (N, M) intensities.
    prior : (N, K).

    Returns
    -------
    means : (K, M); covariances : (K, M, M); responsibilities : (N, K).
    """
    responsible = (prior / prior.sum(axis=1, keepdims=True)) ** 2
    for _ in range(ITERATIONS):
        weight = responsible.sum(axis=0) + 1e-9
        means = responsible.T @ values / weight[:, None]
        covariances = np.empty((len(weight), values.shape[1], values.shape[1]))
        log = np.log(prior)
        for k in range(len(weight)):
            centred = values - means[k]
            covariances[k] = (responsible[:, k, None] * centred).T @ centred / weight[k]
            covariances[k] += 4e-4 * np.eye(values.shape[1])
            solved = np.linalg.solve(covariances[k], centred.T).T
            log[:, k] -= 0.5 * (
                (solved * centred).sum(axis=1) + np.linalg.slogdet(covariances[k])[1]
            )
        log -= log.max(axis=1, keepdims=True)
        responsible = np.exp(log)
        responsible /= responsible.sum(axis=1, keepdims=True)
    return means, covariances, responsible


def visit_look(visit: Visit, prior: NDArray[np.float32]) -> dict[str, dict[str, float]]:
    """Mean of each tissue in each modality of one visit, and of what looks like lesions."""
    keep = (slice(None, None, STRIDE),) * 3
    mask = visit.mask.numpy().transpose(1, 2, 0)[keep]
    there = [m for m, present in enumerate(visit.present.tolist()) if present]
    images = [visit.images[m].float().numpy().transpose(1, 2, 0)[keep][mask] for m in there]
    values = np.stack(images, axis=1).astype(np.float64)
    means, covariances, responsible = fit(values, prior[:, mask].T.astype(np.float64))
    found = {
        MODALITIES[m]: {name: float(means[k, i]) for k, name in enumerate(NAMES)}
        for i, m in enumerate(there)
    }
    for name in FLUIDS:
        sure = responsible[:, CODE[name] - 1] > 0.5
        for i, m in enumerate(there):
            quantile = 1 - PUREST if MODALITIES[m] == "T2" else PUREST
            if sure.sum() >= FEWEST:
                found[MODALITIES[m]][name] = float(np.quantile(values[sure, i], quantile))
    if "FLAIR" in found:
        lesion = _bright_white(values, means, covariances, responsible, there)
        if lesion.sum() >= FEWEST:
            for i, m in enumerate(there):
                found[MODALITIES[m]]["lesion"] = float(values[lesion, i].mean())
    return found


def _bright_white(
    values: NDArray[np.float64],
    means: NDArray[np.float64],
    covariances: NDArray[np.float64],
    responsible: NDArray[np.float64],
    there: list[int],
) -> NDArray[np.bool_]:
    """(N,) voxels that should be white matter by place and are far too bright in FLAIR."""
    white = CODE["white"] - 1
    flair = there.index(MODALITIES.index("FLAIR"))
    limit = means[white, flair] + LESION_DEVIATIONS * np.sqrt(covariances[white, flair, flair])
    grey = means[CODE["cortex"] - 1, flair]
    not_fluid = responsible[:, [CODE["fluid"] - 1, CODE["ventricle"] - 1]].sum(axis=1) < 0.5
    return (values[:, flair] > max(limit, 1.1 * grey)) & not_fluid  # type: ignore[no-any-return]


def healthy_look(people: Healthy) -> dict[str, dict[str, float]]:
    """Mean over people of each tissue's median T1, of fluids' purest part."""
    table = code_table("dlmuse", 256)
    medians: dict[str, list[float]] = {name: [] for name in NAMES}
    for i in range(len(people)):
        t1, tissues = people.volume(i), table[people.labels[i]]
        tissues[(tissues == 0) & people.brain[i]] = CODE["fluid"]
        for tissue in TISSUES:
            inside = t1[tissues == tissue.code]
            quantile = PUREST if tissue.name in FLUIDS else 0.5
            if len(inside):
                medians[tissue.name].append(float(np.quantile(inside, quantile)))
    return {"T1": {name: float(np.mean(found)) for name, found in medians.items() if found}}


def measure(data: Path) -> dict[str, Any]:
    """Looks of every training visit and of the healthy training people."""
    prior = priors(data)
    visits = {}
    for visit in load_visits(data, parts=("train",)):
        look = visit_look(visit, prior)
        if visit.person.startswith("glioma"):
            look = {m: means for m, means in look.items() if m in GLIOMA}
        visits[visit.name] = look
    visits["healthy"] = healthy_look(load_healthy(data, parts=("train",)))
    rounded = {
        name: {m: {t: round(x, 3) for t, x in means.items()} for m, means in look.items()}
        for name, look in visits.items()
    }
    return {"command": "python -m training.simulator.measure", "visits": rounded}


def main() -> None:
    """Measure and write ``looks.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=FILE)
    args = parser.parse_args()
    text = json.dumps(measure(args.data), indent=1) + "\n"
    args.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
