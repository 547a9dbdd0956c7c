"""The model card: everything about a model that is not its weights.

A card is data, never code: it validates as a whole or the model is shown as
broken with the reason, and is not run.  It is rich enough to build the user
interface from (controls with label, unit, range and training support) and to
say where the weights come from.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, ValidationError, model_validator

from napari_medsyn.errors import UnusableModel
from napari_medsyn.registry.card_errors import json_problem, problems
from napari_medsyn.registry.controls import Control
from napari_medsyn.registry.parts import (
    Doi,
    Execution,
    Golden,
    GridCard,
    Intensity,
    Kind,
    LegendEntry,
    Metric,
    Modality,
    PackageFile,
    Part,
    Reading,
    Requirements,
    Slug,
    Spdx,
    Task,
    Text,
    TrainingData,
    Url,
    Version,
)

__all__ = [
    "CARD_NAME",
    "GridCard",
    "Intensity",
    "Kind",
    "LegendEntry",
    "Metric",
    "ModelCard",
    "PackageFile",
    "Reading",
    "TrainingData",
    "json_schema",
    "parse_card",
    "read_card",
]

#: File of a package that holds the card.
CARD_NAME: Final = "card.json"

#: A card is text written by a person; a larger file is something else.
MAX_CARD_BYTES: Final = 4 * 2**20


class ModelCard(Part):
    """Everything about a model that is not its weights; see `docs` for each field.

    Parameters
    ----------
    schema_version : of this description.
    id, version, name, summary : how the model is called.
    kind : whether it makes images or measures them.
    task, anatomy, tags, year : what people search by.
    execution : whether our families run it, its own process does, or nobody.
    requires : what running it takes.
    family : which kind of model; one of the family table.
    architecture : literals that the family reads to build the network.
    files : every file of the package but the card, with size and SHA-256.
    grid, intensity : what the model's arrays mean.
    inputs, outputs : modalities it reads and gives; a judge's outputs are maps, or none.
    readings : numbers that a judge gives; a generator has none.
    legends : output to what its codes mean, for outputs that are label maps.
    min_inputs : how many of `inputs` must be there.
    controls : what a user may turn.
    covariates : names of the controls that describe a person (age, sex, …): those that a
        patient has values of, which an inversion may estimate.
    label_model : how covariates go together, for `models.mssg.labels`; numbers only.
    metrics, training_data : what is known of its quality and origin.
    licence : SPDX expression for the weights.
    provenance : how the weights came to be: command, seed, data hash, ….
    calibration : per-output constants the family applies (e.g. to the spread).
    golden : what it gave when it was packed, for `medsyn models test`.
    doi, links : of publications, code and data.
    """

    schema_version: Literal[1]
    id: Slug
    version: Version
    name: Text
    summary: str = ""
    kind: Kind = "generator"
    task: Task | None = None
    anatomy: tuple[Text, ...] = ()
    tags: tuple[Text, ...] = ()
    year: int | None = Field(default=None, ge=1990, le=2100)
    execution: Execution = "native"
    requires: Requirements = Field(default_factory=Requirements)
    family: Slug
    architecture: dict[str, Any]
    files: tuple[PackageFile, ...] = ()
    grid: GridCard
    intensity: Intensity
    inputs: tuple[Modality, ...]
    outputs: tuple[Modality, ...]
    readings: tuple[Reading, ...] = ()
    legends: dict[Modality, tuple[LegendEntry, ...]] = Field(default_factory=dict)
    min_inputs: int = Field(default=1, ge=0)
    controls: tuple[Control, ...] = ()
    covariates: tuple[str, ...] = ()
    label_model: dict[str, Any] | None = None
    metrics: tuple[Metric, ...] = ()
    training_data: tuple[TrainingData, ...] = Field(min_length=1)
    licence: Spdx
    authors: tuple[Text, ...] = Field(min_length=1)
    citation: str = ""
    intended_use: Text
    limitations: tuple[Text, ...] = Field(min_length=1)
    provenance: dict[str, Any]
    calibration: dict[str, Any] | None = None
    golden: Golden | None = None
    doi: tuple[Doi, ...] = ()
    links: tuple[Url, ...] = ()

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
        nameless = set(self.covariates) - {control.name for control in self.controls}
        if nameless:
            raise ValueError(f"covariates names {', '.join(sorted(nameless))}, not a control")
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
    def _has_its_files(self) -> ModelCard:
        names = [file.name for file in self.files]
        weights = [name for name in names if name.endswith(".safetensors")]
        if self.execution == "native":
            if len(weights) != 1:
                raise ValueError(
                    f"files must list exactly one .safetensors file, not {len(weights)}"
                )
            if any("/" in name for name in names):
                raise ValueError("files in folders are for packages that run in isolation")
        elif self.execution == "isolated" and self.architecture.get("weights") not in names:
            raise ValueError(
                "architecture.weights must name the file of `files` that holds the weights"
            )
        if self.golden is not None:
            if self.golden.file not in names or not self.golden.file.endswith(".npy"):
                raise ValueError(f"golden.file {self.golden.file} is not a .npy file of `files`")
            if self.golden.output not in self.outputs:
                raise ValueError(f"golden.output {self.golden.output} is not one of the outputs")
            if not all(0 <= number < self.grid.shape[2] for number in self.golden.slices):
                raise ValueError(f"golden.slices leave the {self.grid.shape[2]} slices of the grid")
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
        """The file with the weights; not for a card that nothing runs."""
        if self.execution == "none":
            raise UnusableModel(f"{self.id}: {self.why_not_run}")
        if self.execution == "isolated":
            name = self.architecture["weights"]
            return next(file for file in self.files if file.name == name)
        return next(file for file in self.files if file.name.endswith(".safetensors"))

    @property
    def weights_sha256(self) -> str:
        """What pins down what is computed: the weights' hash, with code that of all files."""
        if self.execution == "native":
            return self.weights.sha256
        lines = sorted(f"{file.name} {file.sha256}" for file in self.files)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def why_not_run(self) -> str:
        """Why a card with the execution "none" is listed only; empty for any other."""
        if self.execution != "none":
            return ""
        return self.requires.note or "it is listed for information; its weights are not here"

    @property
    def purpose(self) -> Task:
        """`task`, or what follows from what the model reads and gives."""
        if self.task is not None:
            return self.task
        if self.is_judge:
            return "measurement"
        return "imputation" if self.inputs else "unconditional"

    @property
    def modalities(self) -> tuple[str, ...]:
        """Inputs, then outputs that are not inputs, each once."""
        return (*self.inputs, *(name for name in self.outputs if name not in self.inputs))


def read_card(package: Path) -> ModelCard:
    """Read and validate the card of a package (a folder); no other file is touched.

    Raises
    ------
    UnusableModel : there is no card, or it does not validate; the first reasons in one sentence.
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
        raise UnusableModel(f"{source}: is not JSON ({json_problem(error)})") from error
    try:
        return ModelCard.model_validate(value)
    except ValidationError as error:
        raise UnusableModel(f"{source}: {problems(error, json_schema)}") from error


def json_schema() -> dict[str, Any]:
    """JSON Schema of a card, for editors and for checks in other languages."""
    return ModelCard.model_json_schema()


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")
