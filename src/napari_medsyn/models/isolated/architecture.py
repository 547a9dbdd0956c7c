"""What a card says of the code that its package brings: `architecture` of family "python"."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from napari_medsyn.errors import UnusableModel
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.parts import Part

_NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,79}$"
#: medigan's packages begin with a digit, which `import_module` does not mind.
_STEP = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}"


class LatentArgument(Part):
    """The argument that takes the latent: float32 (1, size, 1, 1), medigan's shape.

    Parameters
    ----------
    argument : its name.
    size : numbers of the latent.
    prior : what they are drawn from.
    control : of the card, whose offsets move the draw; "" for none.
    """

    argument: str = Field(pattern=_NAME)
    size: int = Field(ge=1, le=65536)
    prior: Literal["normal", "uniform"] = "normal"
    control: str = ""


class ControlArgument(Part):
    """The argument that takes a control's value, as it is or as a list of one."""

    argument: str = Field(pattern=_NAME)
    form: Literal["value", "list"] = "value"


class PythonArchitecture(Part):
    """How the function of an isolated package is called.

    It is called as ``function(model_file=…, num_samples=1, output_path=…,
    save_images=False, …)`` and gives a list with one sample: a picture, or a tuple of
    pictures and texts.  A picture is (H, W), (H, W, C) or (C, H, W) with C 1, 3 or 4.

    Parameters
    ----------
    weights : file of the package that holds the weights, below `code/`.
    at : where the folder `code` is put, relative to where imports begin.
    module : dotted name of the module that has the function.
    function : its name.
    latent : how it takes the latent; None if it takes none.
    keywords : further arguments, always the same.
    controls : control of the card to the argument that takes its value.
    values : numbers that stand for dark and bright; None: 0 to 255 for bytes, and for
        real numbers what the first pictures tell.
    """

    weights: str = Field(pattern=r"^code/")
    at: str = Field(default="package", pattern=rf"^{_STEP}(/{_STEP}){{0,3}}$")
    module: str = Field(pattern=rf"^{_STEP}(\.{_STEP}){{0,5}}$")
    function: str = Field(default="generate", pattern=_NAME)
    latent: LatentArgument | None = None
    keywords: dict[str, Any] = Field(default_factory=dict)
    controls: dict[str, ControlArgument] = Field(default_factory=dict)
    values: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _calls_once(self) -> PythonArchitecture:
        used = ["model_file", "num_samples", "output_path", "save_images", *self.keywords]
        used += [item.argument for item in self.controls.values()]
        if self.latent is not None:
            used.append(self.latent.argument)
        twice = sorted({name for name in used if used.count(name) > 1})
        if twice:
            raise ValueError(f"argument {', '.join(twice)} is given more than once")
        if self.values is not None and not self.values[0] < self.values[1]:
            raise ValueError(f"values {self.values} must be (dark, bright)")
        return self


def read_architecture(card: ModelCard) -> PythonArchitecture:
    """The architecture of a card of the family "python".

    Raises
    ------
    UnusableModel : it is not valid, or names a control that the card does not have.
    """
    try:
        architecture = PythonArchitecture.model_validate(card.architecture)
    except ValidationError as error:
        problems = [
            f"architecture.{'.'.join(map(str, item['loc']))}: {item['msg']}"
            for item in error.errors(include_url=False)
        ]
        raise UnusableModel(f"{card.id}: {'; '.join(problems)}") from error
    names = set(architecture.controls)
    if architecture.latent is not None and architecture.latent.control:
        names.add(architecture.latent.control)
    strange = sorted(names - {control.name for control in card.controls})
    if strange:
        raise UnusableModel(
            f"{card.id}: architecture names {', '.join(strange)}, which is no control of the card"
        )
    return architecture
