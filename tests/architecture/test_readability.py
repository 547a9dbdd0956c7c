"""Files of one idea, and a docstring on everything that others may use."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LONGEST_FILE = 400
#: What a module of a network does is said by its class.
EXEMPT = {"forward"}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef


def sources() -> list[Path]:
    """All Python files of the package."""
    return sorted((ROOT / "src").rglob("*.py"))


def parsed() -> dict[str, ast.Module]:
    """Every file's syntax tree by its path in the repository."""
    return {str(p.relative_to(ROOT)): ast.parse(p.read_text(encoding="utf-8")) for p in sources()}


def classes(modules: dict[str, ast.Module]) -> dict[str, ast.ClassDef]:
    """All classes of the package by name."""
    nodes = (node for module in modules.values() for node in ast.walk(module))
    return {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}


def says(owner: str, method: str, known: dict[str, ast.ClassDef]) -> bool:
    """Whether class `owner`, or one that it derives from, documents `method`."""
    node = known.get(owner)
    if node is None:
        return False
    own = (f for f in node.body if isinstance(f, Function) and f.name == method)
    if any(ast.get_docstring(f) for f in own):
        return True
    bases = (ast.unparse(base).rsplit(".", 1)[-1] for base in node.bases)
    return any(says(base, method, known) for base in bases)


def is_of_a_framework(node: Function) -> bool:
    """Overrides of Qt's and torch's methods, overloads, setters: said elsewhere."""
    marks = {ast.unparse(mark).rsplit(".", 1)[-1] for mark in node.decorator_list}
    is_qt_name = node.name != node.name.lower()
    return bool(marks & {"overload", "setter"}) or node.name in EXEMPT or is_qt_name


def public(body: list[ast.stmt]) -> Iterator[Definition]:
    """Public functions and classes directly in `body`."""
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node


def silent(module: ast.Module, known: dict[str, ast.ClassDef]) -> Iterator[str]:
    """Names of what is public in a module and has no docstring, its own or inherited."""
    # Two modules may have a class of the same name; its own comes first.
    known = {**known, **classes({"": module})}
    if not ast.get_docstring(module):
        yield "the module"
    for node in public(module.body):
        if not ast.get_docstring(node):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (
                f"{node.name}.{method.name}"
                for method in public(node.body)
                if isinstance(method, Function)
                and not is_of_a_framework(method)
                and not says(node.name, method.name, known)
            )


def test_no_file_is_too_long() -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in sources()}
    assert {name: n for name, n in lengths.items() if n > LONGEST_FILE} == {}


def test_everything_public_has_a_docstring() -> None:
    modules = parsed()
    known = classes(modules)
    found = [
        f"{path}: {name}" for path, module in modules.items() for name in silent(module, known)
    ]
    assert found == []


def test_the_check_sees_what_is_silent_and_knows_overrides() -> None:
    source = '''
"""Module."""
class Base:
    """Base."""
    def check(self): "Said here."
class Derived(Base):
    """Derived."""
    def check(self): ...
    def other(self): ...
def bare(): ...
def _private(): ...
'''
    module = ast.parse(source)
    assert list(silent(module, classes({"": module}))) == ["Derived.other", "bare"]
