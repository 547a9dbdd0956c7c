"""SynthSeg's 20 whole-head label maps by person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.anatomy import LabelMaps
from training.data.sources import open_source
from training.data.splits import PARTS, Part, people


@dataclass(frozen=True, eq=False)
class NamedLabelMaps(LabelMaps):
    """Whole heads as FreeSurfer labels on MNI's 1 mm grid, RAS+, (182, 218, 182).

    Parameters
    ----------
    ids : (N,) whose each is ("synthseg-01"), in the order of `codes`.
    """

    ids: tuple[str, ...]


def load_label_maps(data: Path, *, parts: Sequence[Part] = PARTS) -> NamedLabelMaps:
    """The label maps of the people in `parts`.

    Parameters
    ----------
    data : the shared data folder or a packed file.
    parts : of the committed splits.

    Raises
    ------
    UnusableFile
        The file is missing or damaged.
    """
    arrays = open_source(data).record("label_maps", people("synthseg", *parts))
    return NamedLabelMaps(
        arrays["codes"], arrays["labels"], arrays["affine"], tuple(arrays["people"].tolist())
    )
