"""Adding packages to the user's folder, and removing them: whole or not at all.

A package is put together in a hidden folder beside its place, checked there with all hashes,
and moved to its place in one step.  Nothing in it is run.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import uuid
import zipfile
from pathlib import Path
from typing import Final

from napari_medsyn.errors import UnusableFile, UnusableModel
from napari_medsyn.registry.archives import extract, told_of
from napari_medsyn.registry.card import CARD_NAME, ModelCard, read_card
from napari_medsyn.registry.catalogue import Catalogue, Entry, user_folder
from napari_medsyn.registry.downloads import Progress, fetch_missing
from napari_medsyn.registry.packages import verify

#: What networks are saved under that are no packages yet.
_CHECKPOINT_ENDINGS: Final = (".pth", ".pt", ".ckpt", ".pkl")
_CHECKPOINT: Final = (
    "is a checkpoint, not a package; make one of it first, see "
    "`medsyn models import --help` (mmhvae, stylegan, monai-bundle)"
)


def install(source: Path, *, replace: bool = False, progress: Progress | None = None) -> Entry:
    """Add a package to the user's folder; what it came without is fetched.

    A package that brings code is added like any other; running its code takes the user's
    consent, which is asked for elsewhere.

    Parameters
    ----------
    source : a package as a folder or a `.zip`, or a card alone as a `.json`.
    replace : whether another version of the same model may be replaced.
    progress : told while files come in.

    Returns
    -------
    Its entry of the catalogue; if exactly this package is installed already, nothing is done.

    Raises
    ------
    UnusableFile : `source` is no package, or the folder cannot be written.
    UnusableModel : the package is not as its card says, a file cannot be had, or its id is
        taken.
    """
    folder = user_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".medsyn-", dir=folder) as place:
            draft = Path(place) / "package"
            with told_of(source, draft):
                card = _gather(source, draft)
            taken = _taken(card)
            if taken is not None and _is_same(taken, card):
                return taken
            if taken is not None and not replace:
                raise _in_the_way(taken, card)
            with told_of(source, draft):
                fetch_missing(draft, card, progress=progress)
                card = verify(draft)
            package = folder / card.id
            _move(draft, package, taken.package if taken is not None else package, replace)
            return Entry(card.id, package, "user", card)
    except OSError as error:
        reason = f"cannot be written to ({error.strerror or error})"
        raise UnusableFile(error.filename or folder, reason) from error


def remove(model_id: str) -> Path:
    """Remove a package of the user's; give the folder where it was.

    It is moved aside first, so that no half of it is ever listed.

    Raises
    ------
    UnusableModel : there is no such package, or it ships with us.
    UnusableFile : it cannot be removed.
    """
    entries = [entry for entry in Catalogue().entries() if entry.id == model_id]
    own = [entry for entry in entries if not entry.is_embedded]
    if not own and entries:
        raise UnusableModel(f"{model_id}: ships with napari-medsyn and cannot be removed")
    if not own:
        Catalogue().get(model_id)
    package = min(own, key=lambda entry: not entry.is_usable).package
    try:
        _delete(_aside(package))
    except OSError as error:
        raise UnusableFile(package, f"cannot be removed ({error.strerror or error})") from error
    return package


def _gather(source: Path, draft: Path) -> ModelCard:
    """Put what `source` holds of a package into the folder `draft`; gives the card."""
    if source.is_dir():
        return _copy(source, draft)
    if not source.is_file():
        raise UnusableFile(source, "does not exist; give a package's folder, .zip or card")
    if source.suffix.lower() == ".json":
        draft.mkdir()
        shutil.copyfile(source, draft / CARD_NAME)
        return read_card(draft)
    if _is_checkpoint(source):
        raise UnusableFile(source, _CHECKPOINT)
    if zipfile.is_zipfile(source):
        return extract(source, draft)
    raise UnusableFile(source, "is not a package: neither a folder nor a .zip nor a card (.json)")


def _is_checkpoint(source: Path) -> bool:
    """Whether it is, by its ending or what lies in it, what torch saved; nothing is unpickled."""
    if source.suffix.lower() in _CHECKPOINT_ENDINGS:
        return True
    try:
        with zipfile.ZipFile(source) as opened:
            names = {name.rsplit("/", 1)[-1] for name in opened.namelist()}
    except (zipfile.BadZipFile, OSError, NotImplementedError):
        return False
    return CARD_NAME not in names and "data.pkl" in names


def _copy(source: Path, draft: Path) -> ModelCard:
    """Copy the card and the files that it lists; nothing else, and no links."""
    if not (source / CARD_NAME).is_file():
        raise UnusableFile(source, f"is not a package: it holds no {CARD_NAME}")
    card = read_card(source)
    draft.mkdir()
    for name in (CARD_NAME, *(file.name for file in card.files)):
        if not os.path.lexists(source / name):
            continue
        if not stat.S_ISREG(os.lstat(source / name).st_mode):
            raise UnusableModel(
                f"{source / name}: is a link or not an ordinary file, which packages must not have"
            )
        (draft / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, draft / name)
    return card


def _taken(card: ModelCard) -> Entry | None:
    """The user's package that has the id, or lies where the new one is to lie.

    Raises
    ------
    UnusableModel : the id is that of a model that ships with us.
    """
    entries = Catalogue().entries()
    if any(entry.id == card.id and entry.is_embedded for entry in entries):
        raise UnusableModel(
            f"{card.id}: a model of this id ships with napari-medsyn and cannot be replaced; "
            "give the package another id"
        )
    place = user_folder() / card.id
    found = [e for e in entries if not e.is_embedded and (e.id == card.id or e.package == place)]
    return min(found, key=lambda e: (not e.is_usable, e.package != place), default=None)


def _in_the_way(taken: Entry, card: ModelCard) -> UnusableModel:
    if taken.facts is None:
        return UnusableModel(f"{taken.package}: a broken package is in the way; --replace it")
    what = f"version {taken.facts.version} of {taken.id}"
    if taken.facts.version == card.version:
        what += ", with other files,"
    return UnusableModel(f"{card.id}: {what} is installed in {taken.package}; --replace it")


def _is_same(entry: Entry, card: ModelCard) -> bool:
    """Whether an installed package is whole and has this very card, hashes included."""
    try:
        return entry.is_usable and verify(entry.package) == card
    except UnusableModel:
        return False


def _move(draft: Path, package: Path, old: Path, replace: bool) -> None:
    """Put the draft in its place, and the old package back if that fails."""
    if not (replace and os.path.lexists(old)):
        os.rename(draft, package)
        return
    aside = _aside(old)
    try:
        os.rename(draft, package)
    except OSError:
        os.rename(aside, old)
        raise
    _delete(aside)


def _aside(package: Path) -> Path:
    """Move a package where it is not listed, in the same folder."""
    aside = package.with_name(f".medsyn-{uuid.uuid4().hex[:12]}")
    os.rename(package, aside)
    return aside


def _delete(folder: Path) -> None:
    if folder.is_symlink():  # a developer's; what it leads to is not ours
        folder.unlink()
    else:
        shutil.rmtree(folder)
