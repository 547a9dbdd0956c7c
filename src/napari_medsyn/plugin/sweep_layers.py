"""A sweep as layers with one more axis, which is named after the covariate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_medsyn.plugin.bringing import bring_into_view
from napari_medsyn.plugin.layers import INTERPOLATION, KEY, Mark, placement
from napari_medsyn.plugin.looks import IMAGES, LOOKS, own_window
from napari_medsyn.plugin.sweep_panel import axis_values
from napari_medsyn.scans.display import display_order
from napari_medsyn.scans.geometry import Grid

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_medsyn.exploration.sweeping import Swept


class SweepLayers:
    """The layers of the last sweep in one viewer.

    One sweep at a time: the axes of two covariates would be one and the same slider.

    Parameters
    ----------
    viewer : where the layers are.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self.swept: Swept | None = None
        self.layers: dict[str, Image] = {}
        self._is_aside = False

    @property
    def is_seen(self) -> bool:
        """Whether the sweep's images are in sight."""
        return any(layer.visible for name, layer in self.layers.items() if _role_of(name) in IMAGES)

    def show(self, swept: Swept, step: int = 0) -> None:
        """Put `swept` in place of the last sweep, and stand at its `step`."""
        self.remove()
        self.swept, self._is_aside = swept, False
        selection = set(self._viewer.layers.selection)
        for name, array in swept.arrays.items():
            self.layers[name] = self._make_layer(swept, name, array)
        if selection:
            self._viewer.layers.selection = selection & set(self._viewer.layers)
        first, width = axis_values(swept.values)
        self._viewer.dims.set_point(0, first + step * width)
        made_up = [x for name, x in self.layers.items() if _role_of(name) == "generated"]
        if made_up:
            bring_into_view(self._viewer, made_up[0])

    def put_aside(self) -> None:
        """Hide the sweep: something else is to be looked at."""
        self._is_aside = True
        for layer in self.layers.values():
            layer.visible = False

    def bring_back(self) -> None:
        """Show the images of a sweep that was put aside."""
        if self._is_aside:
            self._is_aside = False
            for name, layer in self.layers.items():
                layer.visible = _role_of(name) in IMAGES

    def remove(self) -> None:
        """Take the sweep out of the viewer, and give its memory back."""
        for layer in list(self.layers.values()):
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self.layers.clear()
        self.swept = None

    def forget(self, layer: object) -> None:
        """`layer` has left the viewer."""
        for name, shown in list(self.layers.items()):
            if shown is layer:
                del self.layers[name]
        if not self.layers:
            self.swept = None

    def step_on_screen(self) -> int | None:
        """Number of the step that is shown; None while the sweep is not in sight."""
        if self.swept is None or not self.is_seen or self._viewer.dims.ndim < 4:
            return None
        first, width = axis_values(self.swept.values)
        step = round((float(self._viewer.dims.point[0]) - first) / width)
        return min(max(step, 0), len(self.swept.values) - 1)

    def _make_layer(self, swept: Swept, name: str, array: NDArray[Any]) -> Image:
        role, _, modality = name.partition("_")
        look = LOOKS[role]
        mark = Mark(role, swept.reference, modality, swept.provenance)  # type: ignore[arg-type]
        first, width = axis_values(swept.values)
        place = placement(swept.reference.grid)
        title = look.title.format(modality)
        return self._viewer.add_image(
            shown_as(swept.reference.grid, array),
            name=f"{title} · sweep of {swept.label.lower()}",
            colormap=look.colormap(),
            contrast_limits=look.limits_in(own_window(self._viewer, mark)),
            blending=look.blending,
            visible=role in IMAGES,
            metadata={KEY: mark},
            interpolation2d=INTERPOLATION,
            scale=(width, *place["scale"]),
            translate=(first, *place["translate"]),
            axis_labels=(swept.axis_label, *place["axis_labels"]),
            # The label names the unit; to napari only lengths have one.
            units=("dimensionless", *place["units"]),
        )


def shown_as(grid: Grid, array: NDArray[Any]) -> NDArray[Any]:
    """Read-only view of an (n, X, Y, Z) array of `grid`, with axes step, S, P, L."""
    order = display_order(grid)
    turned = array.transpose(0, *(axis + 1 for axis in order.axes))
    s, p, l = (slice(None, None, -1 if flip else 1) for flip in order.flips)  # noqa: E741
    view = turned[:, s, p, l].view()
    view.setflags(write=False)
    return view


def _role_of(output: str) -> str:
    return output.partition("_")[0]
