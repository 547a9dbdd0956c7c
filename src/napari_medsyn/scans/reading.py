"""Any supported file or folder to scans; what cannot be used is refused in one sentence.

The content decides what a file is; its name must then agree, so that a wrong ending
is named instead of being half believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from napari_medsyn.errors import UnusableFile
from napari_medsyn.scans.modality import guess_modality
from napari_medsyn.scans.study import Scan

__all__ = ["ENDINGS", "guess_modality", "is_readable", "read_scan", "read_scans"]

#: Endings of the files that `read_scans` opens; DICOM files need none.
ENDINGS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm")

_FORMS = {
    ".nii": "NIfTI", ".nii.gz": "NIfTI", ".nrrd": "NRRD", ".nhdr": "NRRD",
    ".mha": "MetaImage", ".mhd": "MetaImage", ".dcm": "DICOM", ".ima": "DICOM",
}  # fmt: skip
_ENDING_OF = {"NIfTI": ".nii", "NRRD": ".nrrd", "MetaImage": ".mha", "DICOM": ".dcm"}


def read_scans(path: str | Path | Sequence[str | Path]) -> list[Scan]:
    """Read every scan of a file, of a folder, or of several files chosen together.

    A folder is not searched below its first level: its DICOM series are read, or if it
    holds none but a DICOMDIR what that names, or else its other image files.  DICOM
    files chosen together are put together to series.  What was left out beside a
    usable scan stands in ``facts["notes"]`` of the first one.

    Returns
    -------
    At least one scan, each with the file's voxel order, an exact RAS+ affine in mm, a
    guessed modality and ``facts["notes"]``: what the user should know.

    Raises
    ------
    UnusableFile : nothing in it can be used; the text names the file and the reason.
    """
    if not isinstance(path, str | Path):
        return _read_files([Path(one) for one in path])
    path = Path(path)
    try:
        return _read_folder(path) if path.is_dir() else _read_file(path)
    except OSError as error:
        raise UnusableFile(path, f"cannot be opened: {error.strerror or error}") from error
    except MemoryError as error:
        raise UnusableFile(path, "does not fit into memory") from error


def read_scan(path: str | Path) -> Scan:
    """Read the one scan of a file or folder.

    Raises
    ------
    UnusableFile : there is none, or there are several; then the text names them.
    """
    scans = read_scans(path)
    if len(scans) > 1:
        names = ", ".join(f"{scan.name!r}" for scan in scans[:8])
        more = f" and {len(scans) - 8} more" if len(scans) > 8 else ""
        raise UnusableFile(path, f"holds {len(scans)} scans, {names}{more}; choose one of them")
    return scans[0]


def is_readable(path: str | Path) -> bool:
    """Whether `read_scans` would try: a folder, a known ending, or DICOM's mark inside."""
    path = Path(path)
    if path.is_dir() or path.name.lower().endswith(ENDINGS):
        return True
    try:
        return path.is_file() and _form_of_content(path) == "DICOM"
    except OSError:
        return False


# ---------------------------------------------------------------- files and folders


def _read_file(path: Path) -> list[Scan]:
    form = _form(path)
    if form == "DICOM":
        return _read_dicom_file(path)
    if form == "NIfTI":
        from napari_medsyn.scans.nifti import read_nifti

        return [read_nifti(path)]
    from napari_medsyn.scans.itk_images import read_itk

    return [read_itk(path)]


def _read_dicom_file(path: Path) -> list[Scan]:
    from napari_medsyn.scans.dicom import read_dicom
    from napari_medsyn.scans.dicom_frames import referenced_files

    if not _is_index(path):
        return read_dicom([path], path)
    files = referenced_files(path)
    if not files:
        raise UnusableFile(path, "this DICOMDIR names no image file that is there")
    return read_dicom(files, path)


def _read_folder(folder: Path) -> list[Scan]:
    from napari_medsyn.scans.dicom import read_dicom

    files = sorted(file for file in folder.iterdir() if _may_be_image(file))
    index = [file for file in files if _is_index(file)]
    dicom = [file for file in files if file not in index and _is_dicom(file)]
    if dicom:
        return read_dicom(dicom, folder)
    if index:
        return _read_dicom_file(index[0])
    images = [file for file in files if file.name.lower().endswith(ENDINGS)]
    if images:
        return _read_each(images)
    below = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())[:5]
    hint = f"; open one of its folders: {', '.join(below)}" if below else ""
    raise UnusableFile(folder, f"no DICOM series or other scan directly in this folder{hint}")


def _read_files(files: list[Path]) -> list[Scan]:
    """Files chosen together: DICOM ones by series, others one by one."""
    if not files:
        return []
    if len(files) == 1:
        return read_scans(files[0])
    dicom = [file for file in files if file.is_file() and _is_dicom(file)]
    scans: list[Scan] = []
    if dicom:
        from napari_medsyn.scans.dicom import read_dicom

        scans += read_dicom(dicom, dicom[0].parent)
    for file in files:
        if file not in dicom:
            scans += read_scans(file)
    return scans


def _read_each(files: list[Path]) -> list[Scan]:
    scans: list[Scan] = []
    refusals: list[UnusableFile] = []
    for file in files:
        try:
            scans += _read_file(file)
        except UnusableFile as error:
            refusals.append(error)
    if not scans:
        raise refusals[0]
    if refusals:
        note = "Left out: " + "; ".join(f"{e.path.name}: {e.reason}" for e in refusals)
        facts = {**scans[0].facts, "notes": (*scans[0].facts["notes"], note)}
        scans[0] = replace(scans[0], facts=facts)
    return scans


def _is_index(file: Path) -> bool:
    return file.name.upper().startswith("DICOMDIR")


def _may_be_image(file: Path) -> bool:
    return file.is_file() and not file.name.startswith(".") and file.stat().st_size > 0


# ---------------------------------------------------------------- which format


def _form(path: Path) -> str:
    """Format of a file by its content, refused where its name says another."""
    if not path.exists():
        raise UnusableFile(path, "there is no such file or folder")
    if not path.is_file():
        raise UnusableFile(path, "neither a file nor a folder")
    if path.stat().st_size == 0:
        raise UnusableFile(path, "the file is empty")
    ending = _ending(path)
    named, found = _FORMS.get(ending, ""), _form_of_content(path)
    if found and found != named and (named or found != "DICOM"):
        raise UnusableFile(
            path, f"its content is {found}, which its name hides; rename it to end in "
            f"{_ENDING_OF[found]}"
        )  # fmt: skip
    if path.name.lower().endswith(".dcm.gz"):
        raise UnusableFile(path, "a packed DICOM file; unpack it with gunzip first")
    if not (named or found):
        raise UnusableFile(path, f"not a file that can be read; known are {', '.join(ENDINGS)}")
    return found or named


def _ending(path: Path) -> str:
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else Path(name).suffix


def _is_dicom(file: Path) -> bool:
    found = _form_of_content(file)
    return found == "DICOM" or (not found and _FORMS.get(_ending(file)) == "DICOM")


def _form_of_content(path: Path) -> str:
    """The format whose mark the content bears, or ""."""
    with path.open("rb") as file:
        head = file.read(540)
    if head[:2] == b"\x1f\x8b":
        return _form_of_packed(path)
    if head[128:132] == b"DICM":
        return "DICOM"
    if head.startswith(b"NRRD"):
        return "NRRD"
    if head.lower().startswith((b"objecttype", b"ndims")):
        return "MetaImage"
    return "NIfTI" if _bears_nifti_mark(head) else ""


def _form_of_packed(path: Path) -> str:
    import gzip
    import zlib

    try:
        with gzip.open(path, "rb") as file:
            return "NIfTI" if _bears_nifti_mark(file.read(540)) else ""
    except (OSError, EOFError, zlib.error):
        return ""


def _bears_nifti_mark(head: bytes) -> bool:
    return head[344:347] in (b"n+1", b"ni1") or head[4:7] in (b"n+2", b"ni2")
