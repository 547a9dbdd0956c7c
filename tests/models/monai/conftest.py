"""Imported packages, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.models.monai._bundles import write_brain, write_gan, write_hands, write_slices


@pytest.fixture(scope="session")
def brain_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return imported(tmp_path_factory.mktemp("brain"), write_brain)


@pytest.fixture(scope="session")
def slices_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return imported(tmp_path_factory.mktemp("slices"), write_slices)


@pytest.fixture(scope="session")
def hands_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return imported(tmp_path_factory.mktemp("hands"), write_hands)


@pytest.fixture(scope="session")
def gan_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return imported(tmp_path_factory.mktemp("gan"), write_gan)


def imported(folder: Path, write: object) -> Path:
    from napari_medsyn.models.monai.importing import import_bundle

    bundle = write(folder / "bundle")  # type: ignore[operator]
    import_bundle(bundle, folder / "package")
    return folder / "package"
