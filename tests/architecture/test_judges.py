"""What trains a generator never meets a judge, or the judge's reading of it proves nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Judges as code and as packages of weights.
JUDGES = (
    "training.judges",
    "napari_medsyn.models.judges",
    "napari_medsyn.evaluation.judging",
    "napari_medsyn.evaluation.crops",
    "napari_medsyn.evaluation.crop_lesions",
    "napari_medsyn.evaluation.features",
)
JUDGE_PACKAGES = "judge-"
LOADERS = {"load_judge"}
#: Folders of recipes that judge nothing: all but the judges' own.
RECIPES = sorted(
    path
    for path in (ROOT / "training").iterdir()
    if path.name not in {"judges", "__pycache__"} and (path.is_dir() or path.suffix == ".py")
)


def imported(node: ast.AST) -> Iterator[str]:
    """Dotted names that an import statement may load."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def meets_a_judge(source: str) -> Iterator[tuple[int, str]]:
    """Line and reason wherever `source` could get hold of a judge."""
    for node in ast.walk(ast.parse(source)):
        for name in imported(node):
            if any(name == judge or name.startswith(f"{judge}.") for judge in JUDGES):
                yield node.lineno, f"imports {name}"
            if name.rsplit(".", 1)[-1] in LOADERS:
                yield node.lineno, f"imports {name}"
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value.startswith((*JUDGES, JUDGE_PACKAGES))
        ):
            yield node.lineno, f"names {node.value}"
        if isinstance(node, ast.Attribute) and node.attr in LOADERS:
            yield node.lineno, f"calls {node.attr}"


def files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_no_recipe_of_a_generator_meets_a_judge(recipe: Path) -> None:
    found = {
        f"{file.relative_to(ROOT)}:{line}": reason
        for file in files(recipe)
        for line, reason in meets_a_judge(file.read_text(encoding="utf-8"))
    }
    assert found == {}


def test_the_recipes_of_today_are_looked_at() -> None:
    assert {"mmhvae"} <= {path.name for path in RECIPES}


@pytest.mark.parametrize(
    "line",
    [
        "import training.judges.tissue",
        "from training import judges",
        "from training.judges import tissue",
        "def later():\n    from napari_medsyn.models.judges.networks import TissueNet",
        "from napari_medsyn.models.families import load_judge",
        "families.load_judge(package, card, 'cpu')",
        "importlib.import_module('napari_medsyn.models.judges.tissue')",
        "catalogue.get('judge-tissue-t1')",
        "from napari_medsyn.evaluation import judging",
    ],
)
def test_a_planted_use_is_seen(line: str) -> None:
    assert list(meets_a_judge(line))


def test_what_is_merely_named_alike_passes() -> None:
    assert list(meets_a_judge("from training.judgesx import y\nnote = 'no judge here'")) == []
