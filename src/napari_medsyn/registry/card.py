"""The model card: everything about a model that is not its weights.

A card is data, never code: it validates as a whole or the model is shown as
broken with the reason, and is not run.  It is rich enough to build the user
interface from (controls with label, unit, range and training support) and to
say where the weights come from.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from napari_medsyn.errors import UnusableModel
from napari_medsyn.registry.controls import Control
from napari_medsyn.scans.geometry import Grid

#: File of a package that holds the card.
CARD_NAME: Final = "card.json"

#: A card is text written by a person; a larger file is something else.
MAX_CARD_BYTES: Final = 4 * 2**20

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,79}$")]
Version = Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+){0,3}([a-z]+\d+)?$")]
Modality = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9+-]{0,15}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
#: What may be the key of a reading in JSON: "age", "ventricles", "white_matter".
Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
#: A generator makes images; a judge measures them.
Kind = Literal["generator", "judge"]
#: An SPDX expression by its form: identifiers joined by AND, OR and WITH, in parentheses or not.
Spdx = Annotated[
    str,
    StringConstraints(pattern=r"^\(*[A-Za-z0-9.+-]+\)*( (AND|OR|WITH) \(*[A-Za-z0-9.+-]+\)*)*$"),
]


class Part(BaseModel):
    """Base of every part of a card: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PackageFile(Part):
    """One file of the package, beside the card.

    `name` is a plain file name within the package's folder: never a path.
    """

    name: FileName
    bytes: int = Field(gt=0)
    sha256: Sha256


class GridCard(Part):
    """The grid that a model works on.

    Parameters
    ----------
    shape : voxels along each array axis.
    spacing_mm : voxel size, mm, in array-axis order.
    origin_mm : world position of the centre of voxel (0, 0, 0), RAS+ mm.
    orientation : "RAS": array axes point to the patient's right, anterior, superior.
    axes : names of the array axes.
    space : what the world coordinates mean, e.g. "MNI152".
    dim : "2D axial" models work slice by slice along the last axis.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    orientation: Literal["RAS"] = "RAS"
    axes: tuple[str, str, str] = ("x", "y", "z")
    space: Text
    dim: Literal["2D axial", "3D"]

    @model_validator(mode="after")
    def _is_possible(self) -> GridCard:
        if min(self.shape) < 1 or max(self.shape) > 2048:
            raise ValueError(f"shape {self.shape} must be 1 to 2048 voxels along each axis")
        if min(self.spacing_mm) <= 0:
            raise ValueError(f"spacing_mm {self.spacing_mm} must be positive")
        return self

    def grid(self) -> Grid:
        """The same as a `Grid`: shape and affine."""
        affine = np.diag([*self.spacing_mm, 1.0])
        affine[:3, 3] = self.origin_mm
        return Grid(self.shape, affine)


class Intensity(Part):
    """How intensities are normalised before the model and what its outputs mean.

    Parameters
    ----------
    background : value of every voxel outside the brain.
    rule : "percentile": 0 stays 0 and `percentile` of the brain's voxels becomes 1.
    percentile : in percent.
    """

    background: float = 0.0
    rule: Literal["percentile"]
    percentile: float = Field(gt=0, le=100)


class Metric(Part):
    """One measured figure; `direction` says which way is better.

    `n` counts the patients (or images) of `data_set` it was measured on; `extractor`
    names the feature network of a distribution metric.
    """

    name: Text
    value: float
    direction: Literal["higher", "lower"]
    data_set: Text
    n: int = Field(ge=1)
    extractor: str | None = None
    note: str | None = None


class TrainingData(Part):
    """One data set the weights were fitted to; `n` counts its patients."""

    name: Text
    licence: Text
    citation: str = ""
    n: int = Field(ge=1)


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


class ModelCard(Part):
    """Everything about a model that is not its weights; see `docs` for each field.

    Parameters
    ----------
    schema_version : of this description.
    id, version, name, summary : how the model is called.
    kind : whether it makes images or measures them.
    family : which kind of model; one of the family table.
    architecture : literals that the family reads to build the network.
    files : every file of the package but the card, with size and SHA-256.
    grid, intensity : what the model's arrays mean.
    inputs, outputs : modalities it reads and gives; a judge's outputs are maps, or none.
    readings : numbers that a judge gives; a generator has none.
    legends : output to what its codes mean, for outputs that are label maps.
    min_inputs : how many of `inputs` must be there.
    controls : what a user may turn.
    metrics, training_data : what is known of its quality and origin.
    licence : SPDX expression for the weights.
    provenance : how the weights came to be: command, seed, data hash, ….
    calibration : per-output constants the family applies (e.g. to the spread).
    """

    schema_version: Literal[1]
    id: Slug
    version: Version
    name: Text
    summary: str = ""
    kind: Kind = "generator"
    family: Slug
    architecture: dict[str, Any]
    files: tuple[PackageFile, ...] = Field(min_length=1)
    grid: GridCard
    intensity: Intensity
    inputs: tuple[Modality, ...]
    outputs: tuple[Modality, ...]
    readings: tuple[Reading, ...] = ()
    legends: dict[Modality, tuple[LegendEntry, ...]] = Field(default_factory=dict)
    min_inputs: int = Field(default=1, ge=0)
    controls: tuple[Control, ...] = ()
    metrics: tuple[Metric, ...] = ()
    training_data: tuple[TrainingData, ...] = Field(min_length=1)
    licence: Spdx
    authors: tuple[Text, ...] = Field(min_length=1)
    citation: str = ""
    intended_use: Text
    limitations: tuple[Text, ...] = Field(min_length=1)
    provenance: dict[str, Any]
    calibration: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> ModelCard:
        for what, names in (
            ("inputs", self.inputs),
            ("outputs", self.outputs),
            ("controls", [control.name for control in self.controls]),
            ("readings", [reading.name for reading in self.readings]),
            # Some file systems do not tell upper from lower case.
            ("files", [file.name.lower() for file in self.files]),
        ):
            twice = sorted({name for name in names if list(names).count(name) > 1})
            if twice:
                raise ValueError(f"{what} lists {', '.join(twice)} more than once")
        if self.min_inputs > len(self.inputs):
            raise ValueError(f"min_inputs {self.min_inputs} exceeds the {len(self.inputs)} inputs")
        weights = [file.name for file in self.files if file.name.endswith(".safetensors")]
        if len(weights) != 1:
            raise ValueError(f"files must list exactly one .safetensors file, not {len(weights)}")
        known = {*self.inputs, *self.outputs}
        for control in self.controls:
            strange = set(getattr(control, "choices", ())) - known
            if control.kind == "modality_set" and strange:
                raise ValueError(
                    f"control {control.name} offers {', '.join(sorted(strange))}, "
                    "which is neither input nor output"
                )
        return self

    @model_validator(mode="after")
    def _is_of_its_kind(self) -> ModelCard:
        if self.kind == "generator":
            if not self.outputs:
                raise ValueError("outputs is empty, so this generator gives nothing")
            if self.readings:
                raise ValueError("readings are for judges; set kind to judge")
        elif not self.readings:
            raise ValueError("readings is empty, so this judge measures nothing")
        for output, legend in self.legends.items():
            if output not in self.outputs:
                raise ValueError(f"legends explains {output}, which is not one of the outputs")
            codes = [entry.code for entry in legend]
            if len(set(codes)) < len(codes):
                raise ValueError(f"legends gives a code of {output} more than one name")
        return self

    @property
    def is_judge(self) -> bool:
        """Whether it measures images instead of making them."""
        return self.kind == "judge"

    @property
    def is_experimental(self) -> bool:
        """Whether its version says that it is not to be relied on yet: 0, 0.1, …."""
        return self.version.split(".")[0] == "0"

    @property
    def weights(self) -> PackageFile:
        """The one .safetensors file."""
        return next(file for file in self.files if file.name.endswith(".safetensors"))

    @property
    def modalities(self) -> tuple[str, ...]:
        """Inputs, then outputs that are not inputs, each once."""
        return (*self.inputs, *(name for name in self.outputs if name not in self.inputs))


def read_card(package: Path) -> ModelCard:
    """Read and validate the card of a package (a folder); no other file is touched.

    Raises
    ------
    UnusableModel : there is no card, or it does not validate; every reason in one sentence.
    """
    path = package / CARD_NAME
    try:
        if path.stat().st_size > MAX_CARD_BYTES:
            raise UnusableModel(f"{path}: larger than {MAX_CARD_BYTES} bytes, so not a card")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UnusableModel(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UnusableModel(f"{path}: is not UTF-8 text") from error
    return parse_card(text, str(path))


def parse_card(text: str, source: str = CARD_NAME) -> ModelCard:
    """Validate the JSON `text` of a card; `source` names it in errors."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UnusableModel(f"{source}: is not JSON ({error})") from error
    try:
        return ModelCard.model_validate(value)
    except ValidationError as error:
        raise UnusableModel(f"{source}: {_sentence(error)}") from error


def json_schema() -> dict[str, Any]:
    """JSON Schema of a card, for editors and for checks in other languages."""
    return ModelCard.model_json_schema()


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _sentence(error: ValidationError) -> str:
    """Every problem as `place: reason`, e.g. `controls[2].default: 40 is above 32`."""
    problems = []
    for item in error.errors(include_url=False):
        place = ""
        for step in item["loc"]:
            place += f"[{step}]" if isinstance(step, int) else f".{step}"
        reason = item["msg"].removeprefix("Value error, ")
        problems.append(f"{place.lstrip('.') or 'card'}: {reason}")
    return "; ".join(problems)
