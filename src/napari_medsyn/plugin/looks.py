"""How results look: title, colours and contrast of each kind, the same at every move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from napari_medsyn.plugin.layers import SYNTHETIC, Mark, contrast_limits, mark_of

if TYPE_CHECKING:
    from napari.utils.colormaps import Colormap
    from napari.viewer import Viewer

#: Name of our map of colours for signed values.
DIVERGING: Final = "medsyn diverging"

#: Colours of the diverging map, sRGB from 0 to 1: loss is blue, gain is orange, and both
#: end light, so that they read over dark and bright tissue and for the colour-blind.
_LOSS: Final = ((0.10, 0.38, 0.86), (0.62, 0.88, 1.00))
_GAIN: Final = ((0.86, 0.32, 0.06), (1.00, 0.90, 0.45))

#: Share of the limit at which a difference has become as opaque as it gets.
_OPAQUE: Final = 0.35


@dataclass(frozen=True, slots=True)
class Look:
    """How results of one role are shown.

    Parameters
    ----------
    title : of the layer; `{}` takes the modality.
    colours : name of a map of colours.
    limits : contrast limits, in units that `measure` says.
    measure : "absolute": as they are (normalised intensity, logarithms).  "window": shares
        of the patient's own contrast window, 0 its lower end and 1 its upper end.
        "width": shares of that window's width, for differences.
    blending : with the layers beneath.
    """

    title: str
    colours: str
    limits: tuple[float, float]
    measure: Literal["absolute", "window", "width"] = "absolute"
    blending: str = "translucent"

    def limits_in(self, window: tuple[float, float]) -> tuple[float, float]:
        """Contrast limits beside a scan that is shown with the limits `window`."""
        low, high = self.limits
        if self.measure == "absolute":
            return low, high
        start = window[0] if self.measure == "window" else 0.0
        width = window[1] - window[0]
        return start + low * width, start + high * width

    def colormap(self) -> str | Colormap:
        """What napari takes as the layer's colormap."""
        return diverging() if self.colours == DIVERGING else self.colours


#: Fixed, so that moving a slider shows a change of the voxels and not of the scale.
LOOKS: Final[Mapping[str, Look]] = {
    "imputed": Look(f"{SYNTHETIC} imputed {{}}", "gray", (0.0, 1.1)),
    "generated": Look(f"{SYNTHETIC} generated {{}}", "gray", (0.0, 1.0)),
    "counterfactual": Look(f"{SYNTHETIC} counterfactual {{}}", "gray", (0.0, 1.0), "window"),
    "uncertainty": Look(f"{SYNTHETIC} uncertainty {{}}", "magma", (0.0, 0.2), blending="additive"),
    "reconstruction": Look(f"{SYNTHETIC} reconstruction {{}}", "gray", (0.0, 1.1)),
    "residual": Look(
        f"{SYNTHETIC} |reconstruction − scan| {{}}", "inferno", (0.0, 0.3), blending="additive"
    ),
    "difference": Look(f"{SYNTHETIC} difference {{}}", DIVERGING, (-0.5, 0.5), "width"),
    # The logarithm of a volume ratio: the ends are half and double.
    "jacobian": Look(f"{SYNTHETIC} log volume change {{}}", DIVERGING, (-0.693, 0.693)),
}

#: Roles of the images themselves, which are shown at once; the others are laid over them.
IMAGES: Final = ("imputed", "generated", "counterfactual")


@cache
def diverging() -> Colormap:
    """A map of signed values: transparent at its exact middle, blue below and orange above."""
    from napari.utils.colormaps import Colormap

    return Colormap(colours_of_difference(), name=DIVERGING)


def colours_of_difference(steps: int = 257) -> Any:
    """(steps, 4) RGBA from 0 to 1; an odd number has a middle, which is fully transparent."""
    signed = np.linspace(-1, 1, steps)
    size = np.abs(signed)[:, None]
    loss, gain = (np.asarray(ends) for ends in (_LOSS, _GAIN))
    colour = np.where(
        signed[:, None] < 0,
        loss[0] + size * (loss[1] - loss[0]),
        gain[0] + size * (gain[1] - gain[0]),
    )
    return np.hstack([colour, np.minimum(size / _OPAQUE, 1.0)])


def own_window(viewer: Viewer, mark: Mark) -> tuple[float, float]:
    """Contrast limits of the patient's own layer; where it has gone, those it would get."""
    for layer in viewer.layers:
        own = mark_of(layer)
        if own is not None and own.role == "scan" and own.scan.id == mark.scan.id:
            low, high = layer.contrast_limits
            return float(low), float(high)
    if mark.role in ("counterfactual", "difference"):
        return contrast_limits(mark.scan)
    return 0.0, 1.0
