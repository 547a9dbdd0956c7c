"""Bundle files as plain data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from napari_medsyn.errors import UnusableFile
from napari_medsyn.registry.importers import monai_bundle_text
from napari_medsyn.registry.importers.monai_bundle_text import (
    MAX_BYTES,
    MAX_DEPTH,
    Resolver,
    read_text_file,
    read_tree,
)


def written(folder: Path, text: str, name: str = "inference.json") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def resolved(tree: dict[str, Any], key: str) -> Any:
    return Resolver(tree, Path("inference.json")).resolve(tree[key], key)


def test_json_and_yaml_give_the_same(tmp_path: Path) -> None:
    as_json = written(tmp_path, '{"a": [1, 2.5, true, null], "b": {"_target_": "X", "c": "@a"}}')
    as_yaml = written(tmp_path, "a: [1, 2.5, true, null]\nb:\n  _target_: X\n  c: '@a'\n", "i.yaml")
    expected = {"a": [1, 2.5, True, None], "b": {"_target_": "X", "c": "@a"}}
    assert read_tree(as_json) == read_tree(as_yaml) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "a": 2}', "names 'a' twice"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": 1e999}', "too large"),
        ('{"a": 99999999999999999999}', "too large"),
        ('{"a": 1e13}', "too large"),
        ("[" * 100_000, "nested|recursion"),
        (f'{{"a": {"[" * MAX_DEPTH}{"]" * MAX_DEPTH}}}', "nested"),
        ("[1]", "does not hold a table"),
        ("{", "not usable as data"),
    ],
)
def test_json_that_is_no_plain_table_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(UnusableFile, match=reason):
        read_tree(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\na: 2\n", "names 'a' twice"),
        ("a: &x [1]\nb: [*x, *x]\n", "anchors"),
        ("a: !!python/object/apply:os.system ['true']\n", "could not determine a constructor"),
        ("a: 2020-01-01\n", "a value of type date"),
        ("1: a\n", "not text"),
        ("a: .inf\n", "too large"),
    ],
)
def test_yaml_that_is_no_plain_table_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(UnusableFile, match=reason):
        read_tree(written(tmp_path, text, "inference.yaml"))


def test_yaml_without_pyyaml_says_what_to_do(tmp_path: Path, monkeypatch: Any) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(monai_bundle_text, "import_module", missing)
    with pytest.raises(UnusableFile, match="pip install pyyaml"):
        read_tree(written(tmp_path, "a: 1\n", "inference.yaml"))


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = written(tmp_path, '{"a": "' + "x" * MAX_BYTES + '"}')
    with pytest.raises(UnusableFile, match="larger than"):
        read_tree(path)


def test_links_are_refused(tmp_path: Path) -> None:
    secret = written(tmp_path, '{"a": 1}', "secret.json")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "inference.json").symlink_to(secret)
    with pytest.raises(UnusableFile, match="is a link"):
        read_text_file(tmp_path / "configs" / "inference.json")
    (tmp_path / "linked").symlink_to(tmp_path / "configs")
    written(tmp_path / "configs", "{}", "plain.json")
    with pytest.raises(UnusableFile, match="is a link"):
        read_text_file(tmp_path / "linked" / "plain.json")


def test_a_folder_or_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableFile, match="not an ordinary file"):
        read_text_file(tmp_path)
    with pytest.raises(UnusableFile, match="cannot be read"):
        read_text_file(tmp_path / "nothing")


def test_references_are_followed_through_lists_and_tables() -> None:
    tree = {
        "side": 8,
        "shape": ["@side", "@more::sides::1", "@more#sides#0"],
        "more": {"sides": [2, 4]},
        "net": {"_target_": "Generator", "_requires_": "$boom", "start": "@shape"},
    }
    assert resolved(tree, "net") == {"_target_": "Generator", "start": [8, 4, 2]}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("$__import__('os').system('true')", "Python expression"),
        ({"deep": ["$1"]}, r"a\.deep\[0\] is the Python expression"),
        ("%other.json::a", "macro"),
        ("@a", "leads back to itself"),
        ("@b", "leads back to itself"),
        ("@nothing", "nothing is called @nothing"),
        ("@list::5", "nothing is called"),
        ("@side + 1", "not a plain reference"),
        ("x@side", "not a plain reference"),
    ],
)
def test_what_would_have_to_run_is_refused(value: Any, reason: str) -> None:
    tree = {"a": value, "b": ["@a"], "side": 8, "list": [1]}
    with pytest.raises(UnusableFile, match=reason):
        resolved(tree, "a")


def test_the_sentence_says_what_to_write_instead() -> None:
    with pytest.raises(UnusableFile, match=r"a is the Python expression '\$2 \* 4', .*write"):
        resolved({"a": "$2 * 4"}, "a")


def test_few_references_cannot_amount_to_very_much() -> None:
    tree = {"a0": [1] * 10} | {f"a{i}": [f"@a{i - 1}"] * 10 for i in range(1, 9)}
    with pytest.raises(UnusableFile, match="too many values"):
        resolved(tree, "a8")
