"""What can go wrong, as sentences for a user.

Every error that is meant to reach a person derives from `MedsynError`; its text
is one sentence that names the thing, the reason and, where there is one, the
remedy.  Anything else that is raised is a defect of ours.
"""

from __future__ import annotations

from pathlib import Path


class MedsynError(Exception):
    """Base of all errors whose text is written for the user."""


class UnusableFile(MedsynError):
    """A file or folder cannot be used as a scan (or not written).

    Parameters
    ----------
    path : the file or folder as the user gave it.
    reason : what is wrong with it and, where there is one, the remedy.
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = Path(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type[UnusableFile], tuple[Path, str]]:
        # Exceptions cross from the engine's process: rebuild from our own arguments.
        return type(self), (self.path, self.reason)


class UnusableStudy(MedsynError):
    """The scans of a study do not fit each other or the chosen model."""


class UnusableModel(MedsynError):
    """A model package is broken, untrusted or does not do what is asked."""


class UnusableDevice(MedsynError):
    """A device was asked for by name that this computer does not have."""


class EngineError(MedsynError):
    """Inference failed; the session and its results are safe.

    Parameters
    ----------
    sentence : for the user.
    detail : for a bug report, such as what a process has printed; any number of lines.
    """

    def __init__(self, sentence: str, detail: str = "") -> None:
        super().__init__(sentence)
        self.detail = detail

    def __reduce__(self) -> tuple[type[EngineError], tuple[str, str]]:
        return type(self), (str(self), self.detail)


class DeviceOutOfMemory(EngineError):
    """The device ran out of memory even with the smallest slab."""


class Cancelled(MedsynError):
    """The user, or a newer request, stopped the work."""
