"""The contract that every family of generative models keeps.

One instance holds one loaded model on one device.  A family never sees Qt,
napari, files (its weights are handed to it) or the network.  Adding one means
one module, one line in the family table and a card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.scans.preparation import PreparedStudy

#: Values of a card's controls by name, e.g. {"temperature": 0.5, "samples": 8, "seed": 0,
#: "present": ("T1", "T2"), "targets": ("T1c", "FLAIR")}.
ControlValues = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Region:
    """Part of the model grid to compute in one short, uninterruptible step.

    Parameters
    ----------
    slices : indices along the model grid's slice axis (the last one), any order.  Empty
        for a step that only brings the others nearer, such as one of a diffusion.
    phase : what the user reads while it is computed; "" for the usual word.
    """

    slices: tuple[int, ...]
    phase: str = ""


@dataclass(frozen=True, eq=False, slots=True)
class Edit:
    """What is to be done to the patient's own scan, on the model's grid.

    It is applied on the patient's grid, to the patient's voxels, so that the detail which
    the model does not know of stays, and an edit of nothing changes nothing.

    Parameters
    ----------
    change : modality to (X, Y, n) float32, added to the moved voxels, normalised intensity.
    displacement : (3, X, Y, n) float32, mm in the model's world (RAS+): a point takes the
        patient's value at the point plus this.  None where nothing moves.
    jacobian : (X, Y, n) float32, natural logarithm of how much larger the tissue at a point
        has become; None where nothing moves.
    """

    change: Mapping[str, NDArray[np.float32]]
    displacement: NDArray[np.float32] | None = None
    jacobian: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Rendered:
    """What a model says of one region, in normalised intensity (0 background, 1 bright).

    Parameters
    ----------
    region : the region asked for.
    mean : modality to (X, Y, n) float32, n = len(region.slices): mean over samples.
    std : modality to (X, Y, n) float32: standard deviation over posterior samples,
        zeros where the mean path was asked for.
    edit : of the patient's own scan, where a counterfactual was asked for.
    findings : what was found out on the way, JSON-able: {"psnr_db": 27.9, "own": {"age":
        44.0, "sex": "F", …}} of an inversion.
    """

    region: Region
    mean: Mapping[str, NDArray[np.float32]]
    std: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    edit: Edit | None = None
    findings: Mapping[str, Any] = field(default_factory=dict)


class Family(Protocol):
    """A kind of generative model, loaded.

    One may also have `notes`, a tuple of sentences that the user should read beside its
    results.
    """

    card: ModelCard

    def condition(self, study: PreparedStudy | None, controls: ControlValues) -> Any:
        """The part that a slider does not change (encodings, an inversion, …).

        Cheap to call again with the same study: what is already encoded is kept, per
        modality and slice, and is filled lazily by `render`.
        """

    def plan(
        self, first: Sequence[int], slices: Sequence[int], controls: ControlValues
    ) -> Sequence[Region]:
        """Regions that cover `slices`, those of `first` (what is on screen) before all."""

    def render(self, conditioning: Any, controls: ControlValues, region: Region) -> Rendered:
        """Compute one region: short, deterministic for a given seed.

        What it gives depends on its arguments only.  Regions without slices come first and
        leave their work in `conditioning`; a region with slices does itself what is still
        missing there, since the device may have been changed between the two.
        """
