"""What is remembered of a folder of packages between two listings.

Validating a card takes about a millisecond, looking whether its files are as they were some
microseconds.  The index holds the digest of every whole package with a stamp of its
card and files, and is believed only while all stamps are the same.  Nothing is loaded on its
word: families compare every hash before they read weights.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from napari_medsyn import __version__
from napari_medsyn.errors import UnusableModel
from napari_medsyn.registry.card import CARD_NAME
from napari_medsyn.registry.entries import Digest, Entry, Origin
from napari_medsyn.registry.packages import verify
from napari_medsyn.registry.searching import Searchable

#: Sources that decide what a valid package is and what is kept of it: when one of them
#: changes, so may every verdict.
_RULES: Final = (
    "card.py", "parts.py", "controls.py", "packages.py", "entries.py", "searching.py",
    "synonyms.py", "indexing.py",
)  # fmt: skip

#: A file that has changed this recently may change again within one tick of the file
#: system's clock, with the same stamp; such packages are checked again next time.
SETTLED_NS: Final = 2_000_000_000

Stamp = list[list[int]]


@dataclass(frozen=True, slots=True)
class Remembered:
    """One whole package: its files besides the card, their stamps and the card's digest."""

    files: list[str]
    stamp: Stamp
    digest: Digest


def cache_folder() -> Path:
    """Where indexes lie: `$MEDSYN_HOME/cache`, or the platform's cache folder."""
    home = os.environ.get("MEDSYN_HOME")
    if home:
        return Path(home).expanduser() / "cache"
    from platformdirs import user_cache_path

    return user_cache_path("napari-medsyn", appauthor=False)


class Index:
    """The packages in one folder, each checked once for as long as it does not change.

    The cache is a file of lines: a seal, what each listing needs of all packages (JSON),
    then for each package its facts (JSON, decoded when asked for), its words and its text.

    Parameters
    ----------
    folder : that holds the packages.
    """

    def __init__(self, folder: Path) -> None:
        name = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:16]
        self._path = cache_folder() / f"models-{name}.json"
        self._known: dict[str, Remembered] | None = None

    def entries(self, packages: Iterable[Path], origin: Origin) -> list[Entry]:
        """An entry for each package as it is on disk now, broken ones with the reason."""
        known = self._read() if self._known is None else self._known
        kept: dict[str, Remembered] = {}
        found = []
        for package in packages:
            last = known.get(package.name)
            if last is not None and _stamp(package, last.files) == last.stamp:
                kept[package.name] = last
                found.append(Entry(last.digest.id, package, origin, digest=last.digest))
                continue
            entry = _checked(package, origin)
            fresh = _remembered(entry)
            if fresh is not None:
                kept[package.name] = fresh
            found.append(entry)
        # Replaced as a whole: another thread may be listing at the same time.
        self._known = kept
        if kept.keys() != known.keys() or any(kept[name] is not known[name] for name in kept):
            self._write(kept)
        return found

    def _read(self) -> dict[str, Remembered]:
        """What the cache holds; nothing if it is damaged, or was made by other rules."""
        try:
            seal, _, text = self._path.read_bytes().partition(b"\n")
        except OSError:
            return {}
        if seal != _seal(text):
            return {}
        try:
            return dict(_decoded(text))
        except (ValueError, TypeError, RecursionError):
            return {}

    def _write(self, kept: Mapping[str, Remembered]) -> None:
        """Write the cache; one that cannot be written costs time, nothing else."""
        text = _encoded(kept)
        draft = self._path.with_name(f".{uuid.uuid4().hex}.json")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                draft.write_bytes(_seal(text) + b"\n" + text)
                os.replace(draft, self._path)
            finally:
                draft.unlink(missing_ok=True)


def _checked(package: Path, origin: Origin) -> Entry:
    try:
        card = verify(package, full=False)
    except UnusableModel as error:
        return Entry(package.name, package, origin, reason=str(error))
    return Entry(card.id, package, origin, card, digest=Digest.of(card))


def _remembered(entry: Entry) -> Remembered | None:
    """What to keep of an entry that has just been checked; None if it is broken or too new.

    Broken packages are checked each time: what is wrong may be outside them.  Whatever
    changes while it is being checked is too new.
    """
    if entry.given is None or entry.digest is None:
        return None
    files = [file.name for file in entry.given.files]
    stamp = _stamp(entry.package, files)
    if stamp is None or time.time_ns() - max(max(times[:2]) for times in stamp) < SETTLED_NS:
        return None
    return Remembered(files, stamp, entry.digest)


def _stamp(package: Path, files: Iterable[str]) -> Stamp | None:
    """When the card and `files` were changed, and how large they are; None if one is missing.

    For each file: time of change of its content and of its entry (ns), bytes, mode.
    """
    stamp = []
    for name in (CARD_NAME, *files):
        try:
            facts = os.lstat(f"{package}{os.sep}{name}")
        except (OSError, ValueError):
            return None
        stamp.append([facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_mode])
    return stamp


def _encoded(kept: Mapping[str, Remembered]) -> bytes:
    """What is remembered, as the lines of a cache."""
    heads, lines = [], [b""]
    for name, value in kept.items():
        digest = value.digest
        known = (digest.id, digest.kind, digest.execution, digest.extra)
        heads.append([name, value.files, value.stamp, *known])
        words = (digest.words.words, digest.words.text)
        lines += [digest.facts_json, *(said.encode(errors="surrogatepass") for said in words)]
    lines[0] = json.dumps(heads).encode()
    return b"\n".join(lines)


def _decoded(cache: bytes) -> Iterator[tuple[str, Remembered]]:
    """Name and what is remembered of each package; ValueError or TypeError if it is damaged."""
    first, *lines = cache.split(b"\n")
    parts = zip(lines[0::3], lines[1::3], lines[2::3], strict=True)
    for head, (facts, *said) in zip(json.loads(first), parts, strict=True):
        name, files, stamp, model_id, kind, execution, extra = head
        words, text = (line.decode(errors="surrogatepass") for line in said)
        digest = Digest(model_id, kind, execution, extra, facts, Searchable(words, text))
        yield name, Remembered(files, stamp, digest)


def _seal(text: bytes) -> bytes:
    """Hash of the rules and the text: tells damage, and a version of ours with other rules."""
    digest = hashlib.sha256(_rules())
    digest.update(text)
    return digest.hexdigest().encode()


@cache
def _rules() -> bytes:
    folder = Path(__file__).parent
    digest = hashlib.sha256(__version__.encode())
    for name in _RULES:
        digest.update(folder.joinpath(name).read_bytes())
    return digest.digest()
