"""Small widgets that the panels share."""

from __future__ import annotations

import html
from collections.abc import Iterable

from qtpy.QtCore import QEvent, QRect, QSignalBlocker, QSize, Qt
from qtpy.QtGui import QBrush, QColor, QPainter, QPaintEvent, QResizeEvent
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from napari_medsyn.plugin.icons import icon

#: What makes something amber that has to be read on dark and on light themes.
AMBER_EDGE = "border-left: 3px solid #d9a13b; padding-left: 4px;"
AMBER_FIELD = "background-color: #d9a13b; color: #1c1c1c;"

#: Colours of the three degrees of a message, readable on dark and light themes.
COLOURS = {"good": "#3fa66b", "note": "#d9a13b", "bad": "#d9584f"}


def plain_label(text: str = "") -> QLabel:
    """A label that shows `text` as it is: what a card or a file says is never HTML."""
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


def tooltip(text: str) -> str:
    """A tooltip that shows `text` as it is, in lines: nothing in it is taken for HTML."""
    return f"<qt>{html.escape(text)}</qt>" if text else ""


_ACCENT = QColor(72, 110, 200, 200)


class IconButton(QToolButton):
    """A flat button with one of our icons, recoloured when the theme changes.

    Parameters
    ----------
    name : the icon's name.
    tip : what the button does; also its name for screen readers.
    name_off : for a button that is pressed and released: the icon while released.
    """

    def __init__(self, name: str, tip: str, name_off: str = "") -> None:
        super().__init__()
        self._names = (name, name_off or name)
        self.setCheckable(bool(name_off))
        self.setToolTip(tip)
        self.setAccessibleName(tip)
        self.setAutoRaise(True)
        self.setIconSize(QSize(16, 16))
        self.setFixedSize(26, 26)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.toggled.connect(self._show_icon)
        self._show_icon()

    def show_checked(self, checked: bool) -> None:
        """Show it pressed or released without telling anyone."""
        if checked != self.isChecked():
            with QSignalBlocker(self):
                self.setChecked(checked)
            self._show_icon()

    def _show_icon(self, *_: object) -> None:
        on, off = self._names
        lit = self.isChecked() or not self.isCheckable()
        self.setIcon(icon(on if lit else off, self.palette().buttonText().color().name()))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.StyleChange, QEvent.Type.PaletteChange):
            self._show_icon()


class IconLabel(QLabel):
    """One of our icons to look at, recoloured when the theme changes; the tooltip explains it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._show_icon()

    def _show_icon(self) -> None:
        colour = self.palette().windowText().color().name()
        self.setPixmap(icon(self._name, colour).pixmap(15, 15))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.StyleChange, QEvent.Type.PaletteChange):
            self._show_icon()


class Banner(QLabel):
    """What everything that the dock makes is, and is not for."""

    def __init__(self) -> None:
        super().__init__("SYNTHETIC OUTPUT – research use, not for diagnosis")
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setWordWrap(True)
        self.setStyleSheet(
            "background-color: #6b4e12; color: #ffe9bd; border-radius: 3px; padding: 4px;"
        )


def scrolling_column(parts: Iterable[QWidget]) -> QScrollArea:
    """`parts` below each other, as wide as the dock; taller than it, they scroll."""
    inner = QWidget()
    column = QVBoxLayout(inner)
    column.setContentsMargins(8, 6, 8, 6)
    column.setSpacing(6)
    for part in parts:
        column.addWidget(part)
    column.addStretch(1)
    scroll = QScrollArea()
    scroll.setWidget(inner)
    scroll.setWidgetResizable(True)
    scroll.setFrameShape(QFrame.Shape.NoFrame)
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return scroll


class Section(QWidget):
    """A titled block of the dock.

    Attributes
    ----------
    body : the layout that takes the block's content.
    """

    def __init__(self, title: str) -> None:
        super().__init__()
        heading = QLabel(title)
        heading.setStyleSheet("font-weight: bold;")
        line = QFrame()
        line.setFixedHeight(1)
        line.setStyleSheet("background-color: rgba(128, 128, 128, 90); border: none;")
        head = QHBoxLayout()
        head.addWidget(heading)
        head.addWidget(line, stretch=1)
        self.body = QVBoxLayout()
        self.body.setSpacing(6)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 6, 0, 0)
        outer.setSpacing(6)
        outer.addLayout(head)
        outer.addLayout(self.body)


class ElidedLabel(QElidingLabel):
    """A one-line label that gives way in a narrow dock; its tooltip holds the whole text."""

    def __init__(self, text: str = "", small: bool = False) -> None:
        super().__init__(text)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        if small:
            self.setStyleSheet("color: gray; font-size: 9pt;")

    def show_text(self, text: str) -> None:
        """Show `text`, shortened where there is no room for it."""
        self.setText(text)
        self.setToolTip(text)


class WrappedLabel(QLabel):
    """A label of as many lines as its text takes: a column that scrolls cannot squeeze it."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)

    def show_text(self, text: str) -> None:
        """Show `text` as it is."""
        self.setText(text)
        self._make_room()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._make_room()

    def _make_room(self) -> None:
        # What it keeps already would be part of the answer.
        self.setMinimumHeight(0)
        self.setMinimumHeight(max(self.heightForWidth(self.width()), 0))


class FitLine(QWidget):
    """A coloured dot and a sentence that may take several lines."""

    def __init__(self) -> None:
        super().__init__()
        self._dot = QLabel("\N{BLACK CIRCLE}")
        self._text = WrappedLabel()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self._dot, alignment=Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self._text, stretch=1)

    @property
    def text(self) -> str:
        """The sentence shown."""
        return self._text.text()

    def show_text(self, text: str, degree: str) -> None:
        """Show `text` with the colour of `degree`: "good", "note" or "bad"."""
        self._dot.setStyleSheet(f"color: {COLOURS[degree]};")
        self._text.show_text(text)


class MessageArea(QFrame):
    """Sentences the user should read, each with a disclosure for what a report needs."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("medsyn_message")
        self._sentence = plain_label()
        self._sentence.setWordWrap(True)
        self._sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._dismiss = IconButton("remove", "Dismiss this message")
        self._dismiss.clicked.connect(self.clear)
        self._more = QToolButton()
        self._more.setText("Details")
        self._more.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._more.setArrowType(Qt.ArrowType.RightArrow)
        self._more.setCheckable(True)
        self._more.setAutoRaise(True)
        self._detail = QPlainTextEdit()
        self._detail.setReadOnly(True)
        self._detail.setFixedHeight(120)
        self._detail.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self._more.toggled.connect(self._on_more)
        head = QHBoxLayout()
        head.addWidget(self._sentence, stretch=1)
        head.addWidget(self._dismiss, alignment=Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 4, 4)
        layout.setSpacing(2)
        layout.addLayout(head)
        layout.addWidget(self._more, alignment=Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self._detail)
        self.clear()

    def _on_more(self, shown: bool) -> None:
        self._detail.setVisible(shown)
        self._more.setArrowType(Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow)

    @property
    def text(self) -> str:
        """The sentence shown, "" for none."""
        return self._sentence.text()

    @property
    def detail(self) -> str:
        """What the disclosure holds."""
        return self._detail.toPlainText()

    def show_message(self, sentence: str, degree: str = "note", detail: str = "") -> None:
        """Show `sentence` ("good", "note" or "bad"); `detail` stays folded until asked for."""
        self._sentence.setText(sentence)
        self._detail.setPlainText(detail)
        self._more.setChecked(False)
        self._more.setVisible(bool(detail))
        self._detail.setVisible(False)
        self.setStyleSheet(
            f"#medsyn_message {{ border: 1px solid {COLOURS[degree]}; border-radius: 3px; }}"
        )
        self.setVisible(True)

    def clear(self) -> None:
        """Show nothing and take no room."""
        self._sentence.clear()
        self._detail.clear()
        self.setVisible(False)


class ProgressLine(QWidget):
    """How far something is, with words in the bar.

    Not a `QProgressBar`: that repaints the whole window, canvas included, within
    `setValue`, which makes every step of a computation wait for the screen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(20)
        self.share: float | None = 0.0
        self.text = ""

    def show_progress(self, share: float | None, text: str) -> None:
        """Show `share` (0 to 1, None where the length is not known) and `text`."""
        self.share, self.text = share, text
        self.setToolTip(text)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the bar in the theme's colours."""
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(128, 128, 128, 50))
        painter.drawRoundedRect(self.rect(), 3, 3)
        done = QRect(self.rect())
        if self.share is None:
            painter.setBrush(QBrush(_ACCENT, Qt.BrushStyle.BDiagPattern))
        else:
            painter.setBrush(_ACCENT)
            done.setWidth(round(self.share * self.width()))
        painter.drawRoundedRect(done, 3, 3)
        painter.setPen(self.palette().windowText().color())
        text = self.fontMetrics().elidedText(
            self.text, Qt.TextElideMode.ElideRight, self.width() - 12
        )
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, text)
