"""The dock's few icons, drawn from paths in the colour of the theme's text."""

from __future__ import annotations

from qtpy.QtCore import QByteArray, QRectF, Qt
from qtpy.QtGui import QIcon, QPainter, QPixmap
from qtpy.QtSvg import QSvgRenderer

#: Strokes on a canvas of 24 x 24, by name.
_STROKES = {
    "eye": "M2 12 C6 4.5 18 4.5 22 12 C18 19.5 6 19.5 2 12 Z M12 9 A3 3 0 1 1 11.99 9 Z",
    "eye_off": "M2 12 C6 4.5 18 4.5 22 12 C18 19.5 6 19.5 2 12 Z M4 21 L20 3",
    "remove": "M6 6 L18 18 M18 6 L6 18",
    "undo": "M8 4 L4 8 L8 12 M4 8 H14 A6 6 0 0 1 14 20 H9",
    "redo": "M16 4 L20 8 L16 12 M20 8 H10 A6 6 0 0 0 10 20 H15",
    "reset": "M5 12 A7.5 7.5 0 1 0 8 6 M8.5 1.8 L7.5 6.5 L12 7.6",
    "lock": "M6 11 H18 A1 1 0 0 1 19 12 V19 A1 1 0 0 1 18 20 H6 A1 1 0 0 1 5 19 V12 A1 1 0 0 1 "
    "6 11 Z M8 11 V8 A4 4 0 0 1 16 8 V11",
    "question": "M8 9 A4 4 0 1 1 13.5 12.7 Q12 13.4 12 15.5 M12 20 h.01",
    "dice": "M5 4 H19 A1 1 0 0 1 20 5 V19 A1 1 0 0 1 19 20 H5 A1 1 0 0 1 4 19 V5 A1 1 0 0 1 5 4 Z "
    "M8.5 8.5 h.01 M15.5 8.5 h.01 M12 12 h.01 M8.5 15.5 h.01 M15.5 15.5 h.01",
}
_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="{path}" fill="none" '
    'stroke="{colour}" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/></svg>'
)
_PIXELS = 48  # twice what is shown, for screens with a doubled density


def icon(name: str, colour: str) -> QIcon:
    """The icon called `name` ("eye", "remove", …) in `colour` (any CSS colour); faint if off."""
    drawn = QIcon(_pixmap(name, colour, 1.0))
    drawn.addPixmap(_pixmap(name, colour, 0.3), QIcon.Mode.Disabled)
    return drawn


def _pixmap(name: str, colour: str, opacity: float) -> QPixmap:
    svg = _SVG.format(path=_STROKES[name], colour=colour)
    pixmap = QPixmap(_PIXELS, _PIXELS)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setOpacity(opacity)
    QSvgRenderer(QByteArray(svg.encode())).render(painter, QRectF(0, 0, _PIXELS, _PIXELS))
    painter.end()
    return pixmap
