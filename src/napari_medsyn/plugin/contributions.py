"""What `napari.yaml` names: readers, writers, sample data and menu commands.

napari imports this module on the first use of any of them and calls them on the thread
of the interface, so that every heavy import is inside a function.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from napari_medsyn.errors import MedsynError

if TYPE_CHECKING:
    import napari.viewer
    from numpy.typing import NDArray

    from napari_medsyn.plugin.explorer import Explorer

LayerData = tuple[Any, ...]

#: What a reader answers when there is nothing to add; npe2 then tries no other reader.
_NO_LAYERS: list[LayerData] = [(None,)]

#: How many files of a folder are looked at before it is left to other readers.
_FILES_LOOKED_AT = 100


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """The reader, for a scan or a folder of scans; None where another plugin should try."""
    return read_layers if all(_may_read(Path(one)) for one in _listed(path)) else None


def read_layers(path: str | list[str]) -> list[LayerData]:
    """Read every scan at `path` as napari layers in S, P, L order.

    A file that cannot be used is told in a notification of one sentence.

    Returns
    -------
    One (voxels, keywords, layer type) per scan; the keywords' metadata hold the scan.
    """
    from napari_medsyn.plugin.loading import read_paths

    loaded = read_paths([Path(one) for one in _listed(path)])
    for sentence in loaded.refusals:
        _notify(sentence)
    return [data for _, data in loaded.scans] or _NO_LAYERS


def sample_patient() -> list[LayerData]:
    """The synthetic sample patient as napari layers."""
    from napari_medsyn.plugin.loading import read_sample

    return [data for _, data in read_sample().scans]


def write_nifti(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write one image layer as NIfTI (.nii, .nii.gz) in its source's orientation."""
    return _write(path, data, attributes)


def write_nrrd(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write one image layer as NRRD in its source's orientation."""
    return _write(path, data, attributes)


def impute_selected(viewer: napari.viewer.Viewer) -> None:
    """Open the dock, assign the selected layers and impute what is missing."""
    explorer = open_explorer(viewer)
    explorer.use_selected_layers(then_impute=True)


def show_side_by_side(viewer: napari.viewer.Viewer) -> None:
    """Open the dock and show every visible layer in a cell of its own."""
    open_explorer(viewer).comparison.show_side_by_side(True)


def open_explorer(viewer: napari.viewer.Viewer) -> Explorer:
    """The viewer's MedSyn dock, opened if it was not."""
    _, explorer = viewer.window.add_plugin_dock_widget("napari-medsyn", "MedSyn")
    return cast("Explorer", explorer)


def _write(path: str, data: NDArray[Any], attributes: dict[str, Any]) -> list[str]:
    from napari_medsyn.plugin.layers import scan_to_write
    from napari_medsyn.scans.writing import write_scan

    try:
        scan = scan_to_write(data, attributes)
        # napari's dialog has asked before it names a file that is there already.
        write_scan(scan, path, overwrite=True)
    except MedsynError as error:
        _notify(str(error))
        return []
    return [path]


def _listed(path: str | list[str]) -> list[str]:
    return [path] if isinstance(path, str) else path


def _may_read(path: Path) -> bool:
    """Whether it is worth a try; of a folder the first files tell."""
    from napari_medsyn.scans.reading import is_readable

    if not path.is_dir():
        return is_readable(path)
    files = (entry for entry in path.iterdir() if entry.is_file())
    return any(is_readable(file) for file in islice(files, _FILES_LOOKED_AT))


def _notify(sentence: str) -> None:
    from napari.utils.notifications import show_error

    show_error(sentence)
