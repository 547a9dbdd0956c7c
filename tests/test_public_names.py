"""The names that the package itself offers, and the stub that types them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import napari_medsyn


def test_every_public_name_is_there():
    for name in napari_medsyn.__all__:
        assert getattr(napari_medsyn, name) is not None


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        napari_medsyn.nothing  # noqa: B018


def test_the_stub_has_the_same_names_from_the_same_modules():
    # A lazy import is seen by no type checker: the stub says what it gives.
    stub = ast.parse(Path(napari_medsyn.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    places = {alias.name: node.module for node in imports for alias in node.names}
    assert places == napari_medsyn._PLACES
