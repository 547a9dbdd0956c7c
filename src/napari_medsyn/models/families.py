"""The families of generators and of judges there are, and how one is loaded.

A card names its family by a key of this table; a card can never name code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

from napari_medsyn.errors import UnusableDevice, UnusableModel

if TYPE_CHECKING:
    from napari_medsyn.models.family import Family
    from napari_medsyn.models.judges.judge import Judge
    from napari_medsyn.registry.card import ModelCard

#: Family to "module:function"; the function is a `Loader`.
TABLE: Final[Mapping[str, str]] = {
    "mmhvae": "napari_medsyn.models.mmhvae_family:load",
    "mssg": "napari_medsyn.models.mssg.family:load",
    "mssg-stack": "napari_medsyn.models.mssg.stack_family:load",
    "monai-diffusion": "napari_medsyn.models.monai.diffusion:load",
    "monai-gan": "napari_medsyn.models.monai.gan:load",
    "dcgan": "napari_medsyn.models.dcgan_family:load",
    "python": "napari_medsyn.models.isolated.family:load",
    "stylegan2": "napari_medsyn.models.stylegan2.family:load",
}


#: The same for judges.
JUDGES: Final[Mapping[str, str]] = {
    "tissue-judge": "napari_medsyn.models.judges.tissue:load",
    "covariate-judge": "napari_medsyn.models.judges.covariates:load",
    "lesion-judge": "napari_medsyn.models.judges.lesions:load",
}


class Loader(Protocol):
    """Builds a family's network from the card and fills it from a safetensors file."""

    def __call__(self, card: ModelCard, weights: Path, device: str) -> Family:
        """Give the loaded model on `device` ("cpu", "cuda", …)."""


def load_family(
    package: Path, card: ModelCard, device: str, table: Mapping[str, str] = TABLE
) -> Family:
    """Load a package's model after comparing every hash with its card.

    Parameters
    ----------
    package : the folder.
    card : the card the request was made for.
    device : what `resolve_device` gave.
    table : family to "module:function"; another one than `TABLE` is for tests.

    Raises
    ------
    UnusableModel : the package is damaged, is another one by now, or its family is unknown.
    """
    return cast("Family", _load(package, card, device, table))


def load_judge(
    package: Path, card: ModelCard, device: str, table: Mapping[str, str] = JUDGES
) -> Judge:
    """Load a judge as `load_family` loads a generator; the same parameters and errors."""
    return cast("Judge", _load(package, card, device, table))


def _load(package: Path, card: ModelCard, device: str, table: Mapping[str, str]) -> object:
    from napari_medsyn.registry.packages import verify

    if verify(package) != card:
        raise UnusableModel(f"{package}: the card has changed; choose the model again")
    target = table.get(card.family)
    if target is None:
        raise UnusableModel(
            f"{package}: the family {card.family!r} is not one of {', '.join(sorted(table))}; "
            "a newer version of napari-medsyn may know it"
        )
    module, _, name = target.partition(":")
    load = cast("Loader", getattr(import_module(module), name))
    _limit_threads()
    return load(card, package / card.weights.name, device)


def resolve_device(device: str) -> str:
    """Turn "auto" into "cuda" where torch has a usable one, else "cpu".

    Raises
    ------
    UnusableDevice : a device was asked for by name that torch does not have.
    """
    if device == "cpu":
        return device
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and torch.cuda.is_available():
        return device
    raise UnusableDevice(f"torch has no device {device!r} on this computer; choose cpu or auto")


def usable_cpus() -> int:
    """How many processors this process may use, also in a container with a quota."""
    try:
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cpus = os.cpu_count() or 1
    with suppress(OSError, ValueError):
        # "max 100000" without a quota, which is no number.
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cpus = min(cpus, max(1, int(quota) // int(period)))
    return cpus


def _limit_threads() -> None:
    """Let torch use no more threads than there are processors for them.

    In a container it counts the machine's, and threads that wait for each other's turn
    make everything several times slower.  A smaller number, set by the user, stays.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() > usable_cpus():
        torch.set_num_threads(usable_cpus())
