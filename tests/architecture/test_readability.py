"""Files of one idea, and a docstring on everything that others may use."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LONGEST_FILE = 400
#: Said by the class or by the framework, not once more by each method.
EXEMPT = {"forward"}

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def sources() -> list[Path]:
    """All Python files of the package."""
    return sorted((ROOT / "src").rglob("*.py"))


def public(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """Public functions, classes and methods at module and class level."""
    for node in body:
        if not isinstance(node, Definition) or node.name.startswith("_"):
            continue
        yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from public(node.body, f"{prefix}{node.name}.")


def needs_docstring(node: Definition) -> bool:
    """False for what repeats: overloads, setters, overrides of Qt's and torch's methods."""
    if isinstance(node, ast.ClassDef):
        return True
    marks = {ast.unparse(mark).rsplit(".", 1)[-1] for mark in node.decorator_list}
    is_qt_name = node.name != node.name.lower()
    return not (marks & {"overload", "override", "setter"} or node.name in EXEMPT or is_qt_name)


def test_no_file_is_too_long() -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in sources()}
    assert {name: n for name, n in lengths.items() if n > LONGEST_FILE} == {}


def test_everything_public_has_a_docstring() -> None:
    silent = []
    for path in sources():
        module = ast.parse(path.read_text(encoding="utf-8"))
        if not ast.get_docstring(module):
            silent.append(str(path.relative_to(ROOT)))
        silent += [
            f"{path.relative_to(ROOT)}: {name}"
            for name, node in public(module.body)
            if needs_docstring(node) and not ast.get_docstring(node)
        ]
    assert silent == []
