"""Writing results: one NIfTI file for each output, and the provenance beside them.

Nothing here reads a session: an interface calls `save_results` on a worker thread with
values that do not change.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Literal

from napari_medsyn.errors import UnusableFile
from napari_medsyn.exploration.requests import Finished
from napari_medsyn.registry.packages import sha256_of
from napari_medsyn.scans.study import Scan

#: What to do about files of the same names: take numbered names, refuse, or replace them.
Existing = Literal["number", "refuse", "replace"]

ENDING: Final = ".nii.gz"
SIDECAR: Final = "provenance"

#: Kinds of output that are images of a modality.
_IMAGES: Final = ("imputed", "reconstruction", "generated", "counterfactual")

#: Facts of the reference scan that say how its affine is to be read.
_GEOMETRY_FACTS: Final = ("sform_code", "qform_code")


def save_results(
    results: Finished,
    reference: Scan,
    folder: Path,
    *,
    existing: Existing = "number",
    protect: Iterable[Path] = (),
) -> list[Path]:
    """Write every output and `provenance.json` into `folder`, all of them or none.

    Parameters
    ----------
    results : what an engine gave.
    reference : the scan on whose grid the results are (`Session.results_reference`).
    folder : made if it does not exist.
    existing : what to do where a file of the same name exists; "number" gives the whole
        set a number: `imputed_FLAIR_2.nii.gz`, …, `provenance_2.json`.
    protect : files that are not replaced even so, such as the sources.

    Returns
    -------
    The files, the provenance last.

    Raises
    ------
    UnusableFile : the folder or a file cannot be written; what was begun is taken back.
    """

    def write(draft: Path, names: Mapping[str, str]) -> None:
        _write(results, reference, draft, names)

    return publish(tuple(results.arrays), folder, existing, protect, write)


def publish(
    outputs: tuple[str, ...],
    folder: Path,
    existing: Existing,
    protect: Iterable[Path],
    write: Callable[[Path, Mapping[str, str]], None],
) -> list[Path]:
    """Let `write` make a file of each output and the sidecar; they appear all or none.

    Parameters
    ----------
    outputs, folder, existing, protect : as for `save_results`.
    write : is given an empty folder and the files' names by output, `SIDECAR` among them.

    Returns
    -------
    The files, the provenance last.

    Raises
    ------
    UnusableFile : the folder or a file cannot be written; what was begun is taken back.
    """
    with output_folder(folder):
        suffix = _free_suffix(outputs, folder) if existing == "number" else ""
        names = file_names(outputs, suffix)
        check_targets(outputs, folder, existing, protect)
        with tempfile.TemporaryDirectory(prefix=".medsyn-", dir=folder) as draft:
            write(Path(draft), names)
            return _publish(Path(draft), folder, names, replace=existing == "replace")


@contextmanager
def output_folder(folder: Path) -> Iterator[None]:
    """Make `folder` and see that it can be written to; it goes again if the body fails.

    Raises
    ------
    UnusableFile : it cannot be made or written to.
    """
    made = _make_folder(folder)
    try:
        with tempfile.TemporaryDirectory(prefix=".medsyn-", dir=folder):
            pass
        yield
    except BaseException as error:
        _remove_empty(made)
        if isinstance(error, OSError):
            raise UnusableFile(folder, f"cannot be written to ({error.strerror})") from error
        raise


def check_targets(
    outputs: Iterable[str], folder: Path, existing: Existing, protect: Iterable[Path] = ()
) -> None:
    """Refuse, before anything is computed, what `save_results` would refuse."""
    sources = [path for path in protect if path.exists()]
    for name in file_names(outputs).values():
        target = folder / name
        if existing == "number" or not target.exists():
            continue
        if target.is_dir():
            raise UnusableFile(target, "a folder has this name; choose another folder")
        if existing == "refuse":
            raise _exists(target)
        if any(target.samefile(source) for source in sources):
            raise UnusableFile(target, "is a source of this result and is not replaced")


def file_names(outputs: Iterable[str], suffix: str = "") -> dict[str, str]:
    """Output (and `SIDECAR`, last) to file name."""
    names = {name: f"{name}{suffix}{ENDING}" for name in outputs}
    return {**names, SIDECAR: f"{SIDECAR}{suffix}.json"}


def result_scan(results: Finished, name: str, reference: Scan) -> Scan:
    """The output `name` as a synthetic scan on the grid of `reference`.

    Only images have a modality; a spread or a difference is not a FLAIR.
    """
    kind, _, modality = name.partition("_")
    # When it was made stands in the sidecar only: the same request gives the same bytes.
    record = {key: value for key, value in results.provenance.items() if key != "created"}
    geometry = {key: reference.facts[key] for key in _GEOMETRY_FACTS if key in reference.facts}
    return Scan(
        voxels=results.arrays[name],
        affine=reference.affine,
        modality=modality if kind in _IMAGES else "",
        name=name,
        is_synthetic=True,
        facts={**geometry, "provenance": {**record, "output": name}},
    )


def _write(results: Finished, reference: Scan, draft: Path, names: Mapping[str, str]) -> None:
    from napari_medsyn.scans.provenance import write_sidecar
    from napari_medsyn.scans.writing import write_scan

    files = {}
    for name in results.arrays:
        path = write_scan(result_scan(results, name, reference), draft / names[name])
        files[names[name]] = sha256_of(path)
    write_sidecar(draft / names[SIDECAR], {**results.provenance, "files": files})


def _publish(draft: Path, folder: Path, names: Mapping[str, str], *, replace: bool) -> list[Path]:
    """Move the files to where they belong; if one cannot be, all is put back as it was."""
    replaced = draft / "replaced"
    replaced.mkdir()
    try:
        for name in names.values():
            target = folder / name
            if target.exists():
                if not replace:
                    raise _exists(target)
                os.replace(target, replaced / name)
            os.replace(draft / name, target)
    except BaseException:
        # By what lies where, not by a list: Ctrl+C may come between a move and a note of it.
        for name in names.values():
            if not (draft / name).exists():
                (folder / name).unlink(missing_ok=True)
            if (replaced / name).exists():
                os.replace(replaced / name, folder / name)
        raise
    return [folder / name for name in names.values()]


def _make_folder(folder: Path) -> list[Path]:
    """Make `folder`; give what had to be made, innermost first."""
    missing: list[Path] = []
    try:
        missing += [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _remove_empty(missing)
        raise UnusableFile(folder, f"cannot be made a folder ({error.strerror})") from error
    return missing


def _remove_empty(folders: Iterable[Path]) -> None:
    for path in folders:
        # A folder that somebody has put something into meanwhile stays.
        with suppress(OSError):
            path.rmdir()


def _free_suffix(outputs: Iterable[str], folder: Path) -> str:
    number = 1
    while True:
        suffix = "" if number == 1 else f"_{number}"
        if not any((folder / name).exists() for name in file_names(outputs, suffix).values()):
            return suffix
        number += 1


def _exists(path: Path) -> UnusableFile:
    return UnusableFile(path, "exists already; choose another folder or allow it to be replaced")
