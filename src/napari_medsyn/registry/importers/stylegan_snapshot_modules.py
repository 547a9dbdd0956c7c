"""The modules within a snapshot of StyleGAN2-ada or StyleGAN3: tensors, settings, no code.

Their training scripts pickle whole modules, and `torch_utils.persistence` puts the source
of each class beside its attributes; loading such a file runs that source.  Here the
attributes are read (`_parameters`, `_buffers` and `_modules` of every `torch.nn.Module`),
and the source is counted and left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.registry.importers.pickled_nodes import Call

#: The function that rebuilds a module of the releases from its source and attributes.
PERSISTENT: Final = "torch_utils.persistence._reconstruct_persistent_obj"
#: What may stay uncalled in a snapshot: such modules, and torch's own.
MAY_STAY: Final = (PERSISTENT, "torch.nn.modules.")
#: Far above any real network; a small file can repeat one module without end.
_MAX_MODULES: Final = 5000
_MAX_DEPTH: Final = 20
_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,80}")
#: Settings are a few numbers and words.
_MAX_WORD: Final = 200
_MAX_ITEMS: Final = 1000
_MAX_SETTING_DEPTH: Final = 6


#: Beginning of a layer's name and its attribute to the setting (group, name) that it tells.
_FACTS: Final = {
    ("synthesis.b", "conv_clamp"): ("synthesis_kwargs", "conv_clamp"),
    ("synthesis.b", "use_noise"): ("synthesis_kwargs", "use_noise"),
    ("synthesis.b", "architecture"): ("synthesis_kwargs", "architecture"),
    ("mapping.fc", "bias_gain"): ("mapping_kwargs", "lr_multiplier"),
}


class ForeignSnapshot(ValueError):
    """The file is not a snapshot of the kind that is read here; says what differs."""


@dataclass(slots=True)
class Network:
    """A generator as it lies in the file.

    Parameters
    ----------
    class_name : of the outermost module.
    tensors : dotted name, as in a state dict, to array.
    settings : arguments of its constructor that are plain data, and what its layers say
        where that is the same for all: arguments that were left out have other defaults in
        other releases.
    sources : source code of the classes, which is neither run nor kept.
    """

    class_name: str = ""
    tensors: dict[str, NDArray[Any]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    sources: set[str] = field(default_factory=set)


def generator(tree: Any) -> Network:
    """The averaged generator, `G_ema`, of a snapshot.

    Raises
    ------
    ForeignSnapshot : there is none, or it is not made of modules.
    """
    if not isinstance(tree, dict) or "G_ema" not in tree:
        raise ForeignSnapshot("it is not a snapshot: it has no G_ema, the averaged generator")
    network = Network()
    root = _attributes(tree["G_ema"], network, "G_ema")
    facts: dict[tuple[str, str], list[Any]] = {}
    for count, (prefix, state) in enumerate(_modules(tree["G_ema"], network)):
        if count >= _MAX_MODULES:
            raise ForeignSnapshot(f"its G_ema has more than {_MAX_MODULES} modules")
        network.tensors |= _tensors(prefix, state)
        _note_facts(facts, prefix, state)
    network.class_name = _class_name(tree["G_ema"])
    network.settings = _settings(root, facts)
    if not network.tensors:
        raise ForeignSnapshot("its G_ema has no tensors")
    return network


def _modules(root: Any, network: Network) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Prefix and attributes of every module, parents first, in the order of a state dict."""
    waiting: list[tuple[str, Any, int]] = [("", root, 0)]
    while waiting:
        prefix, node, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            raise ForeignSnapshot(f"its G_ema nests modules more than {_MAX_DEPTH} deep")
        state = _attributes(node, network, prefix or "G_ema")
        yield prefix, state
        inner = [
            (f"{prefix}{_checked_name(name)}.", module, depth + 1)
            for name, module in _table(state, "_modules").items()
            if module is not None
        ]
        waiting += reversed(inner)
        if len(waiting) > _MAX_MODULES:
            raise ForeignSnapshot(f"its G_ema has more than {_MAX_MODULES} modules")


def _attributes(node: Any, network: Network, where: str) -> Mapping[Any, Any]:
    """Attributes of a pickled module, whichever way it was pickled."""
    state = node.state if isinstance(node, Call) else None
    if isinstance(node, Call) and node.name == PERSISTENT:
        meta = node.arguments[0] if node.arguments else None
        if not isinstance(meta, dict) or meta.get("type") != "class":
            raise ForeignSnapshot(f"its module {where} is not described as a class")
        state = meta.get("state")
        source = meta.get("module_src")
        if isinstance(source, str) and source:
            network.sources.add(source)
    if not isinstance(state, dict) or "_parameters" not in state:
        raise ForeignSnapshot(f"its {where} is not a torch module")
    return state


def _class_name(node: Call) -> str:
    meta = node.arguments[0] if node.name == PERSISTENT else None
    name = meta.get("class_name") if isinstance(meta, dict) else node.name
    return name[:_MAX_WORD] if isinstance(name, str) else "?"


def _tensors(prefix: str, state: Mapping[Any, Any]) -> dict[str, NDArray[Any]]:
    """What a state dict would list for one module, without its submodules."""
    listed = state.get("_non_persistent_buffers_set")
    transient = listed if isinstance(listed, list) else []
    made = {}
    for part in ("_parameters", "_buffers"):
        for name, value in _table(state, part).items():
            full = f"{prefix}{_checked_name(name)}"
            if value is None or (part == "_buffers" and name in transient):
                continue
            if not isinstance(value, np.ndarray):
                raise ForeignSnapshot(f"its {full} is not a tensor")
            if value.dtype.kind not in "fiub":
                raise ForeignSnapshot(f"its {full} holds {value.dtype}")
            made[full] = value
    return made


def _table(state: Mapping[Any, Any], name: str) -> Mapping[Any, Any]:
    value = state.get(name)
    if not isinstance(value, dict):
        raise ForeignSnapshot(f"a module in it has no {name}")
    return value


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ForeignSnapshot("a module in it has a part whose name is not an identifier")
    return name


def _note_facts(
    facts: dict[tuple[str, str], list[Any]], prefix: str, state: Mapping[Any, Any]
) -> None:
    """Add what a layer's attributes say of a setting to what others said."""
    for (start, attribute), setting in _FACTS.items():
        if prefix.startswith(start) and attribute in state:
            said, value = facts.setdefault(setting, []), _number_or_word(state[attribute])
            if value not in said:
                said.append(value)


def _settings(
    state: Mapping[Any, Any], facts: Mapping[tuple[str, str], list[Any]]
) -> dict[str, Any]:
    """Keyword arguments of the constructor; what is not there, from attributes."""
    given = state.get("_init_kwargs")
    wanted = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")
    made = {name: state[name] for name in wanted if name in state}
    made |= given if isinstance(given, dict) else {}
    plain = _Plain().of(made)
    settings: dict[str, Any] = plain if isinstance(plain, dict) else {}
    for (group, name), said in facts.items():
        table = settings.get(group)
        if len(said) == 1:
            settings[group] = {**(table if isinstance(table, dict) else {}), name: said[0]}
    return settings


class _Plain:
    """Values for JSON; what is neither word nor number is left out (None)."""

    def __init__(self) -> None:
        # What the file says once and refers to often is written out each time.
        self._left = _MAX_ITEMS

    def of(self, value: Any, depth: int = 0) -> Any:
        self._left -= 1
        if self._left < 0 or depth > _MAX_SETTING_DEPTH:
            raise ForeignSnapshot("the settings of its G_ema are too many or nested too deep")
        if isinstance(value, dict):
            pairs = [(k, v) for k, v in value.items() if isinstance(k, str)]
            return {k[:_MAX_WORD]: self.of(v, depth + 1) for k, v in pairs}
        if isinstance(value, list | tuple):
            return [self.of(item, depth + 1) for item in value]
        return _number_or_word(value)


def _number_or_word(value: Any) -> Any:
    if isinstance(value, str):
        return value[:_MAX_WORD]
    if isinstance(value, int):
        return value if abs(value) < 2**53 else None
    if isinstance(value, float) and math.isfinite(value):
        return value
    return None
