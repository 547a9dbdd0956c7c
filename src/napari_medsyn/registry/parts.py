"""The parts that a model card is made of, each checked by itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from napari_medsyn.scans.geometry import Grid

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,79}$")]
Version = Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+){0,3}([a-z]+\d+)?$")]
Modality = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9+-]{0,15}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
#: A plain name, or one below the folder `code` of a package that runs by itself.
FileName = Annotated[
    str,
    StringConstraints(
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,99}|code(/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}){1,6})$"
    ),
]
#: What may be the key of a reading in JSON: "age", "ventricles", "white_matter".
Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
#: An SPDX expression by its form: identifiers joined by AND, OR and WITH, in parentheses or not.
Spdx = Annotated[
    str,
    StringConstraints(pattern=r"^\(*[A-Za-z0-9.+-]+\)*( (AND|OR|WITH) \(*[A-Za-z0-9.+-]+\)*)*$"),
]
#: Where a file may be fetched from; its SHA-256 decides whether it is the right one.
Url = Annotated[str, StringConstraints(pattern=r"^https://[^\s\"'<>\\]{1,500}$")]
Doi = Annotated[str, StringConstraints(pattern=r"^10\.\d{4,9}/[^\s\"'<>\\]{1,200}$")]
#: A generator makes images; a judge measures them.
Kind = Literal["generator", "judge"]
#: What a model is for, in the words that people search by.
Task = Literal[
    "unconditional",
    "conditional",
    "counterfactual",
    "imputation",
    "translation",
    "inpainting",
    "label-to-image",
    "measurement",
]
#: "native": a family of ours reads the weights.  "isolated": the package brings code, which
#: runs in a process of its own after the user's consent.  "none": listed, not run.
Execution = Literal["native", "isolated", "none"]


class Part(BaseModel):
    """Base of every part of a card: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PackageFile(Part):
    """One file of the package, beside the card.

    Parameters
    ----------
    name : a plain file name; packages that bring code keep it in the folder `code`.
    bytes, sha256 : of its content; both are compared before the file is used.
    urls : where it may be fetched from if the package came without it, in order.
    """

    name: FileName
    bytes: int = Field(ge=0)
    sha256: Sha256
    urls: tuple[Url, ...] = ()

    @model_validator(mode="after")
    def _is_not_empty(self) -> PackageFile:
        # Python marks its folders by empty files.
        if not self.bytes and not self.name.startswith("code/"):
            raise ValueError(f"{self.name} is empty")
        return self


class GridCard(Part):
    """The grid that a model works on.

    Parameters
    ----------
    shape : voxels along each array axis; the last one is 1 where `dim` is "2D".
    spacing_mm : voxel size, mm, in array-axis order; None if nobody knows, and then a
        pixel is drawn as 1 mm.
    origin_mm : world position of the centre of voxel (0, 0, 0), RAS+ mm.
    orientation : "RAS": array axes point to the patient's right, anterior, superior.
    axes : names of the array axes.
    space : what the world coordinates mean, e.g. "MNI152".
    dim : "2D axial" models work slice by slice along the last axis; "2D" ones make single
        images.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float] | None = None
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    orientation: Literal["RAS"] = "RAS"
    axes: tuple[str, str, str] = ("x", "y", "z")
    space: Text
    dim: Literal["2D axial", "3D", "2D"]

    @model_validator(mode="after")
    def _is_possible(self) -> GridCard:
        if min(self.shape) < 1 or max(self.shape) > 2048:
            raise ValueError(f"shape {self.shape} must be 1 to 2048 voxels along each axis")
        if self.dim == "2D" and self.shape[2] != 1:
            raise ValueError(f"shape {self.shape} of a 2D grid must end in 1")
        if self.spacing_mm is not None and min(self.spacing_mm) <= 0:
            raise ValueError(f"spacing_mm {self.spacing_mm} must be positive")
        return self

    def grid(self) -> Grid:
        """The same as a `Grid`: shape and affine."""
        affine = np.diag([*(self.spacing_mm or (1.0, 1.0, 1.0)), 1.0])
        affine[:3, 3] = self.origin_mm
        return Grid(self.shape, affine)


class Intensity(Part):
    """How intensities are normalised before the model and what its outputs mean.

    Parameters
    ----------
    background : value of every voxel outside the brain.
    rule : "percentile": 0 stays 0 and `percentile` of the brain's voxels becomes 1.
        "unit": the family brings its network's range to 0 (dark) to 1 (bright).
    percentile : in percent; only for the rule of that name.
    """

    background: float = 0.0
    rule: Literal["percentile", "unit"]
    percentile: float | None = Field(default=None, gt=0, le=100)

    @model_validator(mode="after")
    def _has_percentile(self) -> Intensity:
        if (self.rule == "percentile") != (self.percentile is not None):
            raise ValueError("percentile belongs to the rule percentile, and only to it")
        return self


class Metric(Part):
    """One measured figure; `direction` says which way is better.

    `n` counts the patients (or images) of `data_set` it was measured on, None where the
    source does not say; `extractor` names the feature network of a distribution metric.
    """

    name: Text
    value: float
    direction: Literal["higher", "lower"]
    data_set: Text
    n: int | None = Field(default=None, ge=1)
    extractor: str | None = None
    note: str | None = None


class TrainingData(Part):
    """One data set the weights were fitted to; `n` counts its patients, None if not stated."""

    name: Text
    licence: Text
    citation: str = ""
    n: int | None = Field(default=None, ge=1)


class Reading(Part):
    """One number that a judge reads off a scan.

    Parameters
    ----------
    name : key of the value in a verdict.
    label : for people, e.g. "Ventricles".
    unit : "years", "ml"; "" for a pure number such as a probability.
    help : what exactly is measured, one sentence.
    """

    name: Key
    label: Text
    unit: str = ""
    help: str = ""


class LegendEntry(Part):
    """What one value of a label map stands for; 0 is always background."""

    code: int = Field(ge=1, le=255)
    name: Text


class Golden(Part):
    """What the model gave when its package was made, to tell whether it still does.

    Parameters
    ----------
    file : of the package, `.npy`: (X, Y, n) float, `output` of the model at `slices`.
    output : modality.
    slices : along the last axis of the model's grid.
    controls : values that differ from the card's defaults.
    study : what the model reads: "none", or "sample", the synthetic patient that ships
        with napari-medsyn.
    tolerance : the largest absolute difference that is still the same, in normalised
        intensity.
    """

    file: FileName
    output: Modality
    slices: tuple[int, ...] = Field(min_length=1)
    controls: dict[str, Any] = Field(default_factory=dict)
    study: Literal["none", "sample"] = "none"
    tolerance: float = Field(default=1e-3, gt=0, le=0.1)


class Requirements(Part):
    """What running the model takes, beyond napari-medsyn itself.

    Parameters
    ----------
    extra : one of ours, as in `pip install napari-medsyn[monai]`; "" for none.
    packages : PEP 508 requirements of an isolated package's own environment.
    memory_gb : of main (or graphics) memory.
    gpu : whether it is of no use without one.
    note : one sentence: what is missing, or what to expect.
    """

    extra: str = ""
    packages: tuple[Text, ...] = ()
    memory_gb: float | None = Field(default=None, gt=0)
    gpu: bool = False
    note: str = ""
