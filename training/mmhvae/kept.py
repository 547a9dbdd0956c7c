"""How much of lesions stays in an imputed FLAIR: ``python -m training.mmhvae.kept``.

Figures to choose between runs by, on the validation part alone: lesions that changed between
the visits of real people, lesions painted into their scans from the validation masks, and
those of simulated heads of the validation label maps.  Contrast is measured as
`training.compare.scoring.lesions_kept` says.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean

import numpy as np
import torch

from training.compare.imputers import Imputer
from training.compare.loading import imputer_of
from training.compare.scoring import SMALLEST_LESIONS, brain, lesions_kept, planes
from training.data.masks import load_lesion_masks
from training.data.multimodal import BRIGHTEST, Visit, load_visits
from training.harness.machine import generator_of
from training.mmhvae.calibrate import simulated_visits
from training.mmhvae.config import MODALITIES
from training.mmhvae.lesions import Brush, paint
from training.mmhvae.simulate import on_grid

#: Stream of random numbers, and the share of a voxel from which it counts as lesion.
LOOKS, HALF = 21, 0.5
FLAIR = "FLAIR"


def kept(imputer: Imputer, visit: Visit, present: Sequence[str], every: int) -> float | None:
    """Contrast of a visit's lesions in the imputed FLAIR over that in the given one.

    Parameters
    ----------
    present : modalities that may be read.
    every : one in so many of the slices that hold lesions.

    Returns
    -------
    None where there are fewer than `SMALLEST_LESIONS` voxels of lesion.
    """
    if visit.lesions is None:
        raise ValueError(f"nobody has drawn the lesions of {visit.name}; score another visit")
    there = (visit.lesions & visit.mask).sum(dim=(1, 2)).numpy()
    slices = [int(k) for k in np.flatnonzero(there)[::every]]
    if int(there[slices].sum()) < SMALLEST_LESIONS:
        return None
    lesions = np.asarray(visit.lesions[slices].permute(1, 2, 0))
    made = imputer(visit, list(present), slices).mean[FLAIR]
    return lesions_kept(planes(visit, FLAIR, slices), made, lesions, brain(visit, slices))


def painted_visits(visits: Sequence[Visit], masks: torch.Tensor) -> list[Visit]:
    """Each visit with the lesions of each mask painted in, of one look, and nothing else known.

    Parameters
    ----------
    masks : (N, Z, X, Y) lesion masks on the model grid.
    """
    brush = Brush(visits, masks)
    found = []
    for v, visit in enumerate(visits):
        for number, mask in enumerate(masks):
            place = mask.float() * brush.white[v]
            images, lesions = visit.images.clone(), torch.zeros_like(visit.mask)
            for k in torch.nonzero(place.sum(dim=(1, 2)))[:, 0].clamp(1, len(mask) - 2).tolist():
                three = slice(k - 1, k + 2)
                made, share = paint(
                    visit.images[:, three].float()[None],
                    place[three][None],
                    brush.level[v][None],
                    generator_of(v, number, LOOKS),
                )
                images[:, k] = made[0, :, 1].clamp(max=BRIGHTEST).half()
                lesions[k] = share[0] > HALF
            name = f"{visit.name}+{number}"
            found.append(replace(visit, name=name, images=images, lesions=lesions))
    return found


def changed(visits: Sequence[Visit]) -> list[Visit]:
    """The visits, with the lesions that changed as the only ones known."""
    return [replace(v, lesions=v.lesion_change) for v in visits if v.lesion_change is not None]


def main() -> None:
    """Print one JSON line for each file of weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data folder or packed file")
    parser.add_argument("--weights", type=Path, nargs="+", required=True, help="of runs")
    parser.add_argument("--every", type=int, default=4, help="one slice with lesions in N")
    parser.add_argument("--simulated", type=int, default=4, help="simulated heads")
    args = parser.parse_args()
    torch.set_num_threads(1)
    visits = load_visits(args.data, parts=("validation",))
    masks = on_grid(load_lesion_masks(args.data, parts=("validation",)))
    kinds = {
        "changed": changed(visits),
        "painted": painted_visits(visits, masks),
        "simulated": simulated_visits(args.data, args.simulated),
    }
    for weights in args.weights:
        imputer = imputer_of(weights)
        line: dict[str, str | float] = {"weights": str(weights)}
        for kind, some in kinds.items():
            for given in (("T1", "T1c", "T2"), ("T1", "T2"), ("T1",)):
                shares = [
                    share
                    for visit in some
                    if (present := _of(visit, given))
                    and (share := kept(imputer, visit, present, args.every)) is not None
                ]
                if shares:
                    line[f"{kind} from {'+'.join(given)}"] = round(mean(shares), 3)
        print(json.dumps(line), flush=True)


def _of(visit: Visit, given: Sequence[str]) -> list[str]:
    """The modalities given, or none where the visit lacks one."""
    there = all(bool(visit.present[MODALITIES.index(m)]) for m in given)
    return list(given) if there else []


if __name__ == "__main__":
    main()
