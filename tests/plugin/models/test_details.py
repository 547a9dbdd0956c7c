"""The detail page: previews that can be trusted, links that wait for a click."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QUrl
from qtpy.QtGui import QColor, QDesktopServices, QImage, QTextDocument
from tests.plugin.models._made import (
    broken_entry,
    made_card,
    made_entry,
    rows_of,
    study_of,
)

from napari_medsyn.plugin.models.card_page import PREVIEW
from napari_medsyn.plugin.models.details import (
    CardBrowser,
    DetailPage,
    Details,
    read_details,
    read_preview,
)
from napari_medsyn.registry.catalogue import Entry
from napari_medsyn.registry.entries import Digest

FILES = [
    {"name": "weights.safetensors", "bytes": 1, "sha256": "0" * 64},
    {"name": "preview.png", "bytes": 1, "sha256": "0" * 64},
]
IMAGE = QTextDocument.ResourceType.ImageResource.value


def picture(path: Path, width: int = 40, height: int = 20) -> Path:
    image = QImage(width, height, QImage.Format.Format_RGB32)
    image.fill(QColor("red"))
    assert image.save(str(path))
    return path


def row_of(entry: Entry):
    (row,) = rows_of(entry, study=study_of("T1"))
    return row


@pytest.fixture
def page(qtbot: QtBot) -> DetailPage:
    page = DetailPage()
    qtbot.addWidget(page)
    page.resize(320, 400)
    page.show()
    return page


def test_a_listed_preview_is_read(tmp_path: Path) -> None:
    picture(tmp_path / "preview.png")
    image = read_preview(tmp_path, made_card(files=FILES))
    assert image is not None
    assert (image.width(), image.height()) == (40, 20)


def test_a_preview_that_the_card_does_not_list_is_not_read(tmp_path: Path) -> None:
    picture(tmp_path / "preview.png")
    assert read_preview(tmp_path, made_card()) is None


def test_a_preview_that_is_a_link_is_not_read(tmp_path: Path) -> None:
    elsewhere = picture(tmp_path / "elsewhere.png")
    os.symlink(elsewhere, tmp_path / "preview.png")
    assert read_preview(tmp_path, made_card(files=FILES)) is None


def test_a_preview_of_a_huge_size_is_not_read(tmp_path: Path) -> None:
    picture(tmp_path / "preview.png", 4097, 1)
    assert read_preview(tmp_path, made_card(files=FILES)) is None


@pytest.mark.parametrize("content", [b"", b"no picture", b"GIF89a"])
def test_what_is_no_png_is_no_preview(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "preview.png").write_bytes(content)
    assert read_preview(tmp_path, made_card(files=FILES)) is None
    assert read_preview(tmp_path / "none", made_card(files=FILES)) is None


def test_details_of_a_package_that_has_gone_are_its_reason(tmp_path: Path) -> None:
    entry = Entry("gone", tmp_path / "gone", "user", digest=Digest.of(made_card()))
    details = read_details(entry)
    assert details.card is None
    assert "gone" in details.reason


def test_the_browser_loads_the_preview_and_nothing_else(qtbot: QtBot, tmp_path: Path) -> None:
    browser = CardBrowser()
    qtbot.addWidget(browser)
    browser.image = QImage(picture(tmp_path / "a.png").as_posix())
    assert browser.loadResource(IMAGE, QUrl(PREVIEW)) == browser.image
    for url in ("https://example.org/a.png", (tmp_path / "a.png").as_uri(), "a.png"):
        assert browser.loadResource(IMAGE, QUrl(url)) is None


def test_links_open_on_a_click_and_only_https(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(
        QDesktopServices, "openUrl", staticmethod(lambda url: opened.append(url.toString()))
    )
    browser = CardBrowser()
    qtbot.addWidget(browser)
    browser.setHtml("<a href='https://example.org/a'>a</a>")
    assert opened == []
    for url in ("https://example.org/a", "file:///etc/passwd", "javascript:alert(1)"):
        browser.anchorClicked.emit(QUrl(url))
    assert opened == ["https://example.org/a"]


def test_the_page_shows_badge_and_card(page: DetailPage) -> None:
    entry = made_entry()
    page.show_row(row_of(entry))
    page.show_details(Details(entry.package, entry.card))
    assert page.badge.text == "Fits: It reads T1 of the study."
    assert "Fake brain 1.2.0" in page.browser.toPlainText()


def test_markup_in_a_badge_is_shown_as_text(page: DetailPage) -> None:
    entry = broken_entry(reason="<b>bold</b>")
    page.show_row(row_of(entry))
    label = page.badge.findChildren(type(page.badge._text))[-1]
    assert page.badge.text == "Broken: <b>bold</b>"
    assert label.textFormat().name == "PlainText"


def test_a_broken_package_shows_its_reason(page: DetailPage) -> None:
    entry = broken_entry()
    page.show_row(row_of(entry))
    page.show_details(read_details(entry))
    assert "torn: weights are missing" in page.browser.toPlainText()


def test_details_of_another_model_come_too_late(page: DetailPage) -> None:
    page.show_row(row_of(made_entry("a")))
    late = made_entry("b")
    page.show_details(Details(late.package, late.card))
    assert page.details is None
    assert page.browser.toPlainText() == ""


def test_another_model_takes_the_old_page_away(page: DetailPage) -> None:
    entry = made_entry("a")
    page.show_row(row_of(entry))
    page.show_details(Details(entry.package, entry.card))
    page.show_row(row_of(made_entry("b")))
    assert page.browser.toPlainText() == ""
    page.show_row(None)
    assert not page.badge.isVisible()


def test_the_preview_fits_a_narrow_page_and_leaves_room_in_a_wide_one(
    page: DetailPage, tmp_path: Path
) -> None:
    entry = made_entry()
    image = QImage(str(picture(tmp_path / "a.png", 1000, 300)))
    page.show_row(row_of(entry))
    page.show_details(Details(entry.package, entry.card, preview=image))
    for width, at_most in ((320, 320), (900, 560)):
        page.resize(width, 400)
        found = page.browser.toHtml().partition('width="')[2].partition('"')[0]
        assert 200 < int(found) <= at_most
        assert page.browser.horizontalScrollBar().maximum() == 0
