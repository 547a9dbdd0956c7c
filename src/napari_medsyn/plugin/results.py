"""Results as layers: made once, then filled in place, the plane on screen first."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.exploration.requests import Finished, SlabReady
from napari_medsyn.plugin.bringing import bring_into_view
from napari_medsyn.plugin.layers import INTERPOLATION, KEY, Mark, placement
from napari_medsyn.plugin.looks import IMAGES, LOOKS, own_window
from napari_medsyn.plugin.view import displayed_plane
from napari_medsyn.scans.display import display_order
from napari_medsyn.scans.study import Scan

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer


@dataclass(slots=True)
class _Result:
    """One output: its voxels on the patient's grid, and the layer that shows a view of them."""

    voxels: NDArray[np.float32]
    mark: Mark
    layer: Image | None = None
    note: str = ""

    @property
    def title(self) -> str:
        """What its layer is called."""
        title = LOOKS[self.mark.role].title.format(self.mark.modality)
        return f"{title} · {self.note}" if self.note else title


class ResultLayers:
    """The results of one session in one viewer.

    Parameters
    ----------
    viewer : where the layers are.

    Notes
    -----
    Called on the interface's thread only.  A result keeps its layer for as long as the
    layer stays in the viewer and the patient's grid stays the same; one that the user
    has removed comes back with the next request, not before.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._results: dict[str, _Result] = {}
        self._waiting: deque[str] = deque()
        self._dismissed: set[str] = set()
        self._put_away: set[str] = set()
        self._incomplete = False
        self._reference: Scan | None = None

    @property
    def layers(self) -> dict[str, Image]:
        """Output name to layer, for those that are in the viewer."""
        return {
            name: result.layer for name, result in self._results.items() if result.layer is not None
        }

    @property
    def is_incomplete(self) -> bool:
        """Whether the layers hold planes of a request that has not been completed."""
        return self._incomplete

    @property
    def are_waiting(self) -> bool:
        """Whether layers are still to be made by `show_waiting`."""
        return bool(self._waiting)

    def begin(self) -> None:
        """The user has asked: layers that were removed, or pictures put away, may come back."""
        self._dismissed.clear()
        self._put_away |= {
            name
            for name, layer in self.layers.items()
            if self._results[name].mark.role == "generated" and not layer.visible
        }

    def write(self, slab: SlabReady, reference: Scan) -> None:
        """Put new planes into the layers; refreshes only what is on screen."""
        self._settle_on(reference)
        self._incomplete = True
        seen = self._is_seen(slab, reference)
        planes = [slice(None)] * 3
        planes[slab.axis] = slice(slab.start, slab.stop)
        for name, array in slab.arrays.items():
            result = self._result(name, reference)
            result.voxels[tuple(planes)] = array
            if result.mark.provenance is not None:
                # Old and new planes together were made by nothing that could be named.
                self._set_mark(result, reference, None)
            if seen and result.layer is not None and result.layer.visible:
                result.layer.refresh(thumbnail=False, highlight=False, extent=False)
        self._show(slab.arrays)

    def complete(self, finished: Finished, reference: Scan, note: str = "") -> None:
        """Put the whole results in, with their provenance; hide results not asked for.

        `note`: what the layers' names say of them besides, unless the user has renamed them.
        """
        self._settle_on(reference)
        self._incomplete = False
        for name, array in finished.arrays.items():
            result = self._result(name, reference)
            result.voxels[...] = array
            self._set_mark(result, reference, finished.provenance)
            self._set_note(result, note)
            if result.layer is not None:
                result.layer.refresh()
        self._show(finished.arrays)
        for name, layer in self.layers.items():
            if name not in finished.arrays and layer.visible:
                self._put_away.add(name)
                layer.visible = False

    def show_waiting(self) -> bool:
        """Make one of the layers that were put off; whether there are more."""
        if self._waiting:
            self._make_layer(self._waiting.popleft())
        return bool(self._waiting)

    def is_on(self, reference: Scan) -> bool:
        """Whether the layers lie on the grid of `reference`."""
        return self._reference is not None and self._reference.grid.matches(reference.grid)

    def leave(self) -> None:
        """Hide the layers and have nothing more to do with them: their patient is gone."""
        for layer in self.layers.values():
            layer.visible = False
        self._start_anew()

    def forget(self, layer: object) -> None:
        """`layer` has left the viewer."""
        for name, result in list(self._results.items()):
            if result.layer is layer:
                self._dismissed.add(name)
                del self._results[name]

    def _settle_on(self, reference: Scan) -> None:
        """Keep the layers where the patient's grid is the same, leave them alone where not."""
        if not self.is_on(reference):
            # What lies on another grid is of another patient, or of nobody.
            self.leave()
        self._reference = reference

    def _start_anew(self) -> None:
        self._results.clear()
        self._waiting.clear()
        self._dismissed.clear()
        self._put_away.clear()
        self._incomplete = False
        self._reference = None

    def _result(self, name: str, reference: Scan) -> _Result:
        result = self._results.get(name)
        if result is None:
            role, _, modality = name.partition("_")
            voxels = np.zeros(reference.voxels.shape, np.float32)
            mark = Mark(role, reference, modality)  # type: ignore[arg-type]
            result = self._results[name] = _Result(voxels, mark)
        return result

    def _show(self, names: Mapping[str, Any]) -> None:
        """Make the layers that are to be seen now; the hidden ones when there is time.

        A new layer takes napari a fifth of a second, which would add up.
        """
        for name in names:
            layer = self._results[name].layer
            if layer is not None and name in self._put_away:
                self._put_away.discard(name)
                layer.visible = True
                if self._results[name].mark.role == "generated":
                    bring_into_view(self._viewer, layer)
            if name in self._dismissed or layer is not None:
                continue
            if self._results[name].mark.role in IMAGES:
                self._make_layer(name)
            elif name not in self._waiting:
                self._waiting.append(name)

    def _make_layer(self, name: str) -> None:
        result = self._results.get(name)
        if result is None or result.layer is not None or name in self._dismissed:
            return
        look = LOOKS[result.mark.role]
        shown = result.voxels.view()
        shown.setflags(write=False)
        selection = set(self._viewer.layers.selection)
        result.layer = self._viewer.add_image(
            display_order(result.mark.scan.grid).to_display(shown),
            name=result.title,
            colormap=look.colormap(),
            contrast_limits=look.limits_in(own_window(self._viewer, result.mark)),
            blending=look.blending,
            visible=result.mark.role in IMAGES,
            metadata={KEY: result.mark},
            interpolation2d=INTERPOLATION,
            **placement(result.mark.scan.grid),
        )
        if result.mark.role == "generated":
            bring_into_view(self._viewer, result.layer)
        if selection:
            # The user's layer stays the one that keys and sliders act on.
            self._viewer.layers.selection = selection

    def _set_note(self, result: _Result, note: str) -> None:
        before = result.title
        result.note = note
        if result.layer is not None and result.layer.name == before != result.title:
            result.layer.name = result.title

    def _set_mark(
        self, result: _Result, reference: Scan, provenance: Mapping[str, Any] | None
    ) -> None:
        result.mark = replace(result.mark, scan=reference, provenance=provenance)
        if result.layer is not None:
            result.layer.metadata[KEY] = result.mark

    def _is_seen(self, slab: SlabReady, reference: Scan) -> bool:
        """Whether the plane on screen is one of the slab's; 3D waits for the whole."""
        if self._viewer.dims.ndisplay != 2:
            return False
        plane = displayed_plane(self._viewer, reference)
        if plane is None or plane.axis != slab.axis:
            return True
        return slab.start <= plane.index < slab.stop
