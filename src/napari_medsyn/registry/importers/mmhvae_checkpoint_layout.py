"""The published MMHVAE layout: from names and shapes to hyper-parameters and back.

A released state dict says nothing of how its network was built, but names and shapes
determine it (Dorent et al., arXiv 2410.19378 and 2309.08747; names of the authors'
releases).  What follows is checked whole: every tensor that the inferred network has must
be there in its shape, and no other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

State = dict[str, NDArray[Any]]
Shapes = dict[str, tuple[int, ...]]

#: What a training script wraps a state dict in, and what data parallelism puts before names.
_WRAPPERS: Final = ("state_dict", "model_state_dict", "model", "net", "network", "generator")
_PREFIXES: Final = ("module.", "_orig_mod.", "model.", "net.")
#: The older spelling of weight normalisation (g, v) to that of `parametrizations`.
_NORM_SPELLINGS: Final = {
    "weight_g": "parametrizations.weight.original0",
    "weight_v": "parametrizations.weight.original1",
}
_LONGEST_NAME: Final = 200
#: What no network of this kind is without.
_NEEDED: Final = ("first_conv.", "conv_blocks_context.", "tu.", "qz.", "pz.", "final_blocks.")


class ForeignLayout(ValueError):
    """The state dict is not one of the published layout; says what differs."""


@dataclass(frozen=True, slots=True)
class PublishedLayout:
    """What determines a published network.

    Parameters
    ----------
    modalities : in the order of the checkpoint.
    widths : channels of each scale, finest first.
    side : height and width of the images it takes.
    vector : size of the vector z_L.
    head_features, head_blocks : width and residual blocks of the image heads.
    """

    modalities: tuple[str, ...]
    widths: tuple[int, ...]
    side: int
    vector: int
    head_features: int
    head_blocks: int


def unwrapped(tree: Any) -> tuple[dict[Any, Any], list[str]]:
    """The state dict within a checkpoint, and the names of what it was wrapped in.

    Raises
    ------
    ForeignLayout : there is none.
    """
    opened: list[str] = []
    while isinstance(tree, dict) and not any(isinstance(v, np.ndarray) for v in tree.values()):
        inner = next((w for w in _WRAPPERS if isinstance(tree.get(w), dict)), None)
        if inner is None or len(opened) > 3:
            break
        opened.append(inner)
        tree = tree[inner]
    if not isinstance(tree, dict) or not tree:
        raise ForeignLayout("it holds no state dict")
    return tree, opened


def plain_state(tree: Mapping[Any, Any]) -> tuple[State, list[str]]:
    """Tensors by the names that the current release uses, and what was renamed.

    Raises
    ------
    ForeignLayout : an entry is no tensor, or two become one by the renaming.
    """
    notes: list[str] = []
    state: State = {}
    prefix = _common_prefix(tree)
    if prefix:
        notes.append(f"{prefix!r} before every name was left out")
    for name, value in tree.items():
        if not isinstance(name, str) or len(name) > _LONGEST_NAME:
            raise ForeignLayout("it has an entry without a usable name")
        if not isinstance(value, np.ndarray):
            raise ForeignLayout(f"its entry {name!r} is not a tensor")
        plain = name.removeprefix(prefix)
        module, dot, parameter = plain.rpartition(".")
        plain = f"{module}{dot}{_NORM_SPELLINGS.get(parameter, parameter)}"
        if plain in state:
            raise ForeignLayout(f"it has {plain} twice, in two spellings")
        state[plain] = value
    if any(str(name).endswith(".weight_g") for name in tree):
        notes.append("weight normalisation was in its older spelling, weight_g and weight_v")
    return state, notes


def _common_prefix(tree: Mapping[Any, Any]) -> str:
    prefix = ""
    for _ in range(3):
        longer = (prefix + p for p in _PREFIXES)
        found = next((p for p in longer if all(str(n).startswith(p) for n in tree)), None)
        if found is None:
            break
        prefix = found
    return prefix


def infer(state: Mapping[str, NDArray[Any]]) -> PublishedLayout:
    """The hyper-parameters that the names and shapes of a state dict determine.

    Raises
    ------
    ForeignLayout : a part of the network is missing, or shapes contradict each other.
    """
    for start in _NEEDED:
        if not any(name.startswith(start) for name in state):
            raise ForeignLayout(f"it has no {start}*, so it is not in the MMHVAE layout")
    if not any(".se.se." in name for name in state):
        raise ForeignLayout(
            "its blocks have no squeeze-and-excite gates (.se.), which the published layout has"
        )
    modalities = tuple(_second(state, "first_conv."))
    first = modalities[0]
    scales = _count(state, f"conv_blocks_context.{first}.")
    widths = tuple(
        _shape(state, f"conv_blocks_context.{first}.{d}.conv_0.weight", 4)[0] for d in range(scales)
    )
    (both,) = _shape(state, "bottleneck_down.linear.bias", 1)
    (deepest,) = _shape(state, "bottleneck_up.linear.bias", 1)
    small = math.isqrt(deepest // widths[-1])
    if small * small * widths[-1] != deepest or both % 2:
        raise ForeignLayout(
            f"its bottleneck of {deepest} numbers and {widths[-1]} channels is no square image"
        )
    head = f"final_blocks.{_heads(state)[0]}."
    blocks = sum(name.startswith(head) and name.endswith("conv_block.1.bias") for name in state)
    return PublishedLayout(
        modalities,
        widths,
        small * 2 ** (scales - 1),
        both // 2,
        _shape(state, f"{head}convt2.weight", 4)[0],
        blocks,
    )


def named_heads(state: State, modalities: Iterable[str]) -> tuple[State, bool]:
    """The state with image heads by modality; the first release numbered them.

    Returns
    -------
    The state, and whether the heads were numbered.
    """
    numbers = {str(i): m for i, m in enumerate(modalities)}
    if _heads(state) != list(numbers):
        return state, False
    renamed = {}
    for name, value in state.items():
        start, _, rest = name.partition(".")
        if start == "final_blocks":
            number, _, rest = rest.partition(".")
            name = f"{start}.{numbers[number]}.{rest}"
        renamed[name] = value
    return renamed, True


def check(state: Mapping[str, NDArray[Any]], layout: PublishedLayout) -> None:
    """Compare every name and shape with those of the network.

    Raises
    ------
    ForeignLayout : one is missing, is not part of the network or has another shape.
    """
    expected = shapes(layout)
    missing = [name for name in expected if name not in state]
    strange = [name for name in state if name not in expected]
    if missing:
        raise ForeignLayout(f"{_some(missing)} missing from the published layout")
    if strange:
        raise ForeignLayout(f"{_some(strange)} not part of the published layout")
    for name, shape in expected.items():
        if state[name].shape != shape:
            raise ForeignLayout(f"{name} has shape {state[name].shape} instead of {shape}")


def _some(names: list[str]) -> str:
    if len(names) == 1:
        return f"{names[0]} is"
    return f"{names[0]} and {len(names) - 1} more are"


def shapes(layout: PublishedLayout) -> Shapes:
    """Name to shape of every tensor of a published network, in its order of modules."""
    return dict(_shapes(layout))


def _shapes(t: PublishedLayout) -> Iterator[tuple[str, tuple[int, ...]]]:
    widths, deepest = t.widths, t.widths[-1]
    small = t.side // 2 ** (len(widths) - 1)
    flat = deepest * small * small
    for m in t.modalities:
        yield from _layer(f"first_conv.{m}", widths[0], 1, 3, 3)
        for d, w in enumerate(widths):
            block = f"conv_blocks_context.{m}.{d}"
            yield from _layer(f"{block}.conv_0", w, w, 3, 3)
            yield from _layer(f"{block}.conv_1", w, w, 3, 3)
            yield from _gate(f"{block}.se", w)
        for d, w in enumerate(widths[1:]):
            yield from _layer(f"td.{m}.{d}", w, widths[d], 3, 3)
        yield from _head(f"final_blocks.{m}", widths[0] // 2, t.head_features, t.head_blocks)
    yield from _normed("bottleneck_down.linear", 2 * t.vector, flat)
    yield "bottleneck_down.linear.bias", (2 * t.vector,)
    yield from _normed("bottleneck_up.linear", flat, t.vector)
    yield "bottleneck_up.linear.bias", (flat,)
    carried = deepest
    for i, w in enumerate(reversed(widths[:-1])):
        yield f"tu.{i}.conv_1.weight", (w, carried, 3, 3)
        block = f"conv_blocks_localization.{i}"
        yield from _layer(f"{block}.conv_0", 6 * w, w, 3, 3)
        yield from _layer(f"{block}.dw_conv_1", 6 * w, 1, 5, 5)
        yield from _gate(f"{block}.se_2", 6 * w)
        yield from _layer(f"{block}.conv_2", w, 6 * w, 1, 1)
        yield from _layer(f"qz.{i}.conv_0", w, 2 * w, 3, 3)
        yield from _layer(f"qz.{i}.conv_1", w, w, 3, 3)
        yield from _gate(f"qz.{i}.se", w)
        yield from _normed(f"qz.{i}.last_conv", w, w, 1, 1)
        yield from _normed(f"pz.{i}", w, w, 1, 1)
        carried = w // 2


def _layer(name: str, outputs: int, *rest: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (outputs, *rest)
    yield f"{name}.bias", (outputs,)


def _normed(name: str, outputs: int, *rest: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.parametrizations.weight.original0", (outputs, *(1 for _ in rest))
    yield f"{name}.parametrizations.weight.original1", (outputs, *rest)


def _gate(name: str, channels: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden = max(channels // 16, 4)
    yield from _layer(f"{name}.se.0", hidden, channels)
    yield from _layer(f"{name}.se.2", channels, hidden)


def _head(
    name: str, inputs: int, features: int, blocks: int
) -> Iterator[tuple[str, tuple[int, ...]]]:
    first = 0
    if inputs != features:  # a convolution that brings one to the other comes before
        yield from _layer(f"{name}.res.0", features, inputs, 1, 1)
        first = 1
    for k in range(first, first + blocks):
        yield from _layer(f"{name}.res.{k}.conv_block.1", features, features, 3, 3)
        yield from _layer(f"{name}.res.{k}.conv_block.5", features, features, 3, 3)
    yield from _layer(f"{name}.convt2", features, features, 7, 7)
    yield from _layer(f"{name}.convt3", 1, features, 7, 7)


def _second(state: Mapping[str, Any], start: str) -> list[str]:
    """What follows `start` up to the next dot, each once, in the order of the state."""
    found = (name[len(start) :].partition(".")[0] for name in state if name.startswith(start))
    return list(dict.fromkeys(found))


def _heads(state: Mapping[str, Any]) -> list[str]:
    return _second(state, "final_blocks.")


def _count(state: Mapping[str, Any], start: str) -> int:
    """How many numbered modules there are below `start`."""
    numbers = _second(state, start)
    if not numbers or set(numbers) != {str(i) for i in range(len(numbers))}:
        raise ForeignLayout(f"{start}* are not numbered from 0")
    if len(numbers) > 16:
        raise ForeignLayout(f"{start}* are {len(numbers)} scales, more than any image has")
    return len(numbers)


def _shape(state: Mapping[str, NDArray[Any]], name: str, axes: int) -> tuple[int, ...]:
    """Shape of a tensor that must be there, with that many axes and none empty."""
    if name not in state:
        raise ForeignLayout(f"{name} is missing from the published layout")
    shape = state[name].shape
    if len(shape) != axes or not all(shape):
        raise ForeignLayout(f"{name} has shape {shape} where {axes} axes are expected")
    return shape
