"""Keeping a package's networks in memory between its calls.

medigan's packages build their network and read its weights at every call.  Here the same
call finds the network as it left it: `torch.load` of an unchanged file gives what it gave
before, building a class of the package with the same arguments gives the same instance,
and loading into it the weights it has does nothing.  None of this is taken on trust: the
other side compares what both ways give (`family.py`) and otherwise asks for the plain one.

Runs in the package's process, where torch is imported already.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

#: Mark of a network that is built, and of a constructor that is watched.
_BUILT = "_medsyn_built"


class Residence:
    """Stands between a package and torch.

    Parameters
    ----------
    torch : the module.
    folder : of the package; classes that are defined in its files are kept.
    reseed : called after a network is built or read, which may or may not have drawn
        random numbers: what follows draws the same ones either way.
    """

    def __init__(self, torch: Any, folder: str, reseed: Callable[[], None]) -> None:
        self._is_on = False
        self._torch = torch
        self._folder = os.path.join(os.path.realpath(folder), "")
        self._reseed = reseed
        self._files: dict[Hashable, Any] = {}
        self._networks: dict[Hashable, Any] = {}
        self._kept: set[int] = set()
        self._loaded: dict[int, _Loaded] = {}
        self._built: Counter[Hashable] = Counter()
        #: Networks of earlier calls that this one was given and has not filled.
        self._handed_out: set[int] = set()
        self._depth = 0
        self._known: set[type] = set()
        #: How many modules there were when classes were last looked for.
        self._modules = 0
        self._load = vars(torch)["load"]
        self._fill = torch.nn.Module.load_state_dict

    def install(self) -> None:
        """Put the detours in place; the classes' own by `begin`."""
        residence = self

        def load(*arguments: Any, **keywords: Any) -> Any:
            return residence._read(arguments, keywords)

        def load_state_dict(network: Any, weights: Any, *more: Any, **keywords: Any) -> Any:
            return residence._fill_once(network, weights, more, keywords)

        vars(self._torch)["load"] = load
        vars(self._torch.serialization)["load"] = load
        self._torch.nn.Module.load_state_dict = load_state_dict

    def begin(self, *, resident: bool) -> None:
        """A call begins; `resident` says whether it may find what earlier ones left."""
        self._is_on = resident
        self._built.clear()
        self._handed_out.clear()
        self._depth = 0
        if len(sys.modules) != self._modules:
            self._modules = len(sys.modules)
            self._look_for_classes()

    def _look_for_classes(self) -> None:
        """Watch the package's classes that are new: some modules are imported late."""
        for kind in _subclasses(self._torch.nn.Module):
            if kind not in self._known:
                self._known.add(kind)
                if self._is_of_package(kind):
                    self._watch(kind)

    def end(self) -> bool:
        """Whether the call may be believed: each network it was given was filled again.

        One that was not would have had new random weights, or none that are its own.
        """
        return not self._handed_out

    def _is_of_package(self, kind: type) -> bool:
        file = getattr(sys.modules.get(kind.__module__), "__file__", None)
        return file is not None and os.path.realpath(file).startswith(self._folder)

    # ---- files -----------------------------------------------------------------------

    def _read(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        key = _file_key(arguments, keywords)
        if not self._is_on or key is None:
            content = self._load(*arguments, **keywords)
        else:
            if key not in self._files:
                self._files[key] = self._load(*arguments, **keywords)
            content = _fresh(self._files[key])
        self._reseed()
        return content

    # ---- networks --------------------------------------------------------------------

    def _watch(self, kind: Any) -> None:
        """Have `kind` give the instance it gave before for the same arguments.

        What a class inherits from another one of the package is watched there.
        """
        residence = self
        begin: Any = getattr(kind, "__init__")  # noqa: B009

        def new(cls: type, *arguments: Any, **keywords: Any) -> Any:
            return residence._instance(cls, arguments, keywords)

        def init(network: Any, *arguments: Any, **keywords: Any) -> None:
            if network.__dict__.get(_BUILT):
                return
            residence._depth += 1
            try:
                begin(network, *arguments, **keywords)
            finally:
                residence._depth -= 1
            if residence._depth == 0:
                network.__dict__[_BUILT] = True
                residence._reseed()

        if vars(object)["__new__"] is kind.__new__:
            setattr(kind, "__new__", staticmethod(new))  # noqa: B010 - mypy knows no such change
        if not getattr(begin, _BUILT, False):
            setattr(init, _BUILT, True)
            setattr(kind, "__init__", init)  # noqa: B010

    def _instance(self, kind: type, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """The instance of an earlier call, or a new one, which is kept from now on."""
        made: Any = object.__new__(kind)
        # Parts of a network are its own, however alike two of them are.
        if not self._is_on or self._depth or not _is_plain((arguments, keywords)):
            return made
        facts = (kind, repr((arguments, sorted(keywords.items()))))
        # The second one of a call is not the first one again.
        self._built[facts] += 1
        key = (*facts, self._built[facts])
        kept = self._networks.get(key)
        if kept is None or id(kept) not in self._loaded:
            # One that was never filled is as random as the seed it was built with.
            self._kept.discard(id(kept))
            self._kept.add(id(made))
            self._networks[key] = made
            return made
        self._handed_out.add(id(kept))
        self._reseed()
        return kept

    def _fill_once(
        self, network: Any, weights: Any, more: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Any:
        """Load `weights` unless they are what the network holds."""
        self._handed_out.discard(id(network))
        if not self._is_on or id(network) not in self._kept:
            return self._fill(network, weights, *more, **keywords)
        wanted = _versions(weights)
        last = self._loaded.get(id(network))
        # Tensors that were written to since, such as running means, are loaded again.
        if last is not None and last.facts == (wanted, _versions(network.state_dict())):
            return last.answer
        answer = self._fill(network, weights, *more, **keywords)
        facts = (wanted, _versions(network.state_dict()))
        self._loaded[id(network)] = _Loaded(facts, list(weights.values()), answer)
        return answer


@dataclass(frozen=True)
class _Loaded:
    """What a network was filled with.

    `tensors` are held so that no other tensor can come to lie where they are, which is
    what `facts` tells them by.
    """

    facts: Hashable
    tensors: list[Any]
    answer: Any


def needs_torch(folder: str) -> bool:
    """Whether a Python file below `folder` mentions torch."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".py"):
                with open(os.path.join(place, name), "rb") as stream:
                    if b"torch" in stream.read():
                        return True
    return "torch" in sys.modules


def _file_key(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Hashable | None:
    """What decides about the content of a file; None where nobody can say."""
    source = arguments[0] if arguments else keywords.get("f")
    if not isinstance(source, (str, os.PathLike)):
        return None
    path = os.path.realpath(source)
    try:
        facts = os.stat(path)
    except OSError:
        return None
    rest = repr((arguments[1:], sorted((k, v) for k, v in keywords.items() if k != "f")))
    return path, facts.st_mtime_ns, facts.st_size, rest


def _fresh(content: Any) -> Any:
    """`content` in new containers, so that a caller may take them apart; tensors shared."""
    if type(content) in (dict, list, tuple):
        if type(content) is dict:
            return {key: _fresh(value) for key, value in content.items()}
        return type(content)(_fresh(value) for value in content)
    if type(content).__name__ == "OrderedDict":
        # A state dict carries facts of its own beside its items.
        copied = content.copy()
        vars(copied).update(vars(content))
        return copied
    return content


def _versions(tensors: Any) -> Hashable:
    """What tells whether any tensor of a state dict is another, or was written to."""
    return tuple((name, t.data_ptr(), getattr(t, "_version", 0)) for name, t in tensors.items()
                 if hasattr(t, "data_ptr"))  # fmt: skip


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(_is_plain(item) for pair in value.items() for item in pair)
    return value is None or isinstance(value, (bool, int, float, str))


def _subclasses(kind: Any) -> list[type]:
    found: list[type] = []
    for child in kind.__subclasses__():
        found += [child, *_subclasses(child)]
    return found
