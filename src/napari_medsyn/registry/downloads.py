"""Fetching a package's files: from the mirror first, then from where the card says.

A file is what its SHA-256 on the card says, wherever it comes from; anything else is deleted.
What an interrupted download has brought is kept as `<sha256>.part` and continued next time
with an HTTP Range request (RFC 9110, section 14), which pooch's own downloaders cannot do.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urljoin, urlsplit

from napari_medsyn.errors import UnusableModel
from napari_medsyn.registry.card import ModelCard, PackageFile
from napari_medsyn.registry.catalogue import user_folder
from napari_medsyn.registry.settings import Settings, is_address, load_settings

if TYPE_CHECKING:
    import requests

#: Told while a file comes in: its name, bytes so far, bytes in all.  It may raise `Cancelled`.
Progress = Callable[[str, int, int], None]

#: What a card's addresses may be; a mirror in a hospital's own network may be plain http.
CARD_SCHEMES: Final = ("https",)
_MIRROR_SCHEMES: Final = ("https", "http")

#: Seconds until a connection stands, and without a byte.
_TIMEOUT: Final = (10.0, 60.0)
_MAX_REDIRECTS: Final = 5
_CHUNK: Final = 2**18

_OK: Final = 200
_PARTIAL: Final = 206
_RANGE_REFUSED: Final = 416


class _Failed(Exception):
    """One source did not give the file; the text is why, for a sentence."""


@dataclass(frozen=True, slots=True)
class _Source:
    """One place where a file may lie: an address, or a path if there are no schemes."""

    place: str
    schemes: tuple[str, ...] = ()


def missing_files(folder: Path, card: ModelCard) -> list[PackageFile]:
    """The files of a card that are not in the folder."""
    return [file for file in card.files if not os.path.lexists(folder / file.name)]


def fetch_missing(
    folder: Path,
    card: ModelCard,
    *,
    progress: Progress | None = None,
    settings: Settings | None = None,
) -> list[str]:
    """Fetch what a package came without, each file whole and right or not at all.

    Parameters
    ----------
    folder : of the package.
    card : of the package.
    progress : told while files come in.
    settings : mirror and offline; by default those of this computer.

    Returns
    -------
    Names of the files that were fetched.

    Raises
    ------
    UnusableModel : a file cannot be had from any source; says why for each.
    """
    missing = missing_files(folder, card)
    if not missing:
        return []
    settings = load_settings() if settings is None else settings
    _refuse_full_disk(folder, card, missing)
    for file in missing:
        _fetch(folder / file.name, card, file, settings, progress)
    return [file.name for file in missing]


def _refuse_full_disk(folder: Path, card: ModelCard, missing: list[PackageFile]) -> None:
    needed, free = sum(file.bytes for file in missing), shutil.disk_usage(folder).free
    if needed > free:
        raise UnusableModel(
            f"{card.id}: needs {needed} bytes, but only {free} are free on the disk of {folder}"
        )


def _fetch(
    path: Path, card: ModelCard, file: PackageFile, settings: Settings, progress: Progress | None
) -> None:
    """One file from the first source that has it."""
    failures = []
    for source in _sources(card, file, settings):
        download = _Download(file, source, progress)
        try:
            _retrieve(path, file, download)
        except _Failed as failure:
            failures.append(
                f"{_shown(source.place) if source.schemes else source.place}: {failure}"
            )
        else:
            return
    raise UnusableModel(f"{card.id}: {_why(file, failures, settings)}")


def _why(file: PackageFile, failures: list[str], settings: Settings) -> str:
    tried = "; ".join(failures)
    if settings.offline:
        where = f"the mirror does not give it ({tried})" if failures else "there is no mirror"
        return (
            f"{file.name} is missing, downloads are switched off (offline), and {where}; "
            "put the file into the package, or see `medsyn models settings`"
        )
    if not failures:
        return f"{file.name} is missing, and its card does not say where to fetch it"
    return f"{file.name} could not be fetched ({tried})"


def _sources(card: ModelCard, file: PackageFile, settings: Settings) -> Iterator[_Source]:
    """Where to look, in order."""
    mirror = settings.mirror
    if mirror is not None:
        for name in (file.sha256, f"{card.id}/{card.version}/{file.name}"):
            if is_address(mirror):
                yield _Source(f"{mirror}/{quote(name)}", _MIRROR_SCHEMES)
            else:
                yield _Source(str(Path(mirror) / name))
    if not settings.offline:
        for url in file.urls:
            yield _Source(url, CARD_SCHEMES)


def _retrieve(path: Path, file: PackageFile, download: _Download) -> None:
    """Let pooch compare the hash and put the file where it belongs.

    A file that was continued and is wrong was wrong at its beginning, perhaps: such a
    download is begun anew once.
    """
    import pooch  # type: ignore[import-untyped]

    # pooch tells its own log of every file; we tell through `progress`.
    pooch.get_logger().setLevel("WARNING")
    for again in (True, False):
        try:
            pooch.retrieve(
                download.source.place,
                known_hash=f"sha256:{file.sha256}",
                fname=path.name,
                path=path.parent,
                downloader=download,
            )
        except ValueError as error:
            if again and download.was_continued:
                continue
            raise _Failed(
                "it is not the file that the card lists (SHA-256), and was deleted"
            ) from error
        else:
            return


class _Download:
    """pooch's downloader: writes one source's content to the path that pooch gives.

    Parameters
    ----------
    file : what is wanted.
    source : where it may lie.
    progress : told while it comes in.
    """

    def __init__(self, file: PackageFile, source: _Source, progress: Progress | None) -> None:
        self.source = source
        self.was_continued = False
        self._file = file
        self._progress = progress or _silent

    def __call__(self, url: str, output_file: str | Path, pooch: Any) -> None:
        """Fetch `url`; called by pooch with its own temporary file."""
        del pooch
        if self.source.schemes:
            part = partial_file(self._file)
            part.parent.mkdir(parents=True, exist_ok=True)
            self._download(url, part)
            # Its hash is compared next; what is wrong must not be continued.
            shutil.move(part, output_file)
        else:
            self._copy(Path(url), Path(output_file))

    def _copy(self, source: Path, target: Path) -> None:
        try:
            if source.stat().st_size != self._file.bytes:
                raise _Failed(f"has {source.stat().st_size} bytes instead of {self._file.bytes}")
            shutil.copyfile(source, target)
        except OSError as error:
            raise _Failed(f"cannot be read ({error.strerror})") from error
        self._progress(self._file.name, self._file.bytes, self._file.bytes)

    def _download(self, url: str, part: Path) -> None:
        """Bring `part` to its full length; what has come stays there if that fails."""
        import requests

        have = part.stat().st_size if part.is_file() else 0
        self.was_continued = have > 0
        if have == self._file.bytes:
            return
        try:
            with requests.Session() as session:
                with self._ask(session, url, have) as answer:
                    is_refused = answer.status_code == _RANGE_REFUSED
                    if not is_refused:
                        self._receive(answer, part, have)
                if is_refused:
                    with self._ask(session, url, 0) as answer:
                        self._receive(answer, part, 0)
        except requests.RequestException as error:
            raise _Failed(f"{_reason(error)}; try again to continue") from error

    def _ask(self, session: requests.Session, url: str, have: int) -> requests.Response:
        """Ask for the bytes from `have` on, following redirects that stay as safe as they were."""
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        for _ in range(_MAX_REDIRECTS + 1):
            if urlsplit(url).scheme not in self.source.schemes:
                raise _Failed(
                    f"leads to {_shown(url)}, which is not {' or '.join(self.source.schemes)}"
                )
            answer = session.get(
                url, headers=headers, stream=True, timeout=_TIMEOUT, allow_redirects=False
            )
            if not answer.is_redirect:
                return answer
            answer.close()
            target = urljoin(url, answer.headers["Location"])
            if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
                raise _Failed(f"leads from https to {_shown(target)}")
            url = target
        raise _Failed(f"leads on more than {_MAX_REDIRECTS} times")

    def _receive(self, answer: requests.Response, part: Path, have: int) -> None:
        """Write what comes behind the `have` bytes that are there, or from the beginning."""
        if answer.status_code not in (_OK, _PARTIAL):
            raise _Failed(f"answers {answer.status_code} {answer.reason}")
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise _Failed("sends it compressed, though that was not asked for")
        if answer.status_code == _OK:
            have = 0
        elif not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise _Failed("sends other bytes than were asked for")
        wanted = self._file.bytes
        length = answer.headers.get("Content-Length", "")
        if length.isdigit() and have + int(length) != wanted:
            raise _Failed(f"has {have + int(length)} bytes instead of {wanted}")
        with part.open("ab" if have else "wb") as stream:
            for piece in answer.iter_content(_CHUNK):
                have += len(piece)
                if have > wanted:
                    stream.close()
                    part.unlink()
                    raise _Failed(f"sends more than the {wanted} bytes of the file")
                stream.write(piece)
                self._progress(self._file.name, have, wanted)
        if have != wanted:
            raise _Failed(f"ended after {have} of {wanted} bytes; try again to continue")


def partial_file(file: PackageFile) -> Path:
    """Where what has come of a file waits to be continued."""
    return user_folder().parent / "downloads" / f"{file.sha256}.part"


def _silent(name: str, done: int, total: int) -> None:
    """Nobody wants to be told."""
    del name, done, total


def _shown(address: str) -> str:
    """An address without a password."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _reason(error: BaseException) -> str:
    """The innermost reason of a failed connection, which is the one that says something."""
    import requests

    if isinstance(error, requests.Timeout):
        return "does not answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted"
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return "the connection failed or broke off"
    return str(error)
