"""A made-up data folder: heads of balls in balls, lesions of three patients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tests.training.data._made import HEALTHY, write_table

#: MNI's 1 mm grid, cut to the head, stored from right to left as the released files are.
SHAPE = (130, 140, 130)
AFFINE = np.array([[-1.0, 0, 0, 65], [0, 1, 0, -80], [0, 0, 1, -55], [0, 0, 0, 1]])
#: Middle of every ball, MNI mm, and FreeSurfer label by radius, mm.
MIDDLE = (0.0, -10.0, 10.0)
BALLS = ((55, 24), (50, 3), (44, 2), (16, 4))
#: MNI's 2 mm grid as released.
COARSE = (91, 109, 91)
COARSE_AFFINE = np.array([[-2.0, 0, 0, 90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1]])
#: The same for DLMUSE.
COARSE_BALLS = ((50, 120), (44, 81), (16, 51))


def write_data(folder: Path) -> Path:
    """What the simulator reads; load of the patients 1.0, 3.0 and 1.0 ml."""
    write_label_maps(folder / "label_maps")
    write_lesions(folder / "lesions")
    write_healthy(folder / "healthy_t1")
    return folder


def radii(shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    """(X, Y, Z) mm from `MIDDLE`."""
    axes = [affine[a, 3] + affine[a, a] * np.arange(n) - MIDDLE[a] for a, n in enumerate(shape)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    return np.sqrt(x**2 + y**2 + z**2)


def write_label_maps(folder: Path) -> None:
    folder.mkdir(parents=True)
    codes = np.zeros((2, *SHAPE), np.uint8)
    for head, grown in zip(codes, (0, 2), strict=True):
        for code, (radius, _) in enumerate(BALLS, start=1):
            head[radii(SHAPE, AFFINE) < radius + grown] = code
    np.savez(
        folder / "synthseg_labels_mni1mm.npz",
        codes_zyx=codes.transpose(0, 3, 2, 1),
        code_to_freesurfer_label=np.array([0, *(label for _, label in BALLS)]),
        names=np.array(["training_seg_01", "training_seg_02"]),
        affine_xyz=AFFINE,
    )


def write_lesions(folder: Path) -> None:
    folder.mkdir(parents=True)
    masks = np.zeros((3, *SHAPE), np.uint8)
    # x = 65 - i: the first two are on the right, behind and before the ventricles.
    masks[0, 35:45, 30:40, 60:70] = 1
    masks[1, 35:45, 90:100, 55:85] = 1
    masks[2, 60:70, 60:70, 100:110] = 1
    np.savez(
        folder / "lesions_mni1mm.npz",
        bits=np.packbits(masks.reshape(3, -1), axis=1),
        shape=np.array(masks.shape),
        patients=np.array(["patient01", "patient02", "patient07"]),
        affine=AFFINE,
    )
    rows = [(f"patient0{n}", 30, "F", ml) for n, ml in ((1, 1.0), (2, 3.0), (7, 1.0))]
    write_table(folder / "lesions.csv", ("patient", "age", "sex", "lesion_ml_mni"), rows)


def write_healthy(folder: Path) -> None:
    folder.mkdir(parents=True)
    radius = radii(COARSE, COARSE_AFFINE)
    brain, labels = radius < 53, np.zeros(COARSE, np.uint8)
    for size, label in COARSE_BALLS:
        labels[radius < size] = label
    rng = np.random.default_rng(5)
    t1 = (np.where(radius < 44, 200, 140) + rng.integers(-4, 5, COARSE)) * brain
    n, zyx = len(HEALTHY), (0, 3, 2, 1)
    np.savez(
        folder / "ixi_t1_mni2mm.npz",
        t1_zyx=np.stack([t1.astype(np.uint8)] * n).transpose(zyx),
        ids=np.array(HEALTHY),
        age=np.array([38.78, 46.71, 34.24], np.float32),
        sex=np.array(["M", "M", "F"]),
        affine_xyz=COARSE_AFFINE,
    )
    brains = np.stack([brain.transpose(2, 1, 0)] * n)
    np.savez(
        folder / "ixi_labels_mni2mm.npz",
        dlmuse_zyx=np.stack([labels] * n).transpose(zyx),
        mask_bits=np.packbits(brains.reshape(n, -1), axis=1),
        shape_zyx=np.array(COARSE[::-1]),
        ids=np.array(HEALTHY),
    )
    volume = 0.008 * (labels == 51).sum()
    rows = [(name, volume * 0.7, 0.7) for name in HEALTHY]
    write_table(folder / "ixi_qc.csv", ("id", "ventricle_ml_labels_4_11_49_50_51_52", "jac"), rows)
