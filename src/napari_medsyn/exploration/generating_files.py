"""Samples as files: each one whole or absent, marked, and listed in one `provenance.json`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from napari_medsyn.errors import UnusableFile
from napari_medsyn.exploration.controls import PRESENT, TARGETS, warnings
from napari_medsyn.exploration.generating_sampler import GENERATING, Sampler
from napari_medsyn.exploration.generating_samples import Sample, Tell
from napari_medsyn.exploration.plausible import unsupported
from napari_medsyn.exploration.resolving import MASK
from napari_medsyn.exploration.saving import output_folder
from napari_medsyn.registry.packages import sha256_of
from napari_medsyn.scans.study import Scan

if TYPE_CHECKING:
    from napari_medsyn.exploration.generating_sheet import Sheet

Format = Literal["auto", "nii", "png", "npy"]
Bits = Literal[8, 16]

#: Format to the ending of its files.  An array file has no place for a mark but its name.
ENDINGS: Final[Mapping[str, str]] = {"nii": ".nii.gz", "png": ".png", "npy": "_SYNTHETIC.npy"}

RECORD: Final = "provenance.json"
SHEET: Final = "sheet.png"

#: Fewest digits of a sample's number.
_DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class GeneratedFiles:
    """What a run has written.

    Parameters
    ----------
    files : the samples in order, then the sheet if there is one, `provenance.json` last.
    notes : sentences that the user should read.
    """

    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()


def write_samples(
    made: Sampler,
    seeds: Sequence[int],
    folder: Path,
    *,
    format: Format = "auto",  # noqa: A002 - what everybody calls it
    bits: Bits = 8,
    sheet: bool = False,
    overwrite: bool = False,
    protect: Iterable[Path] = (),
    tell: Tell | None = None,
) -> GeneratedFiles:
    """Write a sample for each of `seeds`; parameters and errors as in `generate_to`.

    Parameters
    ----------
    protect : files that are not replaced even so, such as the scans of the patient.
    """
    kind = _format_of(made, format)
    last = [SHEET, RECORD] if sheet else [RECORD]
    with output_folder(folder):
        _check_targets(folder, _Names(len(seeds), made.outputs, kind, last), overwrite, protect)
        run = _Run(
            made, seeds, folder, kind, bits, overwrite, _sheet(len(seeds)) if sheet else None
        )
        run.write(tell or (lambda _done, _total, _phase: None))
        if overwrite:
            run.notes += _left_over(folder, run.files)
        return GeneratedFiles(tuple(run.files), tuple(run.notes))


def file_names(number: int, n: int, outputs: Sequence[str], ending: str) -> dict[str, str]:
    """Output to file name of the sample `number` (from 1) of `n`."""
    stem = f"sample_{number:0{max(_DIGITS, len(str(n)))}d}"
    if len(outputs) == 1:
        return {outputs[0]: stem + ending}
    return {name: f"{stem}_{name}{ending}" for name in outputs}


def command_again(made: Sampler) -> str:
    """The command that makes a sample again, with places for its seed and the scans."""
    parts = ["medsyn", "generate", "--model", made.card.id, "--n", "1", "--seed", "SEED"]
    for name in made.controls.get(PRESENT, ()):
        parts += ["--input", f"{name}=FILE"]
    if made.study.get(MASK) is not None:
        parts += ["--mask", "FILE"]
    if made.options.register != "auto":
        parts += ["--register", made.options.register]
    if made.options.bias_field:
        parts.append("--n4")
    for name in made.given.get(TARGETS) or ():
        parts += ["--target", name]
    for name, value in made.given.items():
        if name not in (made.seed_control, PRESENT, TARGETS):
            parts += ["--set", f"{name}={_text(value)}"]
    return shlex.join([*parts, "--out", "FOLDER"])


@dataclass(slots=True)
class _Run:
    """The files of one run as they come into being.

    Parameters
    ----------
    made, seeds : what makes the samples, of which seeds.
    folder, kind, bits, overwrite : where and how they are written.
    sheet : collects small pictures; None where no sheet is wanted.
    """

    made: Sampler
    seeds: Sequence[int]
    folder: Path
    kind: str
    bits: int
    overwrite: bool
    sheet: Sheet | None
    files: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    #: The same without the names of scans, which may be patients'.
    _private_notes: list[str] = field(default_factory=list)
    _entries: list[dict[str, Any]] = field(default_factory=list)
    _hashes: dict[str, str] = field(default_factory=dict)
    _record: dict[str, Any] = field(default_factory=dict)

    def write(self, tell: Tell) -> None:
        """Write all samples, then what speaks of all of them, also after a failure."""
        total, outputs, ending = len(self.seeds), self.made.outputs, ENDINGS[self.kind]
        for notes in (self.notes, self._private_notes):
            notes += warnings(self.made.card, self.made.controls)
            notes += unsupported(self.made.card, self.made.controls)
        try:
            for number, sample in enumerate(self.made.samples(self.seeds, tell), start=1):
                self._add(sample, file_names(number, total, outputs, ending))
                tell(len(self._entries), total, GENERATING)
        except BaseException:
            # What has been finished is whole, and stays with its provenance.
            with suppress(UnusableFile):
                self._close()
            raise
        self._close()

    def _add(self, sample: Sample, names: Mapping[str, str]) -> None:
        """Write the files of one sample, all of them or none."""
        written: list[Path] = []
        try:
            for scan, name in zip(sample.as_scans(), names.values(), strict=True):
                self._write(scan, self.folder / name)
                written.append(self.folder / name)
            hashes = {path.name: sha256_of(path) for path in written}
            if self.sheet is not None:
                self.sheet.add(sample)
        except BaseException:
            for path in written:
                path.unlink(missing_ok=True)
            raise
        self._entries.append({"seed": sample.seed, "files": list(hashes)})
        self._hashes.update(hashes)
        self.files += written
        record = sample.provenance()
        self._record = self._record or record
        _add_new(self.notes, sample.results.notes)
        _add_new(self._private_notes, record.get("notes", ()))

    def _write(self, scan: Scan, path: Path) -> None:
        match self.kind:
            case "nii":
                from napari_medsyn.scans.writing import write_scan

                write_scan(scan, path, overwrite=self.overwrite)
            case "png":
                from napari_medsyn.scans.picture_files import grey, marks_of, write_picture
                from napari_medsyn.scans.pictures import to_picture

                pixels = grey(to_picture(scan.voxels), self.bits)
                marks = marks_of(scan.facts["provenance"], scan.modality)
                write_picture(path, pixels, marks, overwrite=self.overwrite)
            case _:
                from napari_medsyn.scans.atomic import whole_file

                with whole_file(path, overwrite=self.overwrite) as temporary:
                    np.save(temporary, scan.voxels, allow_pickle=False)

    def _close(self) -> None:
        """Write the sheet and the record of the samples that there are."""
        if not self._entries:
            return
        last: dict[str, Any] = {}
        if self.sheet is not None:
            path = self.sheet.write(self.folder / SHEET, self._record, overwrite=self.overwrite)
            self._hashes[path.name] = sha256_of(path)
            last["sheet"] = path.name
            self.files.append(path)
        from napari_medsyn.scans.provenance import write_sidecar

        record = {
            **self._record,
            **last,
            "requested": len(self.seeds),
            "made": len(self._entries),
            "notes": self._private_notes,
            "again": command_again(self.made),
            "samples": self._entries,
            "files": self._hashes,
        }
        path = write_sidecar(self.folder / RECORD, record, overwrite=self.overwrite)
        self.files.append(path)


def _format_of(made: Sampler, wanted: Format) -> str:
    if wanted == "auto":
        return "png" if made.is_flat else "nii"
    if wanted == "png" and not made.is_flat:
        raise UnusableFile(
            "--format png", f"{made.card.name} makes volumes and a PNG is flat; choose nii or npy"
        )
    return wanted


class _Names:
    """Which names a run would write, without listing them: there may be billions."""

    def __init__(self, n: int, outputs: Sequence[str], kind: str, last: Iterable[str]) -> None:
        self._n, self._outputs, self._ending = n, outputs, ENDINGS[kind]
        # Some file systems do not tell upper from lower case.
        self._last = {name.lower() for name in last}

    def __contains__(self, name: str) -> bool:
        if name.lower() in self._last:
            return True
        number = re.match(r"sample_(\d{1,20})\D", name, re.IGNORECASE)
        if number is None or not 1 <= int(number[1]) <= self._n:
            return False
        own = file_names(int(number[1]), self._n, self._outputs, self._ending).values()
        return name.lower() in {candidate.lower() for candidate in own}


def _check_targets(folder: Path, names: _Names, overwrite: bool, protect: Iterable[Path]) -> None:
    """Refuse, before anything is computed, what could not be written at the end."""
    sources = [path for path in protect if path.exists()]
    for target in sorted(path for path in folder.iterdir() if path.name in names):
        if target.is_dir():
            raise UnusableFile(target, "a folder has this name; choose another folder")
        if not overwrite:
            raise UnusableFile(
                target, "exists already; choose another folder or allow it to be replaced"
            )
        if any(target.samefile(source) for source in sources if target.exists()):
            raise UnusableFile(target, "is a source of these samples and is not replaced")


def _left_over(folder: Path, files: Iterable[Path]) -> list[str]:
    """A warning of samples of an earlier, longer run, which the record does not tell of."""
    ours = {file.name for file in files}
    others = sorted(path.name for path in folder.glob("sample_*") if path.name not in ours)
    if not others:
        return []
    return [f"{folder} still holds samples of an earlier run: {len(others)}, from {others[0]} on."]


def _sheet(n: int) -> Sheet:
    from napari_medsyn.exploration.generating_sheet import Sheet

    return Sheet(n)


def _add_new(known: list[str], notes: Iterable[str]) -> None:
    known += [note for note in notes if note not in known]


def _text(value: Any) -> str:
    """A control's value as `--set` takes it."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ",".join(_text(item) for item in value)
    return str(value)
