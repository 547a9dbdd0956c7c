"""The shared data folder as it was released, read into records and checked.

The records and their arrays; all axes are (X, Y, Z) and point to R, A and S:

``visits/<person>[_<visit>]``
    of `MODALITIES` those that there are, int16 (160, 192, 160) on the model grid, not
    masked; ``brain``, and ``lesion`` or ``lesion_change`` where drawn, bool
``healthy``
    ``t1``, ``labels`` uint8 and ``brain`` bool, (N, 91, 109, 91); ``people``, ``age``,
    ``sex``, ``ventricle_ml``, ``head_scale`` (N,) of the released table; ``affine``
``label_maps``
    ``codes`` uint8 (N, 182, 218, 182); ``labels`` (54,); ``people`` (N,); ``affine``
``lesions``
    ``masks`` bool (N, 182, 218, 182); ``people``, ``age``, ``sex``, ``volume_ml`` (N,);
    ``affine``

Every value is the released one, nothing is rounded, clipped or masked here; but the glioma,
which was released elsewhere in space, is as the product's preparation leaves it.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableFile
from training.data.grids import GRID_SHAPE, MODALITIES, Voxel, model_affine, to_model_grid, to_ras
from training.data.sources import Arrays, hash_of_files, rows_kept

#: Prefix of a person's name to (folder, how the number is written in it).
FOLDERS = {"ms": "ms/patient", "msv": "ms_visits/patient", "glioma": "glioma/case"}
#: Integers by which 1.0 of a prepared scan is stored.
PREPARED_STEPS = 1000


class SharedFolder:
    """Records from the shared data folder.

    Parameters
    ----------
    path : the folder with ``ms``, ``ms_visits``, ``glioma``, ``healthy_t1``, … in it.
    cache : folder for the registered glioma and other things that take long to make.
    """

    def __init__(self, path: Path, cache: Path) -> None:
        self.path = path
        self.cache = cache

    def visits(self, person: str) -> tuple[str, ...]:
        """Names of the records of a person's visits, in order."""
        prefix, number = person.split("-")
        found = sorted(self.path.glob(f"{FOLDERS[prefix]}{number}*/"))
        if not found:
            expected = self.path / f"{FOLDERS[prefix]}{number}"
            raise UnusableFile(expected, f"no folder of {person}'s scans; is --data complete?")
        suffixes = (folder.name.partition("_")[2] for folder in found)
        return tuple(f"visits/{person}" + (f"_{s}" if s else "") for s in suffixes)

    def record(self, name: str, keep: Collection[str] | None = None) -> Arrays:
        """The arrays of one record, of the people in `keep` only."""
        readers = {"healthy": _healthy, "label_maps": _label_maps, "lesions": _lesions}
        if name in readers:
            return readers[name](self.path, keep)
        person, _, visit = name.removeprefix("visits/").partition("_")
        prefix, number = person.split("-")
        folder = self.path / f"{FOLDERS[prefix]}{number}{'_' if visit else ''}{visit}"
        if not folder.is_dir():
            raise UnusableFile(folder, f"no folder of {person}'s scans; is --data complete?")
        return _prepared(folder, self.cache) if prefix == "glioma" else _visit(folder)

    def data_hash(self) -> str:
        """SHA-256 over the names and contents of the released files."""
        return hash_of_files(self.path)


def _visit(folder: Path) -> Arrays:
    """A visit that is in MNI space already."""
    arrays: Arrays = {}
    for modality in MODALITIES:
        path = folder / f"{modality}.nii.gz"
        if path.exists():
            arrays[modality] = _nifti(path)
    if not arrays:
        raise UnusableFile(folder, f"none of {', '.join(MODALITIES)} is here; is --data complete?")
    arrays["brain"] = _nifti(folder / "brain.nii.gz") > 0
    for kind in ("lesion", "lesion_change"):
        path = folder / f"{kind}.nii.gz"
        if path.exists():
            arrays[kind] = _nifti(path) > 0
    return arrays


def _nifti(path: Path) -> NDArray[np.int16]:
    try:
        image = nib.load(path)
        voxels = np.asarray(image.dataobj)  # type: ignore[attr-defined]
        return to_model_grid(voxels.astype(np.int16), image.affine)  # type: ignore[attr-defined]
    except (OSError, EOFError, ImageFileError, ValueError) as error:
        raise UnusableFile(
            path, f"not a scan on MNI's 1 mm grid ({error}); copy it anew"
        ) from error


def _prepared(folder: Path, cache: Path) -> Arrays:
    """A visit elsewhere in space, by way of the product's own preparation (affine to MNI)."""
    stored = cache / f"{folder.parent.name}-{folder.name}.npz"
    if not stored.exists():
        _write_prepared(folder, stored)
    return dict(_npz(stored, (*MODALITIES, "brain")))


def _write_prepared(folder: Path, stored: Path) -> None:
    from napari_medsyn.scans.atomic import whole_file
    from napari_medsyn.scans.geometry import Grid
    from napari_medsyn.scans.preparation import PreparationOptions, prepare
    from napari_medsyn.scans.reading import read_scan
    from napari_medsyn.scans.study import Study

    study = Study(tuple(read_scan(folder / f"{m}.nii.gz").with_modality(m) for m in MODALITIES))
    prepared = prepare(study, Grid(GRID_SHAPE, model_affine()), PreparationOptions())
    volumes = {
        m: np.round(np.asarray(prepared.volumes[m]) * PREPARED_STEPS).astype(np.int16)
        for m in MODALITIES
    }
    stored.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(stored, overwrite=True) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, brain=prepared.mask, **volumes)


def _healthy(data: Path, keep: Collection[str] | None) -> Arrays:
    folder = data / "healthy_t1"
    scans = folder / "ixi_t1_mni2mm.npz"
    z = _npz(scans, ("t1_zyx", "ids", "age", "sex", "affine_xyz"))
    drawn = _npz(folder / "ixi_labels_mni2mm.npz", ("dlmuse_zyx", "mask_bits", "shape_zyx", "ids"))
    rows = {row["id"]: row for row in _table(folder / "ixi_qc.csv", "id")}
    ids = z["ids"].tolist()
    if drawn["ids"].tolist() != ids or drawn["dlmuse_zyx"].shape != z["t1_zyx"].shape:
        raise UnusableFile(scans, "people or shapes differ from ixi_labels_mni2mm.npz; copy both")
    if missing := sorted(set(ids) - set(rows)):
        raise UnusableFile(folder / "ixi_qc.csv", f"no row of {missing[0]}; copy it anew")
    people = np.array([f"ixi-{name[3:6]}" for name in ids])
    kept = rows_kept(people, keep)
    bits = np.unpackbits(drawn["mask_bits"][kept], axis=1, count=int(np.prod(drawn["shape_zyx"])))
    brains, affine = _turned(bits.reshape(-1, *drawn["shape_zyx"]).view(bool), z["affine_xyz"])
    return {
        "t1": _turned(z["t1_zyx"][kept], z["affine_xyz"])[0],
        "labels": _turned(drawn["dlmuse_zyx"][kept], z["affine_xyz"])[0],
        "brain": brains,
        "people": people[kept],
        "age": z["age"][kept],
        "sex": z["sex"][kept],
        "ventricle_ml": np.array([_ventricles(rows[ids[k]]) for k in kept], np.float32),
        "head_scale": np.array([float(rows[ids[k]]["jac"]) for k in kept], np.float32),
        "affine": affine,
    }


def _ventricles(row: dict[str, str]) -> float:
    return float(next(value for key, value in row.items() if key.startswith("ventricle_ml")))


def _turned(
    zyx: NDArray[Voxel], affine: NDArray[np.float64]
) -> tuple[NDArray[Voxel], NDArray[np.float64]]:
    """(N, X, Y, Z) RAS+ of (N, Z, Y, X); volume by volume, which the cache likes better."""
    out = np.empty((len(zyx), *zyx.shape[:0:-1]), zyx.dtype)
    for n, volume in enumerate(zyx):
        out[n] = to_ras(volume.transpose(2, 1, 0), affine)[0]
    return out, to_ras(out[:0], affine)[1]


def _label_maps(data: Path, keep: Collection[str] | None) -> Arrays:
    from training.anatomy import load_label_maps

    path = data / "label_maps" / "synthseg_labels_mni1mm.npz"
    names = _npz(path, ("names", "codes_zyx", "code_to_freesurfer_label", "affine_xyz"))["names"]
    maps = load_label_maps(data)
    people = np.array([f"synthseg-{name[-2:]}" for name in names.tolist()])
    kept = rows_kept(people, keep)
    codes, affine = to_ras(maps.codes[kept], maps.affine)
    return {"codes": codes, "labels": maps.labels, "people": people[kept], "affine": affine}


def _lesions(data: Path, keep: Collection[str] | None) -> Arrays:
    folder = data / "lesions"
    z = _npz(folder / "lesions_mni1mm.npz", ("bits", "shape", "patients", "affine"))
    rows = {row["patient"]: row for row in _table(folder / "lesions.csv", "patient")}
    patients = z["patients"].tolist()
    if missing := sorted(set(patients) - set(rows)):
        raise UnusableFile(folder / "lesions.csv", f"no row of {missing[0]}; copy it anew")
    shape = tuple(int(n) for n in z["shape"])
    people = np.array([f"ms-{name[-2:]}" for name in patients])
    kept = rows_kept(people, keep)
    bits = np.unpackbits(z["bits"][kept], axis=1, count=int(np.prod(shape[1:])))
    masks, affine = to_ras(bits.reshape(-1, *shape[1:]).view(bool), z["affine"])
    of_kept = [rows[patients[k]] for k in kept]
    return {
        "masks": masks,
        "people": people[kept],
        "age": np.array([float(row["age"]) for row in of_kept], np.float32),
        "sex": np.array([row["sex"] for row in of_kept], "<U1"),
        "volume_ml": masks.sum(axis=(1, 2, 3)).astype(np.float32) / 1000,
        "affine": affine,
    }


def _npz(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as z:
            return {name: z[name] for name in names}
    except FileNotFoundError as error:
        raise UnusableFile(path, "there is no such file; is --data the shared folder?") from error
    except KeyError as error:
        raise UnusableFile(path, f"array {error} is missing; copy it anew") from error
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise UnusableFile(path, f"not a whole .npz file ({error}); copy it anew") from error


def _table(path: Path, key: str) -> list[dict[str, str]]:
    if not path.is_file():
        raise UnusableFile(path, "there is no such file; is --data the shared folder?")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or key not in rows[0]:
        raise UnusableFile(path, f"no table with a column {key!r}; copy it anew")
    return rows
