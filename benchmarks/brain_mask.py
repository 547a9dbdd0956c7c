"""How well the brain is found in whole heads.

    python -m benchmarks.brain_mask [--data ../shared/data] [--heads 5]

One real patient with thick slices, against the mask of those who published the scans,
which is more generous in the fluid around the brain; and heads rendered from label maps
that are not in the template (leave one out), at their own scale and in random contrasts,
where the truth is known.  Each modality alone, then all.  The way to MNI that is given
is as far off as a poor registration leaves it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from training.anatomy import load_label_maps
from training.heads import random_affine, render_head
from training.templates.make_template import make_template

from benchmarks.reporting import processor, report
from napari_medsyn.scans.geometry import Affine, Grid, to_world
from napari_medsyn.scans.preparation.brain_mask import find_brain, has_skull
from napari_medsyn.scans.preparation.optimising import Stage, itk_image, optimise
from napari_medsyn.scans.preparation.registration import register_head, working_image
from napari_medsyn.scans.preparation.resampling import index_map, inverse, resample
from napari_medsyn.scans.preparation.template import load_template, template_path
from napari_medsyn.scans.reading import read_scan
from napari_medsyn.scans.study import Scan

MODALITIES = ("T1", "T2", "FLAIR")
SUBSETS = (("T1",), ("T2",), ("FLAIR",), MODALITIES)


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Overlap, 0 to 1."""
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def row(
    head: str,
    volumes: dict[str, Any],
    given: Affine,
    true: Affine,
    grid: Grid,
    truth: Scan,
    to_truth: Affine,
    template: Path,
) -> dict[str, Any]:
    """One extraction compared with the truth on the truth's grid.

    `given` and `true` map the world of `grid` to that of MNI, `to_truth` to that of `truth`.
    """
    begin = time.process_time()
    found = find_brain(volumes, given, grid, template=template)
    seconds = time.process_time() - begin
    wanted = truth.voxels > 0
    back = resample(found.mask, index_map(grid, truth.grid, inverse(to_truth)), wanted.shape) > 0.5
    with np.load(template) as stored:
        prior, affine = stored["brain"], stored["affine"]
    x, y, z = prior.shape
    to_prior = index_map(Grid((x, y, z), affine), truth.grid, given @ inverse(to_truth))
    alone = resample(prior, to_prior, wanted.shape) > 127
    return {
        "head": head,
        "scans": "+".join(volumes),
        "given_off_mm": apart(given, true, grid, found.mask),
        "dice": round(dice(back, wanted), 4),
        "template_alone": round(dice(alone, wanted), 4),
        "missed": round(float((wanted & ~back).sum() / wanted.sum()), 4),
        "too_much": round(float((back & ~wanted).sum() / wanted.sum()), 4),
        "has_skull": all(has_skull(volume, grid) for volume in volumes.values()),
        "cpu_s": round(seconds, 1),
    }


def apart(one: Affine, other: Affine, grid: Grid, mask: NDArray[np.bool_]) -> float:
    """Median distance between where two affines bring the brain, mm."""
    points = to_world(grid.affine, np.argwhere(mask)[::997])
    distance = np.linalg.norm(to_world(one, points) - to_world(other, points), axis=1)
    return round(float(np.median(distance)), 2)


def real_rows(data: Path) -> Iterator[dict[str, Any]]:
    """The patient whose scans are there both as scanned and in MNI space."""
    native, normal = data / "native/ms_patient12_visit1", data / "ms_visits/patient12_visit1"
    truth = read_scan(normal / "brain.nii.gz")
    scans = {m: read_scan(native / f"{m}.nii.gz") for m in MODALITIES}
    for modalities in SUBSETS:
        first = scans[modalities[0]]
        image = working_image(first.voxels, first.grid, None)
        given = register_head(image, load_template())
        true = brought_to(read_scan(normal / f"{modalities[0]}.nii.gz"), truth, first, given)
        volumes = {}
        for m in modalities:  # one session: the headers agree
            to_scan = index_map(scans[m].grid, first.grid)
            volumes[m] = resample(scans[m].voxels, to_scan, first.grid.shape)
        grid, template = first.grid, template_path()
        yield row("patient12", volumes, given, true, grid, truth, true, template)


def brought_to(normal: Scan, brain: Scan, native: Scan, start: Affine) -> Affine:
    """World of a native scan to that of the same scan in MNI space, by their likeness."""
    fixed = working_image(normal.voxels, normal.grid, None)
    moving = working_image(native.voxels, native.grid, None)
    inside = resample(brain.voxels > 0, index_map(brain.grid, fixed.grid), fixed.grid.shape) > 0.5
    centre = to_world(fixed.grid.affine, np.argwhere(inside)).mean(axis=0)
    where = inverse(start)
    for stage in (Stage(shrink=2, step=4.0), Stage(step=0.5, least_step=0.005)):
        where, _ = optimise(
            itk_image(fixed.values, fixed.grid),
            itk_image(moving.values, moving.grid),
            where,
            centre,
            stage,
            mask=itk_image(inside, fixed.grid),
        )
    return inverse(where)


def rendered_rows(data: Path, count: int) -> Iterator[dict[str, Any]]:
    """Heads that are not in the average they are compared with."""
    maps = load_label_maps(data)
    with tempfile.TemporaryDirectory() as folder:
        for index in np.linspace(0, len(maps) - 1, count).astype(int).tolist():
            rng = np.random.default_rng(index)
            head = render_head(maps, index, MODALITIES, rng)
            template = Path(folder) / f"{index}.npz"
            others = [other for other in range(len(maps)) if other != index]
            np.savez(template, allow_pickle=False, **make_template(data, others))
            truth = Scan(head.brain.astype(np.uint8), head.grid.affine, "label")
            for modalities in SUBSETS:
                error = random_affine(rng, scale=(0.96, 1.04), degrees=3.0, shift=4.0)
                volumes = {m: head.volumes[m] for m in modalities}
                given = error @ head.to_mni
                name, here = f"rendered {index}", np.eye(4)
                yield row(name, volumes, given, head.to_mni, head.grid, truth, here, template)


def stripped_rows(data: Path) -> Iterator[dict[str, Any]]:
    """Brains that were cut out: none may be taken for a head."""
    paths = [*data.glob("ms/*/*.nii.gz"), *data.glob("ms_visits/*/*.nii.gz")]
    for path in sorted([*paths, *data.glob("glioma/*/*.nii.gz")]):
        if path.name.split(".")[0] in ("T1", "T1c", *MODALITIES):
            scan = read_scan(path)
            name = f"{path.parent.name} {path.name}"
            yield {"cut-out brain": name, "has_skull": has_skull(scan.voxels, scan.grid)}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    shared = Path(__file__).resolve().parents[2] / "shared/data"
    parser.add_argument("--data", type=Path, default=shared)
    parser.add_argument("--heads", type=int, default=5, help="rendered heads")
    args = parser.parse_args()
    rows = list(real_rows(args.data))
    report("brain mask, real head", rows, processor=processor())
    rows = list(rendered_rows(args.data, args.heads))
    report("brain mask, rendered heads", rows, processor=processor())
    report("cut-out brains", list(stripped_rows(args.data)))


if __name__ == "__main__":
    main()
