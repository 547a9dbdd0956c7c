"""The manifest is valid, found where npe2 looks, and each of its names leads to an object."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from npe2 import PluginManifest
from npe2.types import PathOrPaths

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "src/napari_medsyn/napari.yaml"


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_file(FILE)


def test_the_installed_package_offers_the_same_manifest(manifest: PluginManifest) -> None:
    installed = PluginManifest.from_distribution("napari-medsyn")
    assert installed.name == manifest.name == "napari-medsyn"
    assert installed.contributions == manifest.contributions


def test_the_manifest_at_the_top_is_a_link_to_the_one_in_the_package() -> None:
    link = ROOT / "napari.yaml"
    assert link.is_symlink()
    assert link.resolve() == FILE


def test_every_command_leads_to_something_callable(manifest: PluginManifest) -> None:
    from npe2._command_registry import CommandHandler

    commands = manifest.contributions.commands
    assert commands
    for command in commands:
        assert command.id.startswith("napari-medsyn.")
        handler = CommandHandler(id=command.id, python_name=command.python_name)
        assert callable(handler.resolve()), command.id


def referenced_commands(manifest: PluginManifest) -> Iterator[str]:
    """Ids of the commands that the other contributions name."""
    offered = manifest.contributions
    for kind in (offered.readers, offered.writers, offered.widgets, offered.sample_data):
        yield from (entry.command for entry in kind or [] if getattr(entry, "command", None))


def test_every_contribution_names_a_command_that_exists(manifest: PluginManifest) -> None:
    known = {command.id for command in manifest.contributions.commands}
    referenced = set(referenced_commands(manifest))
    assert referenced
    assert referenced <= known


@pytest.mark.parametrize(
    "path",
    ["a.nii", "a.nii.gz", "a.nrrd", "a.nhdr", "a.mha", "a.mhd", "a.dcm"],
)
def test_a_reader_takes(manifest: PluginManifest, path: PathOrPaths) -> None:
    from fnmatch import fnmatch

    patterns = [p for reader in manifest.contributions.readers for p in reader.filename_patterns]
    assert any(fnmatch(path, pattern) for pattern in patterns)


def test_a_reader_takes_folders(manifest: PluginManifest) -> None:
    assert any(reader.accepts_directories for reader in manifest.contributions.readers)


@pytest.mark.parametrize("extension", [".nii", ".nii.gz", ".nrrd"])
def test_a_writer_writes(manifest: PluginManifest, extension: str) -> None:
    offered = [e for writer in manifest.contributions.writers for e in writer.filename_extensions]
    assert extension in offered


def test_there_is_sample_data(manifest: PluginManifest) -> None:
    assert manifest.contributions.sample_data
