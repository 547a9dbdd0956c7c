"""How a judge's network gets its weights: strictly, with one sentence if they do not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError
from torch import Tensor, nn

from napari_medsyn.errors import UnusableModel

N = TypeVar("N", bound=nn.Module)
#: What building and filling a network raises where card and weights do not fit.
_MISFITS: tuple[type[Exception], ...] = (
    TypeError,
    ValueError,
    KeyError,
    IndexError,
    RuntimeError,
    SafetensorError,
)


@contextmanager
def fitting(weights: Path) -> Iterator[None]:
    """Turn whatever a body raises because card and weights do not fit into one sentence.

    Raises
    ------
    UnusableModel : the body raised something of the kind.
    """
    try:
        yield
    except _MISFITS as error:
        lines = [line.strip() for line in str(error).splitlines()]
        telling = [line for line in lines if line and not line.endswith(":")] or lines
        reason = telling[0][:200].rstrip(".") if telling else type(error).__name__
        raise UnusableModel(
            f"{weights}: the weights do not fit the card's architecture ({reason}); "
            "get the package again"
        ) from error


def filled(build: Callable[[], N], tensors: dict[str, Tensor], device: str) -> N:
    """A network on `device` in float32, in evaluation mode, with exactly these tensors."""
    network = build()
    network.load_state_dict(tensors, strict=True)
    return network.float().eval().requires_grad_(False).to(device)
