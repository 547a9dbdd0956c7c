"""What came of a counterfactual: images, what was found of the patient, and where from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableModel, UnusableStudy
from napari_medsyn.exploration.requests import Finished, PreparationOptions
from napari_medsyn.exploration.saving import Existing, result_scan, save_results
from napari_medsyn.scans.display import display_order
from napari_medsyn.scans.study import Scan, Study

if TYPE_CHECKING:
    from napari_medsyn.exploration.counterfactual_judging import Measured
    from napari_medsyn.exploration.generating_samples import Tell
    from napari_medsyn.exploration.plausible import Hint
    from napari_medsyn.exploration.sweeping import Swept
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.registry.catalogue import Catalogue

#: Key of a provenance under which it says what was found and asked for.
RECORD: Final = "counterfactual"

#: Kinds of output: the scan as it would be, what was added to it, how tissue has grown.
KINDS: Final = ("counterfactual", "difference", "jacobian")


@dataclass(frozen=True, slots=True)
class Findings:
    """What the inversion found of the patient.

    Parameters
    ----------
    own : covariate to the patient's value; None where it is unknown.
    origins : covariate to where the value is from: "stated" by the user, "from the file",
        "estimated" by the model, or "unknown".
    psnr_db : of the reconstruction within the brain, against the scan; dB, data range 1
        (the 99.5th percentile of the brain).
    psnr_alone_db : of what the model can say of the person in its own terms, without what
        was found for this scan alone; None where the model does not tell.
    warning : why the reconstruction is not to be relied on; "" where it is.
    """

    own: Mapping[str, Any]
    origins: Mapping[str, str]
    psnr_db: float
    psnr_alone_db: float | None = None
    warning: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        psnr = self.psnr_db if np.isfinite(self.psnr_db) else None
        return {
            "own": dict(self.own),
            "origins": dict(self.origins),
            "psnr_db": psnr,
            "psnr_alone_db": self.psnr_alone_db,
            "warning": self.warning,
        }


@dataclass(frozen=True, eq=False, slots=True)
class Counterfactual:
    """A patient's scan as it would be, or a series of such scans.

    Parameters
    ----------
    card : the model's.
    study : the patient's scans.
    reference : the scan on whose grid, and in whose units, the arrays are.
    controls : value of every control; of a sweep those that were held fixed.
    arrays : "counterfactual_T1" (scanner's units), "difference_T1" (counterfactual − scan,
        the same units) and, of a model that deforms, "jacobian_T1" (natural logarithm of
        how many times larger the tissue has become: above 0 it has grown).  (X, Y, Z)
        float32; of a sweep (n, X, Y, Z).
    findings : what the inversion found.
    hints : what goes together with what was asked, and what does not.
    notes : sentences that the user should read.
    provenance : enough to make the same again, as JSON values.
    swept : the sweep with the values of its steps; None where there was none.
    followed : names of the covariates that went with what was asked for, if they might.
    measurements : what a judge measured, if one was asked.
    options, device : how and where it was computed.
    """

    card: ModelCard
    study: Study
    reference: Scan
    controls: Mapping[str, Any]
    arrays: Mapping[str, NDArray[np.float32]]
    findings: Findings
    hints: tuple[Hint, ...]
    notes: tuple[str, ...]
    provenance: Mapping[str, Any]
    swept: Swept | None = None
    followed: tuple[str, ...] = ()
    measurements: Measured | None = None
    options: PreparationOptions = field(default_factory=PreparationOptions)
    device: str = "auto"

    @property
    def asked(self) -> dict[str, Any]:
        """Covariate to the value that was asked for; what was swept is not among them."""
        swept = "" if self.swept is None else self.swept.control
        return {name: self.controls[name] for name in self.card.covariates if name != swept}

    @property
    def steps(self) -> tuple[Any, ...]:
        """Values of the covariate that was swept; empty where there was no sweep."""
        return () if self.swept is None else tuple(self.swept.values)

    def scan(self, output: str = "", step: int | None = None) -> Scan:
        """One image as a synthetic scan on the patient's grid.

        Parameters
        ----------
        output : a key of `arrays`; the counterfactual by default.
        step : of a sweep, from 0.

        Raises
        ------
        UnusableModel : there is no such output or step.
        """
        output = output or next(iter(self.arrays))
        if output not in self.arrays:
            raise UnusableModel(f"there is no output {output!r}; there is {_listed(self.arrays)}")
        if (step is not None) != bool(self.steps):
            raise UnusableModel("a step is given of a sweep, and of nothing else")
        if step is not None and not 0 <= step < len(self.steps):
            raise UnusableModel(f"step {step} is outside 0 to {len(self.steps) - 1}")
        array = self.arrays[output] if step is None else self.arrays[output][step]
        kind, _, modality = output.partition("_")
        made = result_scan(Finished(0, {output: array}, self.provenance), output, self.reference)
        return replace(made, modality=modality if kind == KINDS[0] else "")

    def measured(self, *, catalogue: Catalogue | None = None, tell: Tell | None = None) -> Self:
        """The same with `measurements`: what an independent judge reads off scan and result.

        Age, sex and ventricles by `judge-covariates-t1`; they go into the provenance, too.

        Raises
        ------
        UnusableModel : the judge is not installed.
        UnusableStudy : the judge cannot read the scan.
        """
        from napari_medsyn.exploration.counterfactual_judging import measure

        found = measure(self, catalogue=catalogue, tell=tell)
        record = {**self.provenance.get(RECORD, {}), "measured": found.as_dict()}
        return replace(self, measurements=found, provenance={**self.provenance, RECORD: record})

    def save(
        self,
        folder: str | Path,
        *,
        existing: Existing = "refuse",
        separate: bool = False,
        protect: Iterable[Path] = (),
    ) -> list[Path]:
        """Write one NIfTI file for each output, and `provenance.json`; give the files.

        Parameters
        ----------
        folder : made if it does not exist.
        existing : what to do about files of the same names.
        separate : of a sweep one 3D file for each step, `counterfactual_T1_01_age-30.nii.gz`;
            otherwise 4D files with the steps in the last axis.
        protect : files that are never replaced; the scans' own always belong to them.

        Raises
        ------
        UnusableFile : the folder or a file cannot be written; nothing is left behind.
        """
        sources = [*protect, *(scan.source for scan in self.study if scan.source is not None)]
        if self.swept is not None and not separate:
            from napari_medsyn.exploration.sweeping import save_sweep

            swept = replace(self.swept, provenance=self.provenance)
            return save_sweep(swept, Path(folder), existing=existing, protect=sources)
        arrays = self.arrays
        if self.swept is not None:
            names = step_names(arrays, self.swept.control, self.steps)
            pairs = zip(names, (step for array in arrays.values() for step in array), strict=True)
            arrays = dict(pairs)
        results = Finished(0, arrays, self.provenance, self.notes)
        return save_results(
            results, self.reference, Path(folder), existing=existing, protect=sources
        )

    def animate(
        self,
        path: str | Path,
        output: str = "",
        axis: int = -1,
        index: int = -1,
        *,
        overwrite: bool = False,
    ) -> Path:
        """Write a sweep as an animation (GIF) of one plane, marked as synthetic; give the file.

        Parameters
        ----------
        path : ends in .gif.
        output : a key of `arrays`; the counterfactual by default.
        axis : of the patient's grid, across the plane: 0, 1 or 2; by default that of axial
            planes.
        index : of the plane along `axis`; by default the one that changes most.
        overwrite : whether an existing file may be replaced.

        Raises
        ------
        UnusableStudy : this is not a sweep, or has no such plane.
        UnusableFile : the file exists, has another ending, or cannot be written.
        """
        if self.swept is None:
            raise UnusableStudy("only a sweep can be animated; ask for one")
        from napari_medsyn.exploration.animating import animate

        axis = display_order(self.reference.grid).axes[0] if axis < 0 else axis
        index = self.liveliest_plane(axis) if index < 0 else index
        output = output or next(iter(self.arrays))
        return animate(self.swept, Path(path), output, axis, index, overwrite=overwrite)

    def liveliest_plane(self, axis: int) -> int:
        """Index along `axis` of the plane in which a sweep changes most: |last − first|, summed."""
        first, *_, last = next(iter(self.arrays.values()))
        others = tuple(other for other in range(3) if other != axis)
        return int(np.abs(last - first).sum(axis=others).argmax())


def outputs_of(card: ModelCard, given: Collection[str]) -> tuple[str, ...]:
    """Names of all that a counterfactual under `card` gives of the modalities `given`."""
    seen = [name for name in card.outputs if name in given]
    return tuple(f"{kind}_{name}" for name in seen for kind in KINDS)


def step_names(outputs: Iterable[str], control: str, values: Iterable[Any]) -> list[str]:
    """File stems of a sweep in single files: every step of the first output, of the next, …."""
    values = tuple(values)
    width = len(str(len(values)))
    texts = ["unknown" if v is None else f"{v:g}" if isinstance(v, float) else v for v in values]
    return [
        f"{output}_{number:0{width}d}_{control}-{text}"
        for output in outputs
        for number, text in enumerate(texts, start=1)
    ]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
