"""The golden output: whether a model still gives what it gave when it was packed.

Another version of torch, another processor or a mistake in an importer shows here first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableModel
from napari_medsyn.evaluation.checks import Check, failed, passed, warned
from napari_medsyn.evaluation.rendering import Subject
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.parts import Golden
from napari_medsyn.registry.sealing import file_facts, rewrite_card
from napari_medsyn.scans.atomic import whole_file

#: Name of the check, and of the file that `record` writes.
NAME: Final = "golden output"
FILE: Final = "golden.npy"
#: Most slices of a volume that are kept: a golden output is no data set.
MOST_SLICES: Final = 3
#: Larger than any golden output of `MOST_SLICES` slices of 2048 x 2048.
_MOST_BYTES: Final = 64 * 2**20


def check_golden(package: Path, subject: Subject) -> Check:
    """Render what the golden output shows and compare.

    Parameters
    ----------
    package : the folder; its hashes have been compared with the card.
    subject : the loaded model.

    Returns
    -------
    The largest absolute difference beside the tolerance; a warning without a golden output.
    """
    golden = subject.card.golden
    if golden is None:
        return warned(NAME, "the package has none; record one with `medsyn models test --record`")
    if (golden.study == "sample") != (subject.study is not None):
        return failed(NAME, f"it was made of the study {golden.study!r}, which is not there")
    expected = read_golden(package, golden)
    given = subject.render(golden.controls, golden.slices).mean.get(golden.output)
    if given is None or given.shape != expected.shape:
        shape = None if given is None else given.shape
        return failed(NAME, f"{golden.output} has the shape {shape}, not {expected.shape}")
    largest = float(np.abs(given - expected).max(initial=0))
    sentence = f"{golden.output} differs by at most {largest:.2g}; {golden.tolerance:g} is allowed"
    return passed(NAME, sentence) if largest <= golden.tolerance else failed(NAME, sentence)


def read_golden(package: Path, golden: Golden) -> NDArray[np.float32]:
    """The array (X, Y, n) of a golden output.

    Raises
    ------
    UnusableModel : the file is no plain array of finite floats with three axes.
    """
    path = package / golden.file
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UnusableModel(f"{path}: is larger than {_MOST_BYTES} bytes")
        # Mapped, since reading would first make room for whatever size the header claims.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UnusableModel(f"{path}: is not an array ({error})") from error
    if not isinstance(array, np.ndarray) or array.ndim != 3 or array.dtype.kind != "f":
        raise UnusableModel(f"{path}: is not an array of floats with three axes")
    if not np.isfinite(array).all():
        raise UnusableModel(f"{path}: has numbers that are infinite or none")
    return array.astype(np.float32)


def record_golden(package: Path, subject: Subject) -> ModelCard:
    """Make what the model gives now its golden output, in the package and on its card.

    A golden output that is there already keeps its output, slices, controls and tolerance.

    Raises
    ------
    UnusableModel : the model gives numbers that are infinite or none.
    UnusableFile : the package cannot be written to.
    """
    golden = subject.card.golden
    fields: dict[str, Any] = (
        golden.model_dump(mode="json")
        if golden is not None
        else {"file": FILE, "output": _output(subject), "slices": _slices(subject), "controls": {}}
    )
    fields["study"] = "none" if subject.study is None else "sample"
    image = subject.render(fields["controls"], fields["slices"]).mean[fields["output"]]
    if not np.isfinite(image).all():
        raise UnusableModel(f"{package}: {fields['output']} has numbers that are infinite or none")
    with whole_file(package / fields["file"], overwrite=True) as draft, draft.open("wb") as stream:
        np.save(stream, np.ascontiguousarray(image), allow_pickle=False)

    def add(card: dict[str, Any]) -> None:
        others = [entry for entry in card["files"] if entry["name"] != fields["file"]]
        card["files"] = [*others, file_facts(package, fields["file"])]
        card["golden"] = fields

    return rewrite_card(package, add)


def _output(subject: Subject) -> str:
    """The first modality that is asked for and not read."""
    targets = subject.controls.get("targets") or subject.card.outputs
    read = subject.controls.get("present", ())
    return str(next((name for name in targets if name not in read), targets[0]))


def _slices(subject: Subject) -> list[int]:
    """A few slices, spread evenly and away from the ends."""
    there = subject.slices
    count = min(MOST_SLICES, len(there))
    return [there[(2 * i + 1) * len(there) // (2 * count)] for i in range(count)]
