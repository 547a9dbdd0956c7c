"""Where what ships besides code lies: model packages, the sample patient, icons."""

from __future__ import annotations

from pathlib import Path


def folder() -> Path:
    """The folder `resources`: beside this module in a wheel, at the top of a source tree.

    Raises
    ------
    FileNotFoundError : the installation lacks it; install the package again.
    """
    package = Path(__file__).parent
    for candidate in (package / "resources", package.parents[1] / "resources"):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(
        f"{package}: this installation lacks the folder `resources`; install napari-medsyn again"
    )
