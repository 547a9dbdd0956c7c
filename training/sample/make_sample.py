"""Make the sample patient: ``python -m training.sample.make_sample --data ../shared/data``.

One SynthSeg label map, mirrored and deformed at random until it is nobody's brain, with
lesions placed by rule and painted with contrasts of our own: no scanned voxel enters.
The same seed gives the same files.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_medsyn.scans.study import Scan
from napari_medsyn.scans.writing import write_scan
from training.anatomy import Volume, fractions, load_label_maps, random_displacement
from training.mmhvae.simulate import GROUPS, LOOK
from training.sample.lesions import make_lesions
from training.sample.painting import Anatomy, make_details, paint

#: The box that is kept, MNI mm: (low, high) along x, y, z.
BOX = ((-82.0, 82.0), (-118.0, 82.0), (-72.0, 88.0))
#: Width to strength, voxels, of the deformation.
WARP = {26.0: 3.2, 11.0: 0.9}
#: The whole brain's size against the label map's, along each axis.
SIZE = 0.95
FULL_SCALE = 900  # of the brain's 99.5th percentile
STEP = 8  # intensities are multiples of it, far below the noise: files half as large
LOWEST_LESION_MM = -12.0
SHIPPED = ("T1", "T2")


def make_anatomy(data: Path, head: int, rng: np.random.Generator) -> Anatomy:
    """A brain that nobody has."""
    maps = load_label_maps(data)
    labels, affine = _crop(maps.head(head), maps.affine)
    # Mirrored: the box is symmetric, so the grid stays as it is.
    labels = labels[::-1]
    groups = {name: members for name, members in GROUPS.items() if name != "lesion"}
    groups["white"] = (*groups["white"], *GROUPS["lesion"])
    displacement = random_displacement(labels.shape, WARP, rng)
    middle = np.array(labels.shape)[:, None, None, None] / 2
    displacement += (np.indices(labels.shape, dtype=np.float32) - middle) * (1 / SIZE - 1)
    tissue = fractions(labels, groups, displacement)
    mask = brain_of(tissue)
    above = int(np.ceil(LOWEST_LESION_MM - affine[2, 3]))
    lesion = make_lesions(tissue["white"], tissue["ventricle"], tissue["cortex"], above, rng)
    return Anatomy(tissue, lesion, mask, affine)


def brain_of(tissue: dict[str, Volume]) -> NDArray[np.bool_]:
    """Tissue with its ventricles and sulci and 2 mm of the fluid around it, no holes."""
    solid = np.sum([v for name, v in tissue.items() if name != "fluid"], axis=0) > 0.4
    inside = solid | (tissue["fluid"] > 0.5)
    far = ndimage.distance_transform_edt(~solid)
    closed = ndimage.distance_transform_edt(far <= 7.0) > 7.0
    mask = ndimage.binary_fill_holes(closed | (far <= 2.0)) & inside
    # Rounded like a brain extraction's border; what hangs on a thread is let go.
    mask = ndimage.gaussian_filter(mask.astype(np.float32), 1.2) > 0.5
    pieces, _ = ndimage.label(ndimage.distance_transform_edt(mask) > 4.0)
    largest = pieces == np.argmax(np.bincount(pieces.ravel())[1:]) + 1
    mask &= ndimage.distance_transform_edt(~largest) <= 5.5
    return np.asarray(ndimage.binary_fill_holes(mask), dtype=bool)


def _crop(
    labels: NDArray[np.int64], affine: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    box, origin = [], affine[:3, 3].copy()
    for axis, limits in enumerate(BOX):
        step = affine[axis, axis]
        first, last = sorted((np.array(limits) - affine[axis, 3]) / step)
        box.append(slice(int(first), int(last) + 1))
        origin[axis] += step * int(first)
    cropped = affine.copy()
    cropped[:3, 3] = origin
    return labels[tuple(box)], cropped


def to_scan(
    voxels: Volume, mask: NDArray[np.bool_], affine: NDArray[np.float64], modality: str, seed: int
) -> Scan:
    """An image as a marked int16 scan; 99.5th percentile of the brain at `FULL_SCALE`."""
    scale = FULL_SCALE / float(np.percentile(voxels[mask], 99.5))
    stored = STEP * np.round(voxels * scale / STEP)
    # A brain voxel is never exactly 0: that is the mark of the background.
    stored = np.where(mask, np.maximum(stored, STEP), 0)
    return _scan(stored.astype(np.int16), affine, modality, seed)


def _scan(
    voxels: NDArray[np.integer[Any]], affine: NDArray[np.float64], modality: str, seed: int
) -> Scan:
    provenance = {
        "made_by": "training/sample/make_sample.py",
        "seed": seed,
        "anatomy": "SynthSeg label map (Billot et al. 2023, Apache-2.0), mirrored and deformed",
    }
    facts = {"sform_code": 4, "qform_code": 4, "provenance": provenance}  # 4: MNI
    return Scan(voxels, affine, modality, f"sample_{modality}", is_synthetic=True, facts=facts)


def make_scans(data: Path, head: int, seed: int) -> dict[str, Scan]:
    """All four modalities and the lesion mask, by modality; "label" is the mask."""
    anatomy = make_anatomy(data, head, np.random.default_rng(seed))
    details = make_details(anatomy, np.random.default_rng((seed, 1)))
    scans = {}
    for number, modality in enumerate(LOOK["white"]):
        image = paint(modality, anatomy, details, np.random.default_rng((seed, 2, number)))
        scans[modality] = to_scan(image, anatomy.mask, anatomy.affine, modality, seed)
    lesion = (anatomy.lesion > 0.5) & anatomy.mask
    scans["label"] = _scan(lesion.astype(np.uint8), anatomy.affine, "label", seed)
    return scans


def main() -> None:
    """Write what ships and, if asked for, the truth of what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the shared data")
    parser.add_argument("--out", type=Path, default=Path("resources/sample"))
    parser.add_argument("--truth", type=Path, help="folder for T1c and FLAIR, which do not ship")
    parser.add_argument("--head", type=int, default=18, help="which label map")
    parser.add_argument("--seed", type=int, default=2024)
    args = parser.parse_args()
    scans = make_scans(args.data, args.head, args.seed)
    for modality, scan in scans.items():
        folder = args.out if modality in (*SHIPPED, "label") else args.truth
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            name = "lesion" if modality == "label" else modality
            path = write_scan(scan, folder / f"{name}.nii.gz", overwrite=True)
            print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
    volume = np.count_nonzero(scans["label"].voxels) / 1000
    brain = np.count_nonzero(scans["T1"].voxels) / 1000
    print(f"lesions {volume:.1f} ml, brain {brain:.0f} ml")


if __name__ == "__main__":
    main()
