"""What goes together: which values are usual beside those that are set, and which are not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QRect, Qt, Signal
from qtpy.QtGui import QFontMetrics, QResizeEvent
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_medsyn.plugin.widgets import AMBER_EDGE, tooltip
from napari_medsyn.plugin.wording import control_of, value_text
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.controls import Control

if TYPE_CHECKING:
    from napari_medsyn.exploration.plausible import Hint

#: Most hints at a time: more would be read by nobody.
LINES: Final = 2


class HintStrip(QWidget):
    """Room for two hints, kept also while there is none, so that nothing jumps.

    Each hint has a button that takes what it proposes.
    """

    #: Name of a control, and the value that a hint proposes for it.
    taken = Signal(str, object)

    def __init__(self) -> None:
        super().__init__()
        self.lines = [_HintLine() for _ in range(LINES)]
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        for line in self.lines:
            line.taken.connect(self.taken)
            column.addWidget(line)

    def show_hints(self, hints: Sequence[Hint], card: ModelCard | None) -> None:
        """Show the first hint of each kind, then others: what was not seen comes first.

        Without a `card` the strip stays blank.
        """
        beyond = [hint for hint in hints if hint.kind == "unsupported"]
        usual = [hint for hint in hints if hint.kind != "unsupported"]
        ordered = [*beyond[:1], *usual[:1], *beyond[1:], *usual[1:]]
        for number, line in enumerate(self.lines):
            hint = ordered[number] if number < len(ordered) else None
            line.show_hint(hint, control_of(card, hint.control) if hint is not None else None)
        if not ordered and card is not None:
            self.lines[0].show_nothing("The values set go together.")


class _HintLine(QWidget):
    """One hint: a sentence of two lines at most, and the button that takes the value."""

    taken = Signal(str, object)

    def __init__(self) -> None:
        super().__init__()
        self._control = ""
        self._value: Any = None
        self.text = _TwoLines()
        self.move_there = QPushButton()
        self.move_there.setStyleSheet("font-size: 9pt; padding: 1px 6px;")
        self.move_there.clicked.connect(lambda: self.taken.emit(self._control, self._value))
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(6)
        line.addWidget(self.text, stretch=1)
        line.addWidget(self.move_there)
        self.setFixedHeight(2 * self.fontMetrics().lineSpacing() + 2)
        self.show_hint(None, None)

    def show_nothing(self, text: str) -> None:
        """Show `text`, faintly: there is nothing to propose."""
        self.show_hint(None, None)
        self.text.setStyleSheet("font-size: 9pt; color: gray;")
        self.text.show_text(text)

    def show_hint(self, hint: Hint | None, control: Control | None) -> None:
        """Show `hint`, which is about `control`, or nothing in the same room."""
        sentence = hint.sentence if hint is not None else ""
        self.setToolTip(tooltip(sentence))
        offers = hint is not None and hint.value is not None and control is not None
        self.move_there.setVisible(offers)
        is_amber = hint is not None and hint.kind == "unsupported"
        self.text.setStyleSheet(f"font-size: 9pt; {AMBER_EDGE if is_amber else ''}")
        self.text.show_text(sentence)
        if hint is not None and control is not None:
            self._control, self._value = hint.control, hint.value
            value = value_text(control, hint.value)
            self.move_there.setText(f"→ {value}")
            self.move_there.setToolTip(tooltip(f"Move {control.label.lower()} to {value}"))


class _TwoLines(QLabel):
    """A label that shows as much of its text as two lines take."""

    def __init__(self) -> None:
        super().__init__()
        self._whole = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)

    def show_text(self, text: str) -> None:
        """Show `text`."""
        self._whole = text
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        self.setText(two_lines(self._whole, self.fontMetrics(), self.contentsRect().width()))


def two_lines(text: str, metrics: QFontMetrics, width: int) -> str:
    """`text`, or as many of its words as fit into two lines of `width` pixels, and "…"."""
    room = QRect(0, 0, max(width - 2, 1), 10_000)
    wraps = int(Qt.TextFlag.TextWordWrap)

    def fits(part: str) -> bool:
        return metrics.boundingRect(room, wraps, part).height() <= 2 * metrics.lineSpacing() + 1

    words = text.split()
    shown = len(words)
    while shown > 1 and not fits(" ".join(words[:shown]) + "…" * (shown < len(words))):
        shown -= 1
    return text if shown == len(words) else " ".join(words[:shown]) + "…"
