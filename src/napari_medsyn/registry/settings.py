"""Where packages' files are fetched from: settings of this computer, and of its environment.

A hospital without internet sets a mirror, a folder or an address that holds the files, and
`offline`, which forbids every other source.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from napari_medsyn.errors import UnusableFile
from napari_medsyn.registry.catalogue import user_folder
from napari_medsyn.scans.atomic import whole_file

#: What turns `MEDSYN_OFFLINE` on and off.
_YES: Final = ("1", "true", "yes", "on")
_NO: Final = ("", "0", "false", "no", "off")

#: Settings are a few lines; a larger file is something else.
_MAX_BYTES: Final = 64 * 1024


class Settings(BaseModel):
    """What a user, or whoever looks after the computer, has chosen.

    Parameters
    ----------
    mirror : folder or http(s) address under which files lie as `<sha256>` or as
        `<id>/<version>/<name>`; it is asked first.  None for no mirror.
    offline : whether nothing but the mirror may be asked.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mirror: str | None = None
    offline: bool = False

    @field_validator("mirror")
    @classmethod
    def _is_a_place(cls, value: str | None) -> str | None:
        place = (value or "").strip()
        if not place:
            return None
        if is_address(place):
            return place.rstrip("/")
        if "://" in place:
            raise ValueError(f"{place} is neither a folder nor an http or https address")
        path = Path(place).expanduser()
        if not path.is_absolute():
            raise ValueError(
                f"{place} is not a full path; a mirror must not depend on where you are"
            )
        return str(path)


def is_address(mirror: str) -> bool:
    """Whether a mirror is asked over http or https; otherwise it is a folder."""
    parts = urlsplit(mirror)
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def settings_file() -> Path:
    """Where the settings are kept, beside the folder of the user's packages."""
    return user_folder().parent / "settings.json"


def stored_settings() -> Settings:
    """The settings as they are on disk, without the environment's; defaults if there are none.

    Raises
    ------
    UnusableFile : the file is not one of settings; says what is wrong.
    """
    path = settings_file()
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise UnusableFile(path, f"cannot be read ({error.strerror})") from error
    if len(content) > _MAX_BYTES:
        raise UnusableFile(path, "is too large for a file of settings; delete it to begin anew")
    try:
        return Settings.model_validate(json.loads(content))
    except ValidationError as error:
        raise UnusableFile(path, f"{_reason(error)}; delete it to begin anew") from error
    except (ValueError, RecursionError) as error:
        raise UnusableFile(path, f"is not JSON ({error}); delete it to begin anew") from error


def load_settings() -> Settings:
    """The settings that hold: `MEDSYN_MIRROR` and `MEDSYN_OFFLINE` go before those on disk.

    Raises
    ------
    UnusableFile : the file of settings, or a variable, cannot be used.
    """
    values = stored_settings().model_dump()
    mirror, offline = os.environ.get("MEDSYN_MIRROR"), os.environ.get("MEDSYN_OFFLINE")
    if mirror is not None:
        values["mirror"] = mirror
    if offline is not None:
        if offline.strip().lower() not in (*_YES, *_NO):
            raise UnusableFile("MEDSYN_OFFLINE", f"is {offline!r} instead of 1 or 0")
        values["offline"] = offline.strip().lower() in _YES
    return _checked(values, "MEDSYN_MIRROR")


def save_settings(**changes: Any) -> Settings:
    """Change settings on disk; give them all.

    Raises
    ------
    UnusableFile : a value cannot be used, or the file cannot be written.
    """
    path = settings_file()
    settings = _checked({**stored_settings().model_dump(), **changes}, str(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnusableFile(path, f"cannot be written ({error.strerror})") from error
    with whole_file(path, overwrite=True) as draft:
        draft.write_text(settings.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return settings


def _checked(values: dict[str, Any], place: str) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise UnusableFile(place, _reason(error)) from error


def _reason(error: ValidationError) -> str:
    return "; ".join(item["msg"].removeprefix("Value error, ") for item in error.errors())
