"""A slider with a mark at one value: where the patient stands."""

from __future__ import annotations

from typing import Final

from qtpy.QtCore import QEvent, QRect, Qt, Signal
from qtpy.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from qtpy.QtWidgets import QSlider, QStyle, QStyleOptionSlider, QToolTip

from napari_medsyn.plugin.widgets import tooltip

#: How near to the mark, in pixels, a pointer means the mark.
_REACH: Final = 7

#: The mark: its width and how far it stands out above and below the groove, in pixels.
_WIDTH, _OVERHANG = 3, 5


class MarkedSlider(QSlider):
    """A horizontal slider that may have a mark on its groove.

    A double click on the mark asks for the marked value; the pointer over it tells what it
    stands for.
    """

    #: The user wants the marked value.
    mark_asked = Signal()

    def __init__(self) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self._mark: int | None = None
        self._mark_tip = ""

    @property
    def mark(self) -> int | None:
        """The step that is marked; None without a mark."""
        return self._mark

    def show_mark(self, step: int | None, tip: str = "") -> None:
        """Mark `step`, or nothing; `tip` is what the mark stands for."""
        self._mark, self._mark_tip = step, tip
        self.update()

    def mark_position(self) -> int | None:
        """Where the mark is, in pixels from the slider's left end; None without a mark."""
        if self._mark is None:
            return None
        groove, handle = self._parts()
        step = min(max(self._mark, self.minimum()), self.maximum())
        travel = groove.width() - handle.width()
        offset = QStyle.sliderPositionFromValue(self.minimum(), self.maximum(), step, travel)
        return groove.left() + offset + handle.width() // 2

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the slider, then the mark over it, so that the handle does not cover it."""
        super().paintEvent(event)
        position = self.mark_position()
        if position is None:
            return
        middle = self.rect().center().y()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        colour = QColor(self.palette().windowText().color())
        colour.setAlpha(230 if self.isEnabled() else 90)
        painter.setBrush(colour)
        line = QRect(position - _WIDTH // 2, middle - _OVERHANG, _WIDTH, 2 * _OVERHANG + 1)
        painter.drawRoundedRect(line, 1, 1)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """On the mark: ask for the marked value."""
        if self._is_on_mark(round(event.position().x())):
            self.mark_asked.emit()
            event.accept()
        else:
            super().mouseDoubleClickEvent(event)

    def event(self, event: QEvent) -> bool:
        """Tell over the mark what it stands for, elsewhere what the slider does."""
        if isinstance(event, QHelpEvent) and self._is_on_mark(event.pos().x()):
            QToolTip.showText(event.globalPos(), tooltip(self._mark_tip), self)
            return True
        return super().event(event)

    def _is_on_mark(self, x: int) -> bool:
        position = self.mark_position()
        return position is not None and abs(x - position) <= _REACH

    def _parts(self) -> tuple[QRect, QRect]:
        """Where the style draws the groove and the handle."""
        option = QStyleOptionSlider()
        self.initStyleOption(option)
        style, part = self.style(), QStyle.SubControl
        control = QStyle.ComplexControl.CC_Slider
        if style is None:
            return self.rect(), QRect()
        groove = style.subControlRect(control, option, part.SC_SliderGroove, self)
        handle = style.subControlRect(control, option, part.SC_SliderHandle, self)
        return groove, handle
