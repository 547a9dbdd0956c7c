"""Settings of a run as frozen dataclasses; every field an option of the command line."""

from __future__ import annotations

import argparse
import inspect
import re
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar, get_type_hints

S = TypeVar("S", bound="Settings")
_ENTRY = re.compile(r"^(\w+(?:, \w+)*) : (.*)$")


@dataclass(frozen=True)
class Settings:
    """What every run depends on; a recipe derives its own and adds to it.

    Parameters
    ----------
    steps : steps of this run; the learning rates are planned for them.
    batch : examples a step.
    learning_rate : peak of the one-cycle cosine.
    weight_decay : of AdamW, a step and unit of learning rate.
    clip : longest gradient of a network, Euclidean norm.
    ema : decay of the average of the weights a step; 0 keeps no average.
    precision : "bf16" (automatic mixed precision) or "float32".
    seed : all random numbers of step k follow from the seed and k.
    device : "auto" (a GPU where there is one), "cpu" or "cuda".
    threads : CPU threads of torch.
    workers : threads that make batches ahead of time; 0 makes each when it is needed.
    save_minutes : minutes between checkpoints.
    look_minutes : minutes between validations with sample pictures.
    most_minutes : stop after so many minutes, to be resumed later; 0 for no limit.
    """

    steps: int = 1000
    batch: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    clip: float = 1.0
    ema: float = 0.995
    precision: str = "bf16"
    seed: int = 0
    device: str = "auto"
    threads: int = 1
    workers: int = 0
    save_minutes: float = 5.0
    look_minutes: float = 20.0
    most_minutes: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """All settings by name, for ``run.json`` and the model's card."""
        return asdict(self)


#: Settings that may differ between a run and its continuation: they change no number.
OF_THE_SESSION = frozenset(
    {"threads", "workers", "save_minutes", "look_minutes", "most_minutes", "device"}
)


def explained(kind: type[Settings]) -> dict[str, str]:
    """What the docstrings of `kind` and its bases say of each field."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        names: list[str] = []
        for line in (inspect.getdoc(base) or "").splitlines():
            if entry := _ENTRY.match(line):
                names = entry[1].split(", ")
                found |= dict.fromkeys(names, entry[2])
            elif line.startswith("    ") and names:
                found |= {name: f"{found[name]} {line.strip()}" for name in names}
            else:
                names = []
    return found


def add_options(parser: argparse.ArgumentParser, kind: type[Settings]) -> None:
    """One option for each field of `kind`, with what its docstring says as help.

    Raises
    ------
    TypeError : a field has no line in a docstring, or is not a number, a word or a flag.
    """
    help_of, type_of = explained(kind), get_type_hints(kind)
    for field in fields(kind):
        said = help_of.get(field.name)
        if said is None:
            raise TypeError(f"{kind.__name__}.{field.name} is not in the class's docstring")
        if type_of[field.name] not in (int, float, str, bool):
            raise TypeError(f"{kind.__name__}.{field.name} is not an int, float, str or bool")
        name = "--" + field.name.replace("_", "-")
        text = f"{said} (default: {field.default})".replace("%", "%%")
        if type_of[field.name] is bool:
            action = argparse.BooleanOptionalAction
            parser.add_argument(name, action=action, default=field.default, help=text)
        else:
            parser.add_argument(name, type=type_of[field.name], default=field.default, help=text)


def read_options(arguments: argparse.Namespace, kind: type[S]) -> S:
    """The settings that `add_options`' options were given."""
    return kind(**{field.name: getattr(arguments, field.name) for field in fields(kind)})


def differences(stored: dict[str, Any], now: Settings) -> list[str]:
    """Settings that a continuation may not change but has, as ``name: stored, now``."""
    return [
        f"{name}: {stored.get(name)!r} then, {value!r} now"
        for name, value in now.as_dict().items()
        if name not in OF_THE_SESSION and stored.get(name) != value
    ]
