"""A MONAI bundle's JSON and YAML files as plain data: nothing in them is ever evaluated.

MONAI resolves `$expression` with `eval` and `_target_` by importing whatever it names, so
that resolving a configuration means running it.  Here both are text.  Only plain references
to other entries of the same file, `@name` and `@name::entry`, are followed.
"""

from __future__ import annotations

import json
import math
import re
import stat
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from napari_medsyn.errors import UnusableFile

#: The largest published configuration has some 12 kB.
MAX_BYTES: Final = 2**20
#: How deep lists and tables may be nested, and how many references may follow each other.
MAX_DEPTH: Final = 24
#: Values that one part may amount to once its references are followed.
MAX_VALUES: Final = 10_000
#: Larger numbers describe no network.
MAX_NUMBER: Final = 1e12

_REFERENCE: Final = re.compile(r"@[A-Za-z_]\w*(?:(?:::|#)\w+)*")
#: Keys that steer MONAI's own resolver and say nothing about a network.
_IGNORED: Final = frozenset({"_requires_", "_desc_"})


def read_text_file(path: Path, most: int = MAX_BYTES) -> str:
    """The text of an ordinary file, neither a link nor larger than `most` bytes.

    Raises
    ------
    UnusableFile : says which of the two it is, or why it cannot be read.
    """
    check_plain_file(path)
    try:
        if path.stat().st_size > most:
            raise UnusableFile(path, f"is larger than {most} bytes, so not a bundle's text")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UnusableFile(path, f"cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UnusableFile(path, "is not UTF-8 text") from error


def check_plain_file(path: Path) -> None:
    """Refuse what is not there, a link (which may lead anywhere) and anything but a file."""
    for step in (path.parent, path):
        try:
            mode = step.lstat().st_mode
        except OSError as error:
            raise UnusableFile(step, f"cannot be read ({error.strerror})") from error
        if stat.S_ISLNK(mode):
            raise UnusableFile(step, "is a link; put the file itself into the bundle")
    if not stat.S_ISREG(mode):
        raise UnusableFile(path, "is not an ordinary file")


def read_tree(path: Path) -> dict[str, Any]:
    """The table in a JSON or YAML file: dicts, lists, strings, finite numbers, bools, None.

    Raises
    ------
    UnusableFile : the file is too large, nested too deeply, names a key twice, holds a
        number beyond `MAX_NUMBER`, or is no such table.
    """
    text = read_text_file(path)
    try:
        tree = _parse_yaml(text) if path.suffix in (".yaml", ".yml") else _parse_json(text)
        _check(tree, MAX_DEPTH)
    except ImportError as error:
        raise UnusableFile(
            path, "is YAML, which needs PyYAML: pip install pyyaml, or write it as JSON"
        ) from error
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else "nested too deeply"
        raise UnusableFile(path, f"is not usable as data ({reason[:160]})") from error
    if not isinstance(tree, dict):
        raise UnusableFile(path, "does not hold a table of names and values")
    return tree


class Resolver:
    """Follows plain references within one file; refuses everything that would need running.

    Parameters
    ----------
    tree : what `read_tree` gave.
    path : the file, for errors.
    """

    def __init__(self, tree: Mapping[str, Any], path: Path) -> None:
        self.tree = tree
        self.path = path
        self._left = MAX_VALUES

    def resolve(self, value: Any, where: str) -> Any:
        """`value` with its references replaced by what they name.

        Parameters
        ----------
        where : the key that holds it, for errors.

        Raises
        ------
        UnusableFile : an expression, a macro, a reference that leads nowhere or in a circle.
        """
        self._left = MAX_VALUES
        return self._resolve(value, where, ())

    def _resolve(self, value: Any, where: str, trail: tuple[str, ...]) -> Any:
        self._left -= 1
        if self._left < 0 or len(trail) > MAX_DEPTH:
            raise UnusableFile(self.path, f"{where} amounts to too many values")
        if isinstance(value, dict):
            return {
                key: self._resolve(item, f"{where}.{key}", trail)
                for key, item in value.items()
                if key not in _IGNORED
            }
        if isinstance(value, list):
            return [self._resolve(item, f"{where}[{i}]", trail) for i, item in enumerate(value)]
        if isinstance(value, str):
            return self._resolve_text(value, where, trail)
        return value

    def _resolve_text(self, text: str, where: str, trail: tuple[str, ...]) -> Any:
        if text.startswith("$"):
            raise UnusableFile(
                self.path,
                f"{where} is the Python expression {_short(text)}, which is never run; write "
                "the value itself there",
            )
        if text.startswith("%"):
            raise UnusableFile(
                self.path,
                f"{where} is the macro {_short(text)}, which copies from other files; write the "
                "value itself there",
            )
        if "@" not in text:
            return text
        if not _REFERENCE.fullmatch(text):
            raise UnusableFile(
                self.path, f"{where} is {_short(text)}, which is not a plain reference"
            )
        if text in trail:
            raise UnusableFile(self.path, f"{where}: the reference {text} leads back to itself")
        return self._resolve(self._find(text, where), where, (*trail, text))

    def _find(self, reference: str, where: str) -> Any:
        found: Any = self.tree
        for step in re.split(r"::|#", reference[1:]):
            if isinstance(found, dict) and step in found:
                found = found[step]
            elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
                found = found[int(step)]
            else:
                raise UnusableFile(self.path, f"{where}: nothing is called {reference}")
        return found


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _parse_json(text: str) -> Any:
    return json.loads(
        text,
        object_pairs_hook=_without_repeats,
        parse_constant=_refuse_constant,
        parse_int=_whole,
    )


def _parse_yaml(text: str) -> Any:
    """YAML's plain data; no anchors, which can make a small file enormous."""
    # By name: PyYAML comes with napari, but is none of our own dependencies.
    yaml: Any = import_module("yaml")

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise ValueError("it uses YAML anchors")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: ARG002
            return _without_repeats(self.construct_pairs(node, deep=True))

    loader = Loader(text)
    try:
        return loader.get_single_data()
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    finally:
        loader.dispose()


def _without_repeats(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    table = {}
    for key, value in pairs:
        if key in table:
            raise ValueError(f"it names {key!r} twice")
        table[key] = value
    return table


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _whole(digits: str) -> int:
    if len(digits) > 18:
        raise ValueError(f"the number {digits[:20]}... is too large")
    return int(digits)


def _check(value: Any, depth: int) -> None:
    """Refuse deep nesting, keys that are no text, numbers that are no numbers."""
    if depth == 0:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f"the key {key!r} is not text")
            _check(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth - 1)
    elif isinstance(value, int | float):
        if not math.isfinite(value) or abs(value) > MAX_NUMBER:
            raise ValueError(f"the number {value} is too large")
    elif value is not None and not isinstance(value, str):
        raise ValueError(f"a value of type {type(value).__name__}")
