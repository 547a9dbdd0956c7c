"""Where what ships besides code lies: model packages, the sample patient, icons."""

from __future__ import annotations

from pathlib import Path

from napari_medsyn.errors import UnusableFile


def folder() -> Path:
    """The folder `resources`: beside this module in a wheel, at the top of a source tree.

    Raises
    ------
    UnusableFile : the installation lacks it.
    """
    package = Path(__file__).parent
    for candidate in (package / "resources", package.parents[1] / "resources"):
        if candidate.is_dir():
            return candidate
    raise UnusableFile(package, "its folder `resources` is missing; install napari-medsyn again")
