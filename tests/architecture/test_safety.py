"""Nothing in the sources runs what it reads: no unpickling, no eval, no blind unpacking."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal"}


def dotted(node: ast.expr) -> str:
    """`a.b.c` as text; what is neither name nor attribute as "?"."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return "?"


def is_true(call: ast.Call, keyword: str) -> bool:
    """Whether the call passes `keyword=True` literally."""
    values = [k.value for k in call.keywords if k.arg == keyword]
    return any(isinstance(value, ast.Constant) and value.value is True for value in values)


def unsafe_call(call: ast.Call) -> str | None:
    """What is wrong with a call, or None."""
    name = dotted(call.func)
    last = name.rsplit(".", 1)[-1]
    if name in {"eval", "exec"}:
        return f"{name}() runs text"
    if name == "torch.load" and not is_true(call, "weights_only"):
        return "torch.load without weights_only=True unpickles"
    if is_true(call, "allow_pickle"):
        return f"{name}(allow_pickle=True) unpickles"
    if last == "extractall":
        return "extractall writes wherever the archive says"
    if name == "os.system" or is_true(call, "shell"):
        return f"{name} goes through a shell"
    if name in {"yaml.load", "yaml.unsafe_load", "joblib.load"}:
        return f"{name} builds any object"
    return None


def unsafe(source: str) -> Iterator[tuple[int, str]]:
    """Line and reason of everything unsafe in `source`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and (reason := unsafe_call(node)):
            yield node.lineno, reason
        if isinstance(node, ast.Import):
            for name in {alias.name.split(".")[0] for alias in node.names} & UNPICKLERS:
                yield node.lineno, f"imports {name}"
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNPICKLERS:
            yield node.lineno, f"imports from {node.module}"


def test_no_source_is_unsafe() -> None:
    files = [p for top in ("src", "training", "benchmarks") for p in (ROOT / top).rglob("*.py")]
    assert files
    found = [
        f"{file.relative_to(ROOT)}:{line}: {reason}"
        for file in files
        for line, reason in unsafe(file.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load('a.pt')",
        "torch.load('a.pt', weights_only=False)",
        "import pickle",
        "from pickle import loads",
        "eval('1')",
        "exec(code)",
        "numpy.load('a.npz', allow_pickle=True)",
        "tarfile.open('a').extractall()",
        "subprocess.run('ls', shell=True)",
        "yaml.load(text)",
    ],
)
def test_the_check_sees(source: str) -> None:
    assert list(unsafe(source))


@pytest.mark.parametrize(
    "source",
    ["model.eval()", "torch.load('a.pt', weights_only=True)", "numpy.load('a.npz')"],
)
def test_the_check_lets_pass(source: str) -> None:
    assert not list(unsafe(source))
