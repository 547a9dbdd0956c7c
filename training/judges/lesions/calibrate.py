"""Choose the judge's thresholds: ``python -m training.judges.lesions.calibrate --run …``.

On validation people only: simulated people, and the real visits with lesions painted in,
with all modalities, without FLAIR, and T1 alone.  For each, the threshold with the best mean
Dice is written to ``calibration.json`` in the run's folder, with one smallest lesion for all.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from napari_medsyn.models.judges.lesions import LesionNet, LesionTopology, Segmenter, without_specks
from training.data.grids import MODALITIES
from training.data.multimodal import Visit, load_visits
from training.judges.lesions.real import painted_visit
from training.judges.lesions.scoring import Mask, drawn, overlap, volumes
from training.judges.lesions.simulated import LesionSimulator, load_subjects

THRESHOLDS = tuple(round(0.1 * i, 1) for i in range(1, 10))
SMALLEST = (1, 3, 5, 10)
GIVEN = {"all": MODALITIES, "without FLAIR": ("T1", "T1c", "T2"), "T1 alone": ("T1",)}
#: Modality to the case whose threshold holds, if none of those before is given.
DECIDES = {"FLAIR": "all", "T2": "without FLAIR", "T1": "T1 alone", "T1c": "T1 alone"}
#: Slices of a simulated person; real ones are whole.
MOST = 48


def load_network(run: Path) -> LesionNet:
    """The averaged network of a run's folder."""
    architecture = json.loads((run / "run.json").read_text())["architecture"]
    network = LesionNet(LesionTopology.from_card(architecture))
    network.load_state_dict(load_file(run / "weights.safetensors"))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval()


def people(data: Path, n: int, seed: int = 1) -> dict[str, list[Visit]]:
    """Validation people by kind: simulated, and real with painted lesions; `n` of each."""
    masks = LesionSimulator.load(data, ("validation",)).lesions
    visits = load_visits(data, parts=("validation",))
    painted = [
        painted_visit(visits[i % len(visits)], masks[i % len(masks)], seed + i) for i in range(n)
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


def chosen(tables: Mapping[str, NDArray[np.float64]]) -> tuple[dict[str, float], int]:
    """Threshold by case and the smallest lesion with the highest mean of the best Dice.

    Parameters
    ----------
    tables : case to (people, thresholds, smallest).
    """
    means = {case: np.nanmean(table, axis=0) for case, table in tables.items()}
    j = int(sum(mean.max(axis=0) for mean in means.values()).argmax())
    best = {case: THRESHOLDS[int(mean[:, j].argmax())] for case, mean in means.items()}
    return best, SMALLEST[j]


def recall(segment: Segmenter, visits: Sequence[Visit]) -> Iterator[float]:
    """Share of the changed-lesion voxels of each visit that are found."""
    for visit in visits:
        if visit.lesion_change is not None:
            changed = visit.lesion_change.numpy().transpose(1, 2, 0)
            yield float(segment(volumes(visit))[changed].mean())


def calibrated(run: Path) -> Segmenter:
    """The segmenter of a run whose thresholds have been chosen."""
    said = json.loads((run / "calibration.json").read_text())
    return Segmenter(load_network(run), said["thresholds"], said["smallest_voxels"])


def main() -> None:
    """Choose, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data folder or packed file")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--n", type=int, default=6, help="people of each kind")
    args = parser.parse_args()
    torch.set_num_threads(1)
    network = load_network(args.run)
    tables: dict[str, dict[str, list[NDArray[np.float64]]]] = {case: {} for case in GIVEN}
    for kind, visits in people(args.data, args.n).items():
        for visit in visits:
            region = visit.mask.numpy().transpose(1, 2, 0)
            for case, given in GIVEN.items():
                found = scores(network.probability(volumes(visit, given)), drawn(visit), region)
                print(f"{visit.name}, {case}: at most {np.nanmax(found):.3f}", flush=True)
                tables[case].setdefault(kind, []).append(found)
    everybody = {case: np.concatenate([*kinds.values()]) for case, kinds in tables.items()}
    thresholds, smallest = chosen(everybody)
    result: dict[str, Any] = {
        "thresholds": {modality: thresholds[case] for modality, case in DECIDES.items()},
        "smallest_voxels": smallest,
    }
    for case, kinds in tables.items():
        place = THRESHOLDS.index(thresholds[case]), SMALLEST.index(smallest)
        for kind, table in kinds.items():
            dice = float(np.nanmean([of_one[place] for of_one in table]))
            result[f"dice, {kind}, {case}"] = round(dice, 4)
    segment = Segmenter(network, result["thresholds"], smallest)
    shares = recall(segment, load_visits(args.data, parts=("validation",)))
    result["recall of changed lesions"] = [round(share, 4) for share in shares]
    (args.run / "calibration.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
