"""A part of a panel that is folded away until it is wanted."""

from __future__ import annotations

from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QWidget
from superqt import QCollapsible


class Fold(QCollapsible):
    """A title to click on, and what unfolds beneath it."""

    def __init__(self, title: str) -> None:
        # Arrows as text take the theme's colour, which the class's own icons do not.
        super().__init__(f"▸ {title}", expandedIcon=QIcon(), collapsedIcon=QIcon())
        self.toggled.connect(lambda on: self.setText(f"{'▾' if on else '▸'} {title}"))
        self.setDuration(0)
        self.toggleButton().setStyleSheet(
            "text-align: left; border: none; background: transparent; font-weight: bold;"
            "padding: 4px 0px;"
        )
        for layout in (self.layout(), self.content().layout()):
            if layout is not None:
                layout.setContentsMargins(0, 0, 0, 0)

    def show_content(self, content: QWidget) -> None:
        """Have `content` unfold; to be called once."""
        self.addWidget(content)
