"""`medsyn app`: napari with the dock open."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_medsyn.errors import MedsynError

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_medsyn.plugin.explorer import Explorer


def run_app(files: Sequence[Path]) -> int:
    """Open napari with the dock and `files`; returns when the window is closed.

    Raises
    ------
    MedsynError : there is no display, or no Qt binding.
    """
    if not has_display():
        raise MedsynError(
            "There is no display to open napari on; `medsyn impute` works without one."
        )
    import napari

    _, explorer = open_window()
    explorer.open_paths(files)
    napari.run()
    return 0


def open_window(size: tuple[int, int] | None = None) -> tuple[Viewer, Explorer]:
    """A shown napari window, `size` (width, height) pixels, with the dock.

    Raises
    ------
    MedsynError : there is no Qt binding.
    """
    require_qt()
    import napari

    from napari_medsyn.plugin.contributions import open_explorer

    viewer = napari.Viewer(title="MedSyn")
    if size is not None:
        viewer.window.resize(*size)
    return viewer, open_explorer(viewer)


def has_display() -> bool:
    """Whether a window can be shown; on macOS and Windows always."""
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def require_qt() -> None:
    """Refuse in one sentence where no Qt binding is installed."""
    import qtpy

    try:
        import qtpy.QtWidgets
    except (qtpy.QtBindingsNotFoundError, qtpy.QtModuleNotInstalledError) as error:
        raise MedsynError(
            "napari needs a Qt binding and none is installed; "
            'install one with: pip install "napari-medsyn[qt]"'
        ) from error
