"""What goes together: which values are usual beside those that are set, and which are not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_medsyn.plugin.widgets import COLOURS, plain_label, tooltip

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

    def show_hints(self, hints: Sequence[Hint]) -> None:
        """Show the first hints; what no source has shown comes before what is merely usual."""
        ordered = sorted(hints, key=lambda hint: hint.kind != "unsupported")
        for number, line in enumerate(self.lines):
            line.show_hint(ordered[number] if number < len(ordered) else None)


class _HintLine(QWidget):
    """One hint: a sentence of two lines at most, and the button that takes the value."""

    taken = Signal(str, object)

    def __init__(self) -> None:
        super().__init__()
        self._control = ""
        self._value: Any = None
        self.text = plain_label()
        self.text.setWordWrap(True)
        self.text.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        self.move_there = QPushButton("Move")
        self.move_there.setStyleSheet("font-size: 9pt; padding: 1px 6px;")
        self.move_there.clicked.connect(lambda: self.taken.emit(self._control, self._value))
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(6)
        line.addWidget(self.text, stretch=1)
        line.addWidget(self.move_there)
        self.setFixedHeight(2 * self.fontMetrics().lineSpacing() + 2)
        self.show_hint(None)

    def show_hint(self, hint: Hint | None) -> None:
        """Show `hint`, or nothing in the same room."""
        self.text.setText(hint.sentence if hint is not None else "")
        self.setToolTip(tooltip(hint.sentence if hint is not None else ""))
        self.move_there.setVisible(hint is not None and hint.value is not None)
        if hint is None:
            return
        self._control, self._value = hint.control, hint.value
        is_amber = hint.kind == "unsupported"
        colour = f"color: {COLOURS['note']};" if is_amber else ""
        self.text.setStyleSheet(f"font-size: 9pt; {colour}")
        self.move_there.setToolTip(
            "Move to the nearest value that was seen" if is_amber else "Move to the usual value"
        )
