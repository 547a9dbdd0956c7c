"""Controls: the things a user may turn, as a model card declares them.

Each kind says how its values look, checks one, and warns of one that the model
has not seen in training.  From these the whole control panel is built.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class ControlBase(BaseModel):
    """What every control has.

    Parameters
    ----------
    name : key of the value in requests, on the command line and in provenance.
    label : what the user reads beside it.
    help : one sentence for the tooltip.
    live : whether it is cheap enough to follow while it is dragged.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: Name
    label: Label
    help: str = ""
    live: bool = True

    def check(self, value: Any) -> Any:
        """`value` in the control's own type.

        Raises
        ------
        ValueError : it is not a value of this control; the sentence says what is.
        """
        raise NotImplementedError

    def warning(self, value: Any) -> str:
        """Why `value` is beyond what the model was trained on; empty where it is not."""
        del value
        return ""

    def _refuse(self, value: Any, rule: str) -> ValueError:
        return ValueError(f"{self.name} {value!r} {rule}")


class _Number(ControlBase):
    minimum: float
    maximum: float
    default: float
    step: float = Field(gt=0)
    unit: str = ""
    #: Range seen in training (minimum, maximum); None where that has no meaning.
    support: tuple[float, float] | None = None
    #: Whether the value may be None: "not known", which the model then fills in by itself.
    unknown: bool = False

    @model_validator(mode="after")
    def _is_ordered(self) -> _Number:
        if not self.minimum < self.maximum:
            raise ValueError(f"minimum {self.minimum} must be below maximum {self.maximum}")
        if self.support is not None and not self.support[0] <= self.support[1]:
            raise ValueError(f"support {self.support} must be (lowest, highest)")
        self.check(self.default)
        return self

    def _in_range(self, number: float) -> None:
        if not self.minimum <= number <= self.maximum:
            raise self._refuse(number, f"is outside {self.minimum:g} to {self.maximum:g}")

    def warning(self, value: Any) -> str:
        """A sentence with the nearest supported value, or nothing."""
        if self.support is None or value is None:
            return ""
        if self.support[0] <= value <= self.support[1]:
            return ""
        low, high = self.support
        nearest = low if value < low else high
        unit = f" {self.unit}" if self.unit else ""
        return (
            f"{self.label} {value:g}{unit} is beyond the training range {low:g} to {high:g}; "
            f"the result is extrapolation. The nearest supported value is {nearest:g}."
        )


class Continuous(_Number):
    """A real number: slider and spin box."""

    kind: Literal["continuous"]

    def check(self, value: Any) -> float | None:
        """`value` as a float within the range; None where it may be unknown."""
        if value is None and self.unknown:
            return None
        if not _is_number(value):
            raise self._refuse(value, "is not a number")
        self._in_range(float(value))
        return float(value)


class Integer(_Number):
    """A whole number."""

    kind: Literal["integer"]
    minimum: int
    maximum: int
    default: int
    step: int = Field(default=1, gt=0)

    def check(self, value: Any) -> int | None:
        """`value` as an int within the range; None where it may be unknown."""
        if value is None and self.unknown:
            return None
        return _whole(self, value, self.minimum, self.maximum)


class Boolean(ControlBase):
    """A tick box."""

    kind: Literal["boolean"]
    default: bool = False

    def check(self, value: Any) -> bool:
        """`value` if it is true or false; 0 and 1 are not."""
        if not isinstance(value, bool):
            raise self._refuse(value, "is not true or false")
        return value


class Category(BaseModel):
    """One choice of a categorical control: `value` for the model, `label` for the user."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: str | int
    label: Label


class Categorical(ControlBase):
    """One of a few named choices."""

    kind: Literal["categorical"]
    categories: tuple[Category, ...] = Field(min_length=2)
    default: str | int
    #: Whether the value may be None: "not known", which the model then fills in by itself.
    unknown: bool = False

    @model_validator(mode="after")
    def _has_default(self) -> Categorical:
        self.check(self.default)
        return self

    def check(self, value: Any) -> str | int | None:
        """`value` if it is that of a category, or None where it may be unknown."""
        if value is None and self.unknown:
            return None
        for category in self.categories:
            # 1 == True in Python, but not for a user.
            if category.value == value and type(category.value) is type(value):
                return category.value
        offered = ", ".join(str(category.value) for category in self.categories)
        raise self._refuse(value, f"is not one of {offered}")


class ModalitySet(ControlBase):
    """A set of modalities: those the model may read ("present") or should give ("targets").

    `default` None stands for "as the study has it": what is loaded and switched on,
    or what is missing.
    """

    kind: Literal["modality_set"]
    choices: tuple[str, ...] = Field(min_length=1)
    minimum: int = Field(default=0, ge=0)
    default: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _has_default(self) -> ModalitySet:
        if self.default is not None:
            self.check(self.default)
        return self

    def check(self, value: Any) -> tuple[str, ...]:
        """The modalities of `value` in the order of `choices`."""
        if isinstance(value, str) or not isinstance(value, tuple | list | set | frozenset):
            raise self._refuse(value, "is not a set of modalities")
        strange = [name for name in value if name not in self.choices]
        if strange:
            raise self._refuse(strange[0], f"is not one of {', '.join(self.choices)}")
        if len(set(value)) < self.minimum:
            raise self._refuse(tuple(value), f"needs at least {self.minimum} modalities")
        return tuple(name for name in self.choices if name in value)


class Seed(ControlBase):
    """The number that fixes all noise: the same seed gives the same result."""

    kind: Literal["seed"]
    default: int = Field(default=0, ge=0, lt=2**32)

    def check(self, value: Any) -> int:
        """`value` as an int within the range."""
        return _whole(self, value, 0, 2**32 - 1)


class Latent(ControlBase):
    """Steps along latent directions, in standard deviations of the training latents.

    Parameters
    ----------
    directions : labels of the directions, in the order of the value's numbers.
    minimum, maximum : how far each may go.
    """

    kind: Literal["latent"]
    directions: tuple[Label, ...] = Field(min_length=1)
    minimum: float = -3.0
    maximum: float = 3.0
    default: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _has_default(self) -> Latent:
        self.check(self.default)
        return self

    def check(self, value: Any) -> tuple[float, ...]:
        """A number for each direction; an empty value stands for all zeros."""
        numbers = tuple(value) if isinstance(value, tuple | list) else None
        if numbers is None or not all(_is_number(number) for number in numbers):
            raise self._refuse(value, "is not a list of numbers")
        numbers = numbers or (0.0,) * len(self.directions)
        if len(numbers) != len(self.directions):
            # There may be hundreds, which nobody wants to read.
            raise ValueError(
                f"{self.name} needs {len(self.directions)} numbers, one for each direction, "
                f"not {len(numbers)}"
            )
        for direction, number in zip(self.directions, numbers, strict=True):
            if not self.minimum <= number <= self.maximum:
                raise ValueError(
                    f"{self.name} {direction} {number:g} is outside "
                    f"{self.minimum:g} to {self.maximum:g}"
                )
        return tuple(float(number) for number in numbers)


Control = Annotated[
    Continuous | Integer | Boolean | Categorical | ModalitySet | Seed | Latent,
    Field(discriminator="kind"),
]


def _is_number(value: Any) -> bool:
    # `Real` takes numpy's numbers, too; to Python, but to nobody else, True is one.
    return isinstance(value, Real) and not isinstance(value, bool)


def _whole(control: ControlBase, value: Any, minimum: int, maximum: int) -> int:
    if not _is_number(value) or not math.isfinite(value) or value != int(value):
        raise control._refuse(value, "is not a whole number")
    if not minimum <= value <= maximum:
        raise control._refuse(int(value), f"is outside {minimum} to {maximum}")
    return int(value)
