"""Make the head template: ``python -m training.templates.make_template --data ../shared/data``.

The mean of SynthSeg's 20 label maps (Billot et al. 2023, Apache-2.0), which lie in MNI152
space, rendered with SynthSeg's mean T1 intensity of each label, at 2 mm.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.anatomy import BRAIN_FLUID, OUTSIDE_BRAIN, Volume, load_label_maps

#: Labels of each kind of tissue; the brain stem counts as white matter.
WHITE = (2, 41, 7, 46, 85, 16, 28, 60, 25, 57, 62, 30, 72)
FLUID = (BRAIN_FLUID, 4, 5, 14, 15, 43, 44)
#: Dark in T1: bone and the air in it; what is left of the head is soft.
BONE = (506, 514, 515)
#: Fluid between tissue belongs to the brain where the gap is narrower than twice this, mm.
SULCUS_MM = 8.0
#: Fluid on the surface of tissue that brain extraction leaves on it, mm.
MARGIN_MM = 2.0
SPACING = 2.0


def make_template(data: Path, heads: list[int] | None = None) -> dict[str, NDArray[np.generic]]:
    """The arrays of the template file.

    Parameters
    ----------
    data : the shared data folder.
    heads : which label maps to average; all if None.

    Returns
    -------
    "t1" : (91, 109, 91) uint8, T1-like, 0 to 255.
    "brain", "wm", "gm", "csf", "bone", "soft" : the same shape, probabilities times 255.
    "affine" : (4, 4) voxel index to MNI, mm.
    """
    maps = load_label_maps(data)
    with np.load(data / "label_maps" / "synthseg_labels_mni1mm.npz") as z:
        intensity = z["t1_prior_mean_per_code"].astype(np.float32)
    labels = maps.labels
    inside = (labels > 0) & ~np.isin(labels, OUTSIDE_BRAIN)
    white, fluid = np.isin(labels, WHITE), np.isin(labels, FLUID)
    tables: dict[str, NDArray[np.generic]] = {
        "t1": np.where(labels > 0, intensity, 0),
        "wm": white,
        "gm": inside & ~white & ~fluid,
        "csf": fluid,
        "bone": np.isin(labels, BONE),
        "soft": np.isin(labels, OUTSIDE_BRAIN) & ~np.isin(labels, BONE),
    }
    chosen = list(range(len(maps))) if heads is None else heads
    sums: dict[str, Volume] = {}
    for index in chosen:
        one = {name: coarser(table, maps.codes[index]) for name, table in tables.items()}
        one["brain"] = brain_of(one["wm"] + one["gm"], one["csf"])
        for name, volume in one.items():
            sums[name] = np.asarray(sums.get(name, 0) + volume / len(chosen), np.float32)
    sums["t1"] = sums["t1"] / np.float32(np.percentile(sums["t1"], 99.9))
    out: dict[str, NDArray[np.generic]] = {
        name: np.round(255 * np.clip(volume, 0, 1)).astype(np.uint8)
        for name, volume in sums.items()
    }
    affine = maps.affine.copy()
    affine[:3, :3] *= SPACING
    affine[:3, 3] += maps.affine[:3, :3] @ np.full(3, (SPACING - 1) / 2)
    return {**out, "affine": affine}


def brain_of(tissue: Volume, fluid: Volume) -> Volume:
    """0 or 1: tissue, ventricles and the fluid in sulci, as brain extraction has it."""
    solid = tissue > 0.5
    reach = SULCUS_MM / SPACING
    far = ndimage.distance_transform_edt(~solid)
    closed = ndimage.distance_transform_edt(far <= reach) > reach
    wide = ndimage.binary_fill_holes(closed | (far <= MARGIN_MM / SPACING))
    whole = wide & (tissue + fluid > 0.5)
    return np.asarray(whole, dtype=np.float32)


def coarser(table: NDArray[np.generic], codes: NDArray[np.uint8]) -> Volume:
    """Mean of `table[code]` over blocks of 2 × 2 × 2 voxels."""
    values = table.astype(np.float32)[codes]
    pairs = [n for size in codes.shape for n in (size // 2, 2)]
    return np.asarray(values.reshape(pairs).mean(axis=(1, 3, 5)), dtype=np.float32)


def main() -> None:
    """Write the template."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the shared data")
    parser.add_argument("--out", type=Path, default=Path("resources/templates"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "mni_template_2mm.npz"
    np.savez_compressed(path, allow_pickle=False, **make_template(args.data))
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
