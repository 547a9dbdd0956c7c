"""What each number of a generator's label vector means: `SPEC.json`, written by a person.

A snapshot knows only how many numbers there are.  The format is described in
`docs/importing.md`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from napari_medsyn.errors import UnusableFile
from napari_medsyn.registry.controls import Category, Control, Name
from napari_medsyn.registry.parts import Modality, Part, Text, TrainingData

_MAX_BYTES: Final = 2**20
_CONTROL: Final[TypeAdapter[Control]] = TypeAdapter(Control)
#: Controls that every such generator has; no label may be called so.
_TAKEN: Final = ("truncation", "seed")


class Normalising(Part):
    """From a value in its unit to the number that the network was trained with.

    number = (f(value + add) - subtract) / divide_by, f the natural logarithm if `log`.
    """

    log: bool = False
    add: float = 0.0
    subtract: float = 0.0
    divide_by: float = 1.0

    @model_validator(mode="after")
    def _divides(self) -> Normalising:
        if self.divide_by == 0:
            raise ValueError("divide_by must not be 0")
        return self


class _Label(Part):
    name: Name
    label: Text
    help: str = ""

    @model_validator(mode="after")
    def _is_free(self) -> _Label:
        if self.name in _TAKEN:
            raise ValueError(f"the name {self.name} is that of another control")
        return self

    @property
    def width(self) -> int:
        """How many numbers of the vector it takes."""
        return 1

    def control(self) -> dict[str, Any]:
        """The control of the card."""
        return self.model_dump(mode="json", exclude_none=True, exclude={"normalise"})

    def encoding(self) -> dict[str, Any]:
        """How the control's value becomes numbers, for the card's architecture."""
        return {"name": self.name, "kind": "number", "numbers": 1}


class Quantity(_Label):
    """A number, such as an age: one place of the vector."""

    kind: Literal["continuous", "integer"]
    unit: str = ""
    minimum: float
    maximum: float
    default: float
    step: float | None = Field(default=None, gt=0)
    support: tuple[float, float] | None = None
    normalise: Normalising = Normalising()

    @model_validator(mode="after")
    def _has_a_logarithm(self) -> Quantity:
        if self.normalise.log and self.minimum + self.normalise.add <= 0:
            raise ValueError(f"the minimum {self.minimum} of {self.name} has no logarithm")
        return self

    def control(self) -> dict[str, Any]:
        """The control of the card."""
        made = super().control()
        if self.kind == "continuous":
            # A hundredth of the range; where there is none, the control's own check says so.
            made.setdefault("step", abs(self.maximum - self.minimum) / 100 or 1.0)
        return made

    def encoding(self) -> dict[str, Any]:
        """How the value becomes the network's number."""
        return {**super().encoding(), "normalise": self.normalise.model_dump()}


class Truth(_Label):
    """Yes or no, such as a diagnosis: one place of the vector, 0 or 1."""

    kind: Literal["boolean"]
    default: bool = False


class Choice(_Label):
    """One of several: a place for each, all 0 but that of the choice (one-hot)."""

    kind: Literal["categorical"]
    categories: tuple[Category, ...] = Field(min_length=2)
    default: str | int

    @property
    def width(self) -> int:
        """How many numbers of the vector it takes."""
        return len(self.categories)

    def encoding(self) -> dict[str, Any]:
        """Values in the order of their places."""
        values = [category.value for category in self.categories]
        return {"name": self.name, "kind": "one-hot", "numbers": self.width, "values": values}


class Labels(Part):
    """The whole specification.

    Parameters
    ----------
    labels : in the order of the label vector; empty for a generator without one.
    modality : what the images are, e.g. "T1".
    name, summary, anatomy, authors, citation, training_data : for the card.
    spacing_mm : of a pixel, across and down; None if nobody knows.
    """

    labels: tuple[Annotated[Quantity | Truth | Choice, Field(discriminator="kind")], ...]
    modality: Modality = "image"
    name: Text | None = None
    summary: str = ""
    anatomy: tuple[Text, ...] = ()
    authors: tuple[Text, ...] = ()
    citation: str = ""
    training_data: tuple[TrainingData, ...] = ()
    spacing_mm: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _have_names_of_their_own(self) -> Labels:
        names = [label.name for label in self.labels]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"labels lists {', '.join(twice)} more than once")
        return self

    @property
    def width(self) -> int:
        """How many numbers the labels describe together."""
        return sum(label.width for label in self.labels)


def read_labels(path: Path) -> Labels:
    """Read and check a specification.

    Raises
    ------
    UnusableFile : it is not one; every reason in one sentence.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UnusableFile(path, "is too large for a description of labels")
        labels = Labels.model_validate(json.loads(path.read_text(encoding="utf-8")))
        for label in labels.labels:
            _CONTROL.validate_python(label.control())
        return labels
    except OSError as error:
        raise UnusableFile(path, f"cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise UnusableFile(path, f"does not describe labels ({_reasons(error)})") from error
    except (ValueError, RecursionError) as error:
        raise UnusableFile(path, f"is not JSON ({error})") from error


def _reasons(error: ValidationError) -> str:
    """Every problem as `place: reason`, e.g. `labels.0.minimum: Field required`."""
    return "; ".join(
        f"{'.'.join(map(str, item['loc'])) or 'it'}: {item['msg'].removeprefix('Value error, ')}"
        for item in error.errors(include_url=False)
    )
