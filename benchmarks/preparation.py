"""How well and how fast real scans are brought to the embedded model's grid.

    python benchmarks/preparation.py [--data ../shared/data] [--pictures FOLDER]

Prints, as tables: scans that are in MNI space and have to be left alone; the same scans
shrunk, turned and shifted by their affine only, against the truth; a glioma on another
grid; whole heads with thick slices on three grids against the same patient's scans as
others brought them to MNI; the way back; times on one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.scans.geometry import Affine, Grid, to_world
from napari_medsyn.scans.preparation import PreparationOptions, PreparedStudy, prepare
from napari_medsyn.scans.preparation.resampling import index_map, resample
from napari_medsyn.scans.reading import read_scan
from napari_medsyn.scans.study import Scan, Study

MODALITIES = ("T1", "T1c", "T2", "FLAIR")
#: Where the error of a mapping is looked at: every so many brain voxels.
EVERY = 97


def model_grid() -> Grid:
    affine = np.eye(4)
    affine[:3, 3] = (-80.0, -115.0, -74.0)
    return Grid((160, 192, 160), affine)


def load(folder: Path, modalities: tuple[str, ...] = MODALITIES) -> Study:
    paths = {m: folder / f"{m}.nii.gz" for m in modalities}
    return Study(tuple(read_scan(p).with_modality(m) for m, p in paths.items() if p.exists()))


def random_change(rng: np.random.Generator) -> Affine:
    """MNI to the patient's own scale: axes 0.8 to 0.95, up to 5 degrees, up to 10 mm."""
    axis, shift = rng.normal(size=3), rng.normal(size=3)
    x, y, z = axis / np.linalg.norm(axis)
    angle = np.deg2rad(rng.uniform(0, 5))
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    change = np.eye(4)
    change[:3, :3] = turn @ np.diag(rng.uniform(0.8, 0.95, 3))
    change[:3, 3] = shift / np.linalg.norm(shift) * rng.uniform(0, 10)
    return change


def moved(study: Study, change: Affine) -> Study:
    return Study(
        tuple(Scan(s.voxels, change @ s.affine, modality=s.modality, name=s.name) for s in study)
    )


def mapping_error(prepared: PreparedStudy, change: Affine) -> tuple[float, float]:
    """Median and 95th percentile over brain voxels of the distance to the truth, mm."""
    index = np.argwhere(prepared.reference_mask)[::EVERY]
    world = to_world(prepared.reference.affine, index)
    truth = to_world(np.linalg.inv(change), world)
    distance = np.linalg.norm(to_world(prepared.to_model, world) - truth, axis=1)
    return float(np.median(distance)), float(np.percentile(distance, 95))


def similarity(one: NDArray[Any], other: NDArray[Any], mask: NDArray[np.bool_]) -> float:
    """Correlation within a mask."""
    return float(np.corrcoef(one[mask], other[mask])[0, 1])


def timed(study: Study) -> tuple[PreparedStudy, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    prepared = prepare(study, model_grid(), PreparationOptions())
    return prepared, time.perf_counter() - wall, time.process_time() - cpu


def on_model_grid(path: Path) -> NDArray[np.float32]:
    scan = read_scan(path)
    grid = model_grid()
    return resample(scan.voxels, index_map(scan.grid, grid), grid.shape)


def report_in_place(data: Path) -> None:
    print("\nAffine-normalised scans: to be left alone\n")
    print(f"{'scans':32} {'left alone':>10} {'bit exact':>10} {'wall s':>7} {'CPU s':>6}")
    for folder in sorted([*data.glob("ms/*/"), *data.glob("ms_visits/*/")]):
        whole = load(folder)
        for study in [whole, *(Study((scan,)) for scan in whole)]:
            prepared, wall, cpu = timed(study)
            alone = np.array_equal(prepared.to_model, np.eye(4))
            exact = all(
                np.array_equal(
                    prepared.volumes[m],
                    prepared.scales[m].normalise(on_model_grid(folder / f"{m}.nii.gz"))
                    * prepared.mask,
                )
                for m in prepared.volumes
            )
            name = f"{folder.name} {'+'.join(study.modalities)}"
            print(f"{name:32} {alone!s:>10} {exact!s:>10} {wall:7.1f} {cpu:6.1f}", flush=True)


def report_shrunk(data: Path, draws: int) -> None:
    print("\nThe same at other scales: recovered mapping against the truth\n")
    print(f"{'scans':32} {'median mm':>9} {'p95 mm':>7} {'wall s':>7} {'CPU s':>6}")
    rng = np.random.default_rng(0)
    for folder in (data / "ms/patient07", data / "ms_visits/patient12_visit1"):
        for draw in range(draws):
            change = random_change(rng)
            for modalities in (("T1",), ("T2",), ("FLAIR",), ("FLAIR", "T1", "T2")):
                study = moved(load(folder, modalities), change)
                if modalities[0] == "FLAIR" and len(modalities) == 3:
                    study = Study((study.get("FLAIR"), study.get("T1"), study.get("T2")))
                prepared, wall, cpu = timed(study)
                median, p95 = mapping_error(prepared, change)
                name = f"{folder.name} {draw} {'+'.join(study.modalities)}"
                print(f"{name:32} {median:9.2f} {p95:7.2f} {wall:7.1f} {cpu:6.1f}", flush=True)


def report_glioma(data: Path, pictures: Path | None) -> None:
    from napari_medsyn.scans.preparation.template import load_template

    template = load_template()
    grid = model_grid()
    to_template = index_map(template.grid, grid)
    head = resample(template.head, to_template, grid.shape)
    brain = resample(template.brain, to_template, grid.shape) > 0.5
    print("\nGlioma on the BraTS grid\n")
    prepared, wall, cpu = timed(load(data / "glioma/case00001"))
    likeness = similarity(prepared.volumes["T1"], head, prepared.mask & brain)
    dice = 2 * (prepared.mask & brain).sum() / (prepared.mask.sum() + brain.sum())
    print(f"T1 against the template: correlation {likeness:.3f}, Dice {dice:.3f}; ", end="")
    print(f"wall {wall:.1f} s, CPU {cpu:.1f} s")
    report_way_back(prepared)
    draw(pictures, "glioma", prepared.volumes, brain)


def report_native(data: Path, pictures: Path | None) -> None:
    print("\nWhole heads, three grids, thick slices, against the same scans in MNI\n")
    prepared, wall, cpu = timed(load(data / "native/ms_patient12_visit1"))
    truth = data / "ms_visits/patient12_visit1"
    mask = on_model_grid(truth / "brain.nii.gz") > 0
    dice = 2 * (prepared.mask & mask).sum() / (prepared.mask.sum() + mask.sum())
    print(f"brain mask against theirs: Dice {dice:.3f}; wall {wall:.1f} s, CPU {cpu:.1f} s")
    for sentence in prepared.notes:
        print(f"note: {sentence}")
    for modality, volume in prepared.volumes.items():
        theirs = on_model_grid(truth / f"{modality}.nii.gz")
        both = mask & prepared.mask
        offset = displacement(theirs * both, volume * both)
        print(
            f"{modality:6} correlation {similarity(volume, theirs, both):.3f}, "
            f"lies off by {offset[0]:.2f} mm (median), {offset[1]:.2f} mm (p95)"
        )
    report_way_back(prepared)
    draw(pictures, "native", prepared.volumes, mask)


def displacement(fixed: NDArray[Any], moving: NDArray[Any]) -> tuple[float, float]:
    """Median and p95 of the affine move that would bring `moving` onto `fixed`, mm."""
    from napari_medsyn.scans.preparation.optimising import Stage, itk_image, optimise

    grid = model_grid()
    points = to_world(grid.affine, np.argwhere(fixed > 0)[::EVERY])
    found, _ = optimise(
        itk_image(fixed.astype(np.float32), grid),
        itk_image(moving.astype(np.float32), grid),
        np.eye(4),
        points.mean(axis=0),
        Stage(shrink=2, step=1.0, least_step=0.01),
    )
    distance = np.linalg.norm(to_world(found, points) - points, axis=1)
    return float(np.median(distance)), float(np.percentile(distance, 95))


def report_way_back(prepared: PreparedStudy) -> None:
    """A scan to the model's grid and back, against the scan; one plane, the whole."""
    modality = next(iter(prepared.volumes))
    axis = int(np.argmax(prepared.reference.spacing))
    middle = prepared.reference.shape[axis] // 2
    times = []
    for _ in range(9):
        begin = time.process_time()
        prepared.to_reference(prepared.volumes[modality], axis=axis, start=middle, stop=middle + 1)
        times.append(time.process_time() - begin)
    begin = time.process_time()
    back = prepared.to_reference(prepared.volumes[modality])
    whole = time.process_time() - begin
    scan = np.asarray(prepared.reference_volumes[modality])
    reached = prepared.to_reference(prepared.mask.astype(np.float32)) > 0.5
    error = np.abs(back - scan)[reached]
    print(
        f"way back of {modality}: |difference| {error.mean():.4f} on average, "
        f"p99 {np.percentile(error, 99):.4f}; one plane {1000 * np.median(times):.1f} ms, "
        f"all {prepared.reference.shape[axis]} {1000 * whole:.0f} ms"
    )


def draw(pictures: Path | None, name: str, volumes: Any, outline: NDArray[np.bool_]) -> None:
    if pictures is None:
        return
    import matplotlib.pyplot as plt

    pictures.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(len(volumes), 3, figsize=(12, 4 * len(volumes)), squeeze=False)
    for row, (modality, volume) in zip(axes, volumes.items(), strict=True):
        for panel, (image, edge) in zip(
            row, zip(planes(volume), planes(outline), strict=True), strict=True
        ):
            panel.imshow(image.T, origin="lower", cmap="gray", vmin=0, vmax=1)
            panel.contour(edge.T, [0.5], colors="red", linewidths=0.7)
            panel.set_axis_off()
        row[0].set_title(modality)
    figure.tight_layout()
    figure.savefig(pictures / f"{name}.png", dpi=60)
    plt.close(figure)


def planes(volume: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for axis in (2, 1, 0):
        yield volume.take(volume.shape[axis] // 2, axis)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    shared = Path(__file__).resolve().parents[2] / "shared/data"
    parser.add_argument("--data", type=Path, default=shared)
    parser.add_argument("--pictures", type=Path, help="write overlays there")
    parser.add_argument("--draws", type=int, default=2, help="random scales a patient")
    wanted = parser.parse_args()
    report_in_place(wanted.data)
    report_shrunk(wanted.data, wanted.draws)
    report_glioma(wanted.data, wanted.pictures)
    report_native(wanted.data, wanted.pictures)


if __name__ == "__main__":
    main()
