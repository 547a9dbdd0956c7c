from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from tests.registry._cards import Site, listing, make_card, serving

from napari_medsyn.errors import Cancelled, UnusableModel
from napari_medsyn.registry import downloads
from napari_medsyn.registry.card import ModelCard, PackageFile
from napari_medsyn.registry.downloads import fetch_missing, partial_file
from napari_medsyn.registry.settings import Settings

CONTENT = bytes(range(256)) * 4096  # 1 MiB: several pieces
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = "weights.safetensors"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSYN_HOME", str(tmp_path / "home"))
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "package").mkdir()
    return tmp_path / "package"


@pytest.fixture
def site():
    """A mirror that has the file by its hash."""
    with serving(Site({f"/{SHA256}": CONTENT})) as running:
        yield running


def card(*urls: str) -> ModelCard:
    """A card of one file; `urls` are put in past the rule that they are https."""
    made = make_card(files=[{"name": NAME, "bytes": len(CONTENT), "sha256": SHA256}])
    file = PackageFile.model_construct(
        name=NAME, bytes=len(CONTENT), sha256=SHA256, urls=tuple(urls)
    )
    return made.model_copy(update={"files": (file,)})


def fetch(folder: Path, mirror: str | None, *urls: str, offline: bool = False, **more: Any) -> Any:
    settings = Settings(mirror=mirror, offline=offline)
    return fetch_missing(folder, card(*urls), settings=settings, **more)


def refusal(folder: Path, *args: Any, **more: Any) -> str:
    """Why a file was not fetched; nothing may be left in the package."""
    before = listing(folder)
    with pytest.raises(UnusableModel) as caught:
        fetch(folder, *args, **more)
    assert listing(folder) == before
    return str(caught.value)


def part() -> Path:
    return partial_file(card().files[0])


# ---- mirrors ---------------------------------------------------------------------------


def test_a_mirror_gives_a_file_by_its_hash(folder, site):
    assert fetch(folder, site.url) == [NAME]
    assert (folder / NAME).read_bytes() == CONTENT
    assert [path.name for path in folder.iterdir()] == [NAME]
    assert not part().exists()


def test_a_mirror_gives_a_file_by_its_name(folder):
    with serving(Site({f"/medsyn/fake-brain/1.2.0/{NAME}": CONTENT})) as site:
        fetch(folder, f"{site.url}/medsyn")
    assert (folder / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize("name", [SHA256, f"fake-brain/1.2.0/{NAME}"])
def test_a_mirror_may_be_a_folder(folder, tmp_path, name):
    path = tmp_path / "mirror" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    told: list[tuple[str, int, int]] = []
    fetch(folder, str(tmp_path / "mirror"), offline=True, progress=lambda *t: told.append(t))
    assert (folder / NAME).read_bytes() == path.read_bytes() == CONTENT
    assert told == [(NAME, len(CONTENT), len(CONTENT))]


def test_a_file_that_is_there_is_not_fetched(folder, site):
    (folder / NAME).write_bytes(b"whatever; to be compared by verify")
    assert fetch(folder, site.url) == []
    assert site.asked == []


def test_a_mirror_without_the_file_is_followed_by_the_cards_addresses(folder, site, monkeypatch):
    monkeypatch.setattr(downloads, "CARD_SCHEMES", ("https", "http"))
    with serving(Site()) as empty:
        fetch(folder, empty.url, f"{site.url}/nowhere", f"{site.url}/{SHA256}")
    assert len(empty.asked) == 2
    assert (folder / NAME).read_bytes() == CONTENT


# ---- offline ---------------------------------------------------------------------------


def test_offline_asks_nobody_but_the_mirror(folder, site, monkeypatch):
    monkeypatch.setattr(downloads, "CARD_SCHEMES", ("https", "http"))
    message = refusal(folder, None, f"{site.url}/{SHA256}", offline=True)
    assert "downloads are switched off (offline), and there is no mirror" in message
    with serving(Site()) as empty:
        message = refusal(folder, empty.url, f"{site.url}/{SHA256}", offline=True)
    assert "the mirror does not give it" in message
    assert site.asked == []


# ---- what is wrong ---------------------------------------------------------------------


def test_without_any_source_it_is_said(folder):
    assert "its card does not say where to fetch it" in refusal(folder, None)


@pytest.mark.parametrize("path", [f"/{SHA256}", f"/fake-brain/1.2.0/{NAME}"])
def test_wrong_content_is_refused_and_deleted(folder, path):
    with serving(Site({path: CONTENT[:-1] + b"\0"})) as site:
        message = refusal(folder, site.url)
    assert "it is not the file that the card lists (SHA-256), and was deleted" in message
    assert not part().exists()


def test_wrong_content_in_a_folder_is_refused(folder, tmp_path):
    (tmp_path / SHA256).write_bytes(CONTENT[:-1] + b"\0")
    assert "it is not the file that the card lists" in refusal(folder, str(tmp_path))


@pytest.mark.parametrize("says_length", [True, False])
def test_more_than_the_card_says_is_refused(folder, says_length):
    headers = {} if says_length else {"Content-Length": ""}
    content = CONTENT + b"\0" * 2**22
    with serving(Site({f"/{SHA256}": content}, headers=headers)) as site:
        message = refusal(folder, site.url)
    expected = f"has {len(content)} bytes instead of" if says_length else "sends more than the"
    assert expected in message
    assert not part().exists()


def test_less_than_the_card_says_is_refused(folder):
    with serving(Site({f"/{SHA256}": b"short"}, headers={"Content-Length": ""})) as site:
        assert f"ended after 5 of {len(CONTENT)} bytes" in refusal(folder, site.url)


def test_a_server_that_is_not_there_is_said(folder):
    with serving(Site()) as site:
        pass
    assert "the connection failed or broke off" in refusal(folder, site.url)


def test_compressed_answers_are_refused(folder):
    headers = {"Content-Encoding": "gzip"}
    with serving(Site({f"/{SHA256}": CONTENT}, headers=headers)) as site:
        assert "sends it compressed" in refusal(folder, site.url)


def test_a_password_is_not_repeated(folder, site):
    message = refusal(folder, site.url.replace("http://", "http://me:secret@") + "/nowhere")
    assert "secret" not in message
    assert "/nowhere/" in message


def test_a_full_disk_is_said_beforehand(folder, site, monkeypatch):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")(10, 5, 5)
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _folder: usage)
    assert f"needs {len(CONTENT)} bytes, but only 5 are free" in refusal(folder, site.url)
    assert site.asked == []


# ---- redirects -------------------------------------------------------------------------


def test_redirects_are_followed(folder, site):
    site.redirects = {"/a": "/b", "/b": f"{site.url}/{SHA256}"}
    with serving(Site(redirects={f"/{SHA256}": f"{site.url}/a"})) as first:
        fetch(folder, first.url)
    assert (folder / NAME).read_bytes() == CONTENT


def test_redirects_in_a_circle_end(folder):
    with serving(Site(redirects={f"/{SHA256}": f"/{SHA256}"})) as site:
        assert "leads on more than 5 times" in refusal(folder, site.url)
    # Once, five times more, and then the file by its name.
    assert [path for path, _range in site.asked].count(f"/{SHA256}") == 6


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_redirects_to_other_schemes_are_refused(folder, target):
    with serving(Site(redirects={f"/{SHA256}": target})) as site:
        assert f"leads to {target}, which is not https or http" in refusal(folder, site.url)


def test_a_cards_address_must_be_https(folder, site):
    message = refusal(folder, None, f"{site.url}/{SHA256}")
    assert "which is not https" in message
    assert site.asked == []


def test_no_redirect_leads_from_https_to_http(folder, monkeypatch):
    """Answers of a session that never leaves this process: https needs a certificate."""
    import requests

    answer = requests.Response()
    answer.status_code = 302
    answer.raw = io.BytesIO()
    answer.headers["Location"] = "http://a.example/x"
    monkeypatch.setattr(requests.Session, "get", lambda *_args, **_options: answer)
    assert "leads from https to http://a.example/x" in refusal(folder, "https://a.example")


# ---- continuing ------------------------------------------------------------------------


def test_what_broke_off_is_continued(folder, site):
    site.break_after = 300_000
    assert "the connection failed or broke off; try again to continue" in refusal(folder, site.url)
    have = part().stat().st_size
    assert 0 < have <= 300_000
    told: list[int] = []
    fetch(folder, site.url, progress=lambda _name, done, _total: told.append(done))
    assert site.asked[-1] == (f"/{SHA256}", f"bytes={have}-")
    assert have < told[0] < told[-1] == len(CONTENT)
    assert (folder / NAME).read_bytes() == CONTENT
    assert not part().exists()


def test_who_cancels_may_continue_later(folder, site):
    def cancel(_name: str, _done: int, _total: int) -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        fetch(folder, site.url, progress=cancel)
    have = part().stat().st_size
    assert listing(folder) == {}
    assert 0 < have < len(CONTENT)
    fetch(folder, site.url)
    assert site.asked[-1][1] == f"bytes={have}-"


def test_a_server_without_ranges_begins_anew(folder, site):
    site.ranges = False
    part().parent.mkdir(parents=True)
    part().write_bytes(CONTENT[:1000])
    fetch(folder, site.url)
    assert (folder / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"\xff" * 1000, b"\xff" * len(CONTENT), bytes(2 * len(CONTENT))])
def test_a_wrong_beginning_is_thrown_away(folder, site, left):
    part().parent.mkdir(parents=True)
    part().write_bytes(left)
    fetch(folder, site.url)
    assert (folder / NAME).read_bytes() == CONTENT


def test_a_range_that_the_server_refuses_begins_anew(folder):
    short = CONTENT[:1000]
    part().parent.mkdir(parents=True)
    part().write_bytes(CONTENT[:5000])
    with serving(Site({f"/{SHA256}": short})) as site:
        assert "has 1000 bytes instead of" in refusal(folder, site.url)
    assert [wanted for _path, wanted in site.asked[:2]] == ["bytes=5000-", None]


def test_other_bytes_than_were_asked_for_are_refused(folder):
    part().parent.mkdir(parents=True)
    part().write_bytes(CONTENT[:5000])
    headers = {"Content-Range": f"bytes 0-9/{len(CONTENT)}"}
    with serving(Site({f"/{SHA256}": CONTENT}, headers=headers)) as site:
        assert "sends other bytes than were asked for" in refusal(folder, site.url)
    assert part().stat().st_size == 5000
