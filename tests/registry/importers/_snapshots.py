"""Training snapshots as the StyleGAN releases pickle them, from a state dict.

The form is that of `torch_utils.persistence` and `dnnlib.util.EasyDict` (their names are
what a snapshot holds); the classes here only have those names.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

SOURCE = "import os\nos.system('touch ran')  # what loading a snapshot would run\n"
BUFFERS = ("resample_filter", "noise_const", "w_avg")
SETTINGS: Mapping[str, Any] = {
    "z_dim": 8, "c_dim": 3, "w_dim": 6, "img_resolution": 8, "img_channels": 1,
}  # fmt: skip


def _reconstruct_persistent_obj(meta: Any) -> Any:
    raise AssertionError("somebody has unpickled a snapshot")


class EasyDict(dict[str, Any]):
    """A dict by another name."""


class Module:
    """Pickles as a persistent module does: by its source and attributes."""

    def __init__(self, **attributes: Any) -> None:
        self.state = {
            "training": False,
            "_parameters": OrderedDict(),
            "_buffers": OrderedDict(),
            "_non_persistent_buffers_set": set(),
            "_backward_hooks": OrderedDict(),
            "_modules": OrderedDict(),
            **attributes,
        }

    def __reduce__(self) -> tuple[Callable[[Any], Any], tuple[dict[str, Any]], None]:
        meta = {
            "type": "class",
            "version": 6,
            "module_src": SOURCE,
            "class_name": "Generator",
            "state": self.state,
        }
        return _reconstruct_persistent_obj, (meta,), None


def small_state() -> dict[str, torch.Tensor]:
    """A StyleGAN2 generator of 8 x 8 pixels, by its published names; numbers are made up."""
    shapes: dict[str, tuple[int, ...]] = {
        "mapping.embed.weight": (6, 3), "mapping.embed.bias": (6,),
        "mapping.fc0.weight": (6, 14), "mapping.fc0.bias": (6,), "mapping.w_avg": (6,),
        "synthesis.b4.const": (5, 4, 4), "synthesis.b4.resample_filter": (4, 4),
        "synthesis.b4.conv1.weight": (5, 5, 3, 3), "synthesis.b4.conv1.noise_strength": (),
        "synthesis.b4.conv1.noise_const": (4, 4), "synthesis.b4.conv1.affine.weight": (5, 6),
        "synthesis.b8.conv0.weight": (5, 5, 3, 3), "synthesis.b8.torgb.bias": (1,),
    }  # fmt: skip
    return {
        name: torch.arange(float(torch.Size(shape).numel())).reshape(shape) + 10 * i
        for i, (name, shape) in enumerate(shapes.items())
    }


def network(state: Mapping[str, torch.Tensor], **settings: Any) -> Module:
    """Modules in modules with the tensors of `state`."""
    groups = {"mapping_kwargs": EasyDict(num_layers=1), "synthesis_kwargs": EasyDict()}
    kwargs = EasyDict({**groups, **settings})
    root = Module(_init_args=(), _init_kwargs=kwargs, **settings)
    for name, value in state.items():
        *path, leaf = name.split(".")
        module = root
        for part in path:
            inner = module.state["_modules"]
            module = inner.setdefault(part, Module())
        if leaf in BUFFERS:
            module.state["_buffers"][leaf] = value
        else:
            module.state["_parameters"][leaf] = torch.nn.Parameter(value)
    return root


def snapshot(state: Mapping[str, torch.Tensor] | None = None, **settings: Any) -> dict[str, Any]:
    """What a training script saves."""
    made = network(small_state() if state is None else state, **{**SETTINGS, **settings})
    other = network({"b8.conv.weight": torch.ones(2, 2)})
    return {
        "G": other,
        "D": other,
        "G_ema": made,
        "augment_pipe": None,
        "training_set_kwargs": EasyDict(class_name="training.dataset.ImageFolderDataset"),
    }


@contextmanager
def names_of_the_release() -> Iterator[None]:
    """Let the classes above be pickled under the names that the releases use."""
    kept = dict(sys.modules)
    names = {
        "torch_utils.persistence": (_reconstruct_persistent_obj,),
        "dnnlib.util": (EasyDict,),
    }
    own = {thing: thing.__module__ for things in names.values() for thing in things}
    try:
        for name, things in names.items():
            package = name.partition(".")[0]
            sys.modules[package] = ModuleType(package)
            sys.modules[name] = ModuleType(name)
            for thing in things:
                thing.__module__ = name
                setattr(sys.modules[name], thing.__name__, thing)
        yield
    finally:
        for thing, module in own.items():
            thing.__module__ = module
        for name in set(sys.modules) - set(kept):
            if name.startswith(("torch_utils", "dnnlib")):
                del sys.modules[name]


def pickled(content: Any, form: Callable[[Any], bytes]) -> bytes:
    """`content` by one of `_streams.FORMATS`."""
    with names_of_the_release():
        return form(content)
