"""Choose the judge's threshold: ``python -m training.judges.lesions.calibrate --run …``.

On validation people only: simulated people, and the real visits with lesions painted in,
each with all modalities and without FLAIR.  The pair of threshold and smallest lesion with
the best mean Dice is written to ``calibration.json`` in the run's folder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from napari_medsyn.models.judges.lesions import LesionNet, LesionTopology, without_specks
from training.data.grids import MODALITIES
from training.data.multimodal import Visit, load_visits
from training.judges.lesions.real import painted_visit
from training.judges.lesions.scoring import Mask, drawn, overlap, volumes
from training.judges.lesions.simulated import LesionSimulator, load_subjects

THRESHOLDS = tuple(round(0.05 * i, 2) for i in range(4, 18))
SMALLEST = (1, 3, 5, 10)
GIVEN = {"all": MODALITIES, "without FLAIR": ("T1", "T1c", "T2")}
#: Slices of one person.
MOST = 48


def load_network(run: Path) -> LesionNet:
    """The averaged network of a run's folder."""
    architecture = json.loads((run / "run.json").read_text())["architecture"]
    network = LesionNet(LesionTopology.from_card(architecture))
    network.load_state_dict(load_file(run / "weights.safetensors"))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval()


def people(data: Path, n: int, seed: int = 1) -> dict[str, list[Visit]]:
    """Validation people by kind: simulated, and real with painted lesions; `n` of each."""
    masks = LesionSimulator.load(data, ("validation",)).lesions
    visits = load_visits(data, parts=("validation",))
    painted = [
        painted_visit(visits[i % len(visits)], masks[i % len(masks)], seed + i, MOST)
        for i in range(n)
    ]
    return {
        "simulated": load_subjects(data, ("validation",), n, seed, MOST),
        "painted": painted,
    }


def scores(odds: NDArray[np.float32], truth: Mask, region: Mask) -> NDArray[np.float64]:
    """(thresholds, smallest): Dice of one person within `region`."""
    return np.array(
        [
            [overlap(without_specks(odds >= t, s) & region, truth & region) for s in SMALLEST]
            for t in THRESHOLDS
        ]
    )


def chosen(table: NDArray[np.float64]) -> tuple[float, int]:
    """Threshold and smallest lesion with the highest mean in (people, thresholds, smallest)."""
    means = np.nanmean(table, axis=0)
    i, j = np.unravel_index(int(means.argmax()), means.shape)
    return THRESHOLDS[int(i)], SMALLEST[int(j)]


def recall(network: LesionNet, visits: Sequence[Visit], threshold: float) -> Iterator[float]:
    """Share of the changed-lesion voxels of each visit that are found."""
    for visit in visits:
        if visit.lesion_change is not None:
            found = network.probability(volumes(visit)) >= threshold
            changed = visit.lesion_change.numpy().transpose(1, 2, 0)
            yield float(found[changed].mean())


def main() -> None:
    """Choose, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data folder or packed file")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--n", type=int, default=6, help="people of each kind")
    args = parser.parse_args()
    torch.set_num_threads(1)
    network = load_network(args.run)
    tables: dict[str, list[NDArray[np.float64]]] = {}
    for kind, visits in people(args.data, args.n).items():
        for visit in visits:
            region = visit.mask.numpy().transpose(1, 2, 0)
            for name, given in GIVEN.items():
                odds = network.probability(volumes(visit, given))
                found = scores(odds, drawn(visit), region)
                tables.setdefault(f"{kind}, {name}", []).append(found)
    threshold, smallest = chosen(np.array([t for table in tables.values() for t in table]))
    result: dict[str, Any] = {"threshold": threshold, "smallest_voxels": smallest}
    place = THRESHOLDS.index(threshold), SMALLEST.index(smallest)
    for name, table in tables.items():
        print(name, np.round(np.nanmean(table, axis=0)[:, place[1]], 3).tolist())
        result[f"dice, {name}"] = round(float(np.nanmean([t[place] for t in table])), 4)
    visits = load_visits(args.data, parts=("validation",))
    result["recall of changed lesions"] = [round(r, 4) for r in recall(network, visits, threshold)]
    (args.run / "calibration.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
