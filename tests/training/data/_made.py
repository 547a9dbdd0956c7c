"""A shared data folder of small made-up files, in the formats of the released ones."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel
import numpy as np

#: 1 mm volumes of this shape, stored as the released ones: X from right to left.
SHAPE = (40, 44, 36)
AFFINE = np.array([[-1.0, 0, 0, 20], [0, 1, 0, -30], [0, 0, 1, -10], [0, 0, 0, 1]])
#: 2 mm volumes (X, Y, Z).
COARSE = (44, 46, 42)
COARSE_AFFINE = np.array([[-2.0, 0, 0, 29.5], [0, 2, 0, -40.5], [0, 0, 2, -20.5], [0, 0, 0, 1]])
#: A predictor, another one in train, one in test.
HEALTHY = ("IXI012-HH-1211", "IXI013-HH-1212", "IXI034-HH-1260")
VISITS = ("ms/patient07", "ms_visits/patient12_visit1", "ms_visits/patient12_visit2")


def write_shared(folder: Path) -> Path:
    """Three visits, three healthy people, two label maps and three lesion masks."""
    rng = np.random.default_rng(7)
    for visit in VISITS:
        write_visit(folder / visit, rng)
    write_healthy(folder / "healthy_t1", rng)
    write_label_maps(folder / "label_maps")
    write_lesions(folder / "lesions")
    return folder


def ball(shape: tuple[int, ...], radius: float) -> np.ndarray:
    """Bool; the voxels within `radius` of the middle."""
    middle = [(n - 1) / 2 for n in shape]
    return sum((g - m) ** 2 for g, m in zip(np.indices(shape), middle, strict=True)) <= radius**2


def write_visit(folder: Path, rng: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    modalities = ["T1", "T2", "FLAIR"] + (["T1c"] if folder.parent.name == "ms" else [])
    brain = ball(SHAPE, 14)
    for modality in modalities:
        smooth = 400 + 20 * np.indices(SHAPE).sum(axis=0) / 3
        volume = (smooth + rng.normal(0, 20, SHAPE)).astype(np.int16) // 4 * 4
        save(folder / f"{modality}.nii.gz", volume)
    save(folder / "brain.nii.gz", brain.astype(np.uint8))
    drawn = np.zeros(SHAPE, np.uint8)
    drawn[18:21, 20:22, 15:19] = 1
    name = "lesion" if folder.parent.name == "ms" else "lesion_change"
    save(folder / f"{name}.nii.gz", drawn)


def save(path: Path, volume: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    nibabel.save(nibabel.Nifti1Image(volume, affine), path)


def write_healthy(folder: Path, rng: np.random.Generator) -> None:
    folder.mkdir()
    n = len(HEALTHY)
    brain, ventricle = ball(COARSE, 19), ball(COARSE, 3)
    labels = np.where(ventricle, 51, np.where(ball(COARSE, 14), 81, 120)) * brain
    grey = np.where(ventricle, 60, np.where(ball(COARSE, 14), 200, 140)) * brain
    t1 = np.stack([grey + rng.integers(-4, 5, COARSE) * 2 for _ in range(n)]) * brain
    zyx = (0, 3, 2, 1)
    np.savez(
        folder / "ixi_t1_mni2mm.npz",
        t1_zyx=t1.astype(np.uint8).transpose(zyx),
        ids=np.array(HEALTHY),
        age=np.array([38.78, 46.71, 34.24], np.float32),
        sex=np.array(["M", "M", "F"]),
        affine_xyz=COARSE_AFFINE,
    )
    brains = np.stack([brain.transpose(2, 1, 0)] * n)
    np.savez(
        folder / "ixi_labels_mni2mm.npz",
        dlmuse_zyx=np.stack([labels.astype(np.uint8)] * n).transpose(zyx),
        mask_bits=np.packbits(brains.reshape(n, -1), axis=1),
        shape_zyx=np.array(COARSE[::-1]),
        ids=np.array(HEALTHY),
    )
    rows = [(name, 0.008 * ventricle.sum() * 0.7, 0.7) for name in HEALTHY]
    write_table(folder / "ixi_qc.csv", ("id", "ventricle_ml_labels_4_11_49_50_51_52", "jac"), rows)


def write_label_maps(folder: Path) -> None:
    folder.mkdir()
    codes = np.zeros((2, *SHAPE), np.uint8)
    codes[0, 5:30, 6:20, 7:30] = 1
    codes[1, 8:30, 9:20, 7:33] = 2
    np.savez(
        folder / "synthseg_labels_mni1mm.npz",
        codes_zyx=codes.transpose(0, 3, 2, 1),
        code_to_freesurfer_label=np.array([0, 2, 41]),
        names=np.array(["training_seg_01", "training_seg_02"]),
        affine_xyz=AFFINE,
    )


def write_lesions(folder: Path) -> None:
    folder.mkdir()
    patients = ("patient01", "patient02", "patient07")
    masks = np.zeros((3, *SHAPE), np.uint8)
    for n in range(3):
        masks[n, 3:5, 6:9, 10 : 11 + n] = 1
    np.savez(
        folder / "lesions_mni1mm.npz",
        bits=np.packbits(masks.reshape(3, -1), axis=1),
        shape=np.array(masks.shape),
        patients=np.array(patients),
        affine=AFFINE,
    )
    rows = [(name, 30 + n, "FMF"[n], 0.006 * (n + 1)) for n, name in enumerate(patients)]
    write_table(folder / "lesions.csv", ("patient", "age", "sex", "lesion_ml_mni"), rows)


def write_table(path: Path, header: tuple[str, ...], rows: list[tuple]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
