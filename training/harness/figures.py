"""Pictures and curves of a run as PNG; matplotlib is imported when one is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.harness.recipe import Picture


def mosaic(rows: Sequence[Sequence[Picture]], gap: int = 2) -> Picture:
    """Images (H, W) of one size side by side, row below row; white lines between them.

    A row may be shorter than others.
    """
    height, width = rows[0][0].shape[:2]
    columns = max(len(row) for row in rows)
    shape = (len(rows) * (height + gap) - gap, columns * (width + gap) - gap)
    canvas = np.ones(shape, np.float32)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            top, left = i * (height + gap), j * (width + gap)
            canvas[top : top + height, left : left + width] = image
    return canvas


def write_picture(path: Path, picture: Picture) -> None:
    """Write (H, W) or (H, W, 3) in [0, 1] as PNG."""
    from matplotlib.image import imsave

    imsave(path, np.clip(picture, 0, 1), cmap="gray", vmin=0, vmax=1, format="png")


def write_curves(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    """One panel for each figure of the log: what was trained on above what was validated."""
    from matplotlib.figure import Figure

    names = dict.fromkeys(k for line in lines for k in line if "/" in k)
    if not names:
        return
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.3 * rows), layout="constrained")
    panels = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for panel, name in zip(panels, names, strict=False):
        points = [(line["step"], line[name]) for line in lines if name in line]
        panel.plot(*zip(*points, strict=True), marker="." if len(points) < 40 else "")
        panel.set_title(name, fontsize=8)
        panel.tick_params(labelsize=7)
    for panel in panels[len(names) :]:
        panel.axis("off")
    figure.savefig(path, dpi=100)
