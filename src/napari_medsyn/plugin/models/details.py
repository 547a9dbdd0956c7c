"""The page of one model: its card, its preview, and whether it can be used."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from qtpy.QtCore import QSize, Qt, QUrl
from qtpy.QtGui import (
    QDesktopServices,
    QImage,
    QImageReader,
    QResizeEvent,
    QTextDocument,
    QTextOption,
)
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QTextBrowser, QVBoxLayout, QWidget

from napari_medsyn.errors import UnusableModel
from napari_medsyn.plugin.models.card_page import PREVIEW, broken_html, page_html
from napari_medsyn.plugin.models.dialogs import paragraph
from napari_medsyn.plugin.models.rows import STATE_NAMES, Badge, Row
from napari_medsyn.plugin.models.texts import SIGNS
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.catalogue import Entry

#: File of a package that shows what the model gives.
PREVIEW_FILE: Final = "preview.png"
_PREVIEW_BYTES: Final = 20 * 2**20
_PREVIEW_SIDE: Final = 4096
#: Pixels, at most: in a wide dock there should be room for words, too.
_PREVIEW_WIDTH: Final = 560


class CardBrowser(QTextBrowser):
    """A browser that loads nothing but one given image and opens links only when clicked."""

    def __init__(self) -> None:
        super().__init__()
        self.image = QImage()
        self.setOpenLinks(False)
        self.setAccessibleName("About the model")
        self.setFrameShape(QFrame.Shape.NoFrame)
        # A hash is one long word.
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        # Always there: one that comes when the text is long would take room from the preview.
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.anchorClicked.connect(self.open_link)

    def loadResource(self, kind: int, name: QUrl) -> Any:
        """The preview; nothing from disk or network, whatever the page names."""
        if kind == QTextDocument.ResourceType.ImageResource.value and name.toString() == PREVIEW:
            return self.image
        return None

    def open_link(self, url: QUrl) -> None:
        """Open an https address in the user's browser; any other is left alone."""
        if url.scheme() == "https":
            QDesktopServices.openUrl(url)


@dataclass(frozen=True, slots=True)
class Details:
    """What was read of one package: its card or what is wrong with it, and its preview."""

    package: Path
    card: ModelCard | None
    reason: str = ""
    preview: QImage | None = None


class BadgeLine(QWidget):
    """The sign of a state and a sentence, which is shown as it is: it may quote a card."""

    def __init__(self) -> None:
        super().__init__()
        self._sign = QLabel()
        self._text = paragraph("")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(2, 0, 0, 0)
        layout.addWidget(self._sign, alignment=Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self._text, stretch=1)

    @property
    def text(self) -> str:
        """The sentence shown."""
        return self._text.text()

    def show_badge(self, badge: Badge) -> None:
        """Show a state and why it is so."""
        sign, colour = SIGNS[badge.state]
        self._sign.setText(sign)
        self._sign.setStyleSheet(f"color: {colour}; font-weight: bold;")
        self._text.setText(f"{STATE_NAMES[badge.state]}: {badge.sentence}")


class DetailPage(QWidget):
    """Badge and card of the selected model."""

    def __init__(self) -> None:
        super().__init__()
        self._row: Row | None = None
        self.details: Details | None = None
        self.badge = BadgeLine()
        self.browser = CardBrowser()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.badge)
        layout.addWidget(self.browser, stretch=1)

    def show_row(self, row: Row | None) -> None:
        """Show the badge of a model; its card stays if it is the same model's."""
        if row is None or self._row is None or row.key != self._row.key:
            self.details = None
            self.browser.clear()
        self._row = row
        self.badge.setVisible(row is not None)
        if row is not None:
            self.badge.show_badge(row.badge)

    def show_details(self, details: Details) -> None:
        """Show card and preview, if they are of the model that is selected."""
        if self._row is None or self._row.key != str(details.package):
            return
        again = self.details is not None
        self.details = details
        self.browser.image = details.preview or QImage()
        self._show_page(keep_place=again)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the preview into the new width."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width() and not self.browser.image.isNull():
            self._show_page(keep_place=True)

    def _show_page(self, keep_place: bool) -> None:
        row, details = self._row, self.details
        if row is None or details is None:
            return
        bar = self.browser.verticalScrollBar()
        place = bar.value() if keep_place and bar is not None else 0
        if details.card is None:
            self.browser.setHtml(broken_html(row.name, details.package, details.reason))
        else:
            self.browser.setHtml(page_html(details.card, details.package, self._preview_width()))
        if bar is not None:
            bar.setValue(place)

    def _preview_width(self) -> int:
        """Width of the preview, pixels; 0 without one."""
        viewport = self.browser.viewport()
        room = viewport.width() - 12 if viewport is not None else 0
        return max(min(self.browser.image.width(), room, _PREVIEW_WIDTH), 0)


def read_details(entry: Entry) -> Details:
    """Read card and preview of a package; for a worker thread."""
    try:
        card = entry.card
    except UnusableModel as error:
        return Details(entry.package, None, str(error))
    return Details(entry.package, card, entry.reason, read_preview(entry.package, card))


def read_preview(package: Path, card: ModelCard | None) -> QImage | None:
    """The preview of a package; None if there is none, or one that is not to be trusted.

    Only an ordinary PNG file that the card lists is read, and only a small one: a picture
    may be made so that it fills the memory.
    """
    listed = card is not None and any(file.name == PREVIEW_FILE for file in card.files)
    path = package / PREVIEW_FILE
    try:
        facts = path.lstat()
    except OSError:
        return None
    if not listed or not stat.S_ISREG(facts.st_mode) or facts.st_size > _PREVIEW_BYTES:
        return None
    reader = QImageReader(str(path), b"png")  # type: ignore[call-overload,unused-ignore]
    size: QSize = reader.size()
    if not size.isValid() or max(size.width(), size.height()) > _PREVIEW_SIDE:
        return None
    image = reader.read()
    return None if image.isNull() else image
