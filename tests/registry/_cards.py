"""Cards, entries and servers for the tests of the registry."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tests._fakes import card_values

from napari_medsyn.registry.card import ModelCard, parse_card
from napari_medsyn.registry.entries import Digest, Entry


def make_card(**changes: Any) -> ModelCard:
    """The fake card with changes."""
    return parse_card(json.dumps(card_values(**changes)))


def make_entry(*, digested: bool = True, **changes: Any) -> Entry:
    """An entry as a catalogue lists it; not `digested`, as others make them."""
    card = make_card(**changes)
    digest = Digest.of(card) if digested else None
    return Entry(card.id, Path("/models") / card.id, "user", card, digest=digest)


def metric(name: str, value: float, direction: str = "lower", **more: Any) -> dict[str, Any]:
    """A metric of a card, on the data set "here" unless said otherwise."""
    return {"name": name, "value": value, "direction": direction, "data_set": "here", **more}


def listing(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder with its content, links and folders with None."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        if path.is_file() and not path.is_symlink()
        else None
        for path in folder.rglob("*")
    }


@dataclass
class Site:
    """What a server offers, how it behaves, and what it was asked.

    Parameters
    ----------
    files : path to content.
    redirects : path to where it leads.
    ranges : whether it knows ranges.
    break_after : bytes after which it hangs up; then it behaves.
    headers : of every answer, instead of the right ones or beside them; "" for none.
    asked : path and Range header of each request, so far.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    break_after: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """Serve a site on this computer; its `url` is set."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            site.asked.append((self.path, wanted))
            if self.path in site.redirects:
                self.send_response(302)
                self.send_header("Location", site.redirects[self.path])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            content = site.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and site.ranges else 0
            if begin and begin >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if begin else 200)
            headers = {"Content-Length": str(len(content) - begin)}
            if begin:
                headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
            headers.update(site.headers)
            for name, value in headers.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            stop = len(content)
            if site.break_after is not None:
                stop, site.break_after = begin + site.break_after, None
            self.wfile.write(content[begin:stop])

        def log_message(self, *args: Any) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
