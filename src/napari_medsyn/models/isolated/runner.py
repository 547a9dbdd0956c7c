"""The process of one package: takes questions from standard input, gives pictures back.

Started by `process.Runner` as ``python -I FOLDER SETTINGS``, with a copy of this file.
Fences go up before numpy, and long before the package, is imported.  Whatever the package
prints goes to standard error, which is a file; standard output is ours.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

from napari_medsyn.models.isolated import fences

if TYPE_CHECKING:
    from napari_medsyn.models.isolated.residence import Residence

#: Pictures of one answer, at most.
MOST_PICTURES = 8


def main() -> None:
    """Put up the fences, then answer until the other side closes."""
    settings = json.loads(sys.argv[1])
    fences.die_with(settings["parent"])
    requests, answers = _own_streams()
    work = settings["work"]
    os.chdir(work)
    standing = fences.raise_fences(
        settings["read"],
        work,
        settings["memory_bytes"],
        settings["file_bytes"],
        cuda=settings["cuda"],
    )
    # A change of credentials, as a namespace may bring one, takes the first call back.
    fences.die_with(settings["parent"])
    # From here on the kernel watches; numpy starts threads, so it could not come earlier.
    from napari_medsyn.models.isolated.frames import read_frame, write_frame

    _watch(settings["parent"])
    package = Package(settings)
    while True:
        try:
            header, arrays = read_frame(requests)
        except EOFError:
            # Not an error to report: there is nobody left to report it to.
            os._exit(0)
        try:
            told, pictures = package.answer(header, arrays)
            told["fences"] = standing
        except MemoryError:
            told, pictures = {"problem": "memory"}, {}
        except BaseException as error:  # noqa: BLE001 - also SystemExit: a package may raise anything
            told, pictures = _problem(error), {}
        write_frame(answers, told, pictures)


def _own_streams() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output for us alone; the package gets an empty and the error's."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return requests, answers


def _watch(parent: int) -> None:
    """End this process soon after the one that started it, also amid a call.

    Linux does that by itself, see `fences.die_with`; and a read that finds nobody ends it.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(0)

    # On Windows the parent's number stays what it was.
    if os.name == "posix":
        threading.Thread(target=watch, name="medsyn-lifeline", daemon=True).start()


def _problem(error: BaseException) -> dict[str, Any]:
    """An error as the other side tells it: its kind, its text, where it came from."""
    import traceback

    text = str(error)
    # torch has no class of its own for this one.
    if "DefaultCPUAllocator" in text or type(error).__name__ == "OutOfMemoryError":
        return {"problem": "memory"}
    where = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return {"problem": "error", "text": f"{type(error).__name__}: {text}"[:500], "where": where[-4000:]}  # fmt: skip  # noqa: E501


class Package:
    """The package's function, imported with the first question.

    Parameters
    ----------
    settings : as `process.Runner` writes them.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._function: Callable[..., Any] | None = None
        self._residence: Residence | None = None
        self._seed = 0

    def answer(
        self, header: dict[str, Any], arrays: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Call the function once; give what it returned as pictures.

        Parameters
        ----------
        header : `keywords` (arguments by name), `latent` (the argument that takes the
            array of this name, or None), `seed`, `resident`.
        arrays : `latent`, float32.
        """
        function = self._function or self._import()
        keywords = dict(header["keywords"])
        if header["latent"] is not None:
            # A copy, as writable as medigan's own.
            keywords[header["latent"]] = arrays["latent"].copy()
        self._seed = header["seed"]
        began = time.perf_counter()
        returned = self._call(function, keywords, resident=header["resident"])
        if self._residence is not None and not self._residence.end():
            returned = self._call(function, keywords, resident=False)
        seconds = time.perf_counter() - began
        self._tidy()
        pictures, texts = sample_of(returned)
        named = {str(number): picture for number, picture in enumerate(pictures)}
        return {"seconds": seconds, "texts": texts}, named

    def _call(
        self, function: Callable[..., Any], keywords: dict[str, Any], *, resident: bool
    ) -> Any:
        if self._residence is not None:
            self._residence.begin(resident=resident)
        self._reseed()
        return function(
            model_file=self._settings["model_file"],
            num_samples=1,
            output_path=os.path.join(self._settings["work"], "output"),
            save_images=False,
            **keywords,
        )

    def _import(self) -> Callable[..., Any]:
        """Import the package; with torch, put what keeps its networks in place first."""
        from importlib import import_module

        from napari_medsyn.models.isolated.residence import Residence, needs_torch

        settings = self._settings
        top = settings["module"]
        if needs_torch(settings["code"]):
            import torch

            self._residence = Residence(torch, settings["code"], self._reseed)
            self._residence.install()
        sys.path[:0] = [settings["root"], settings["code"]]
        self._function = getattr(import_module(top), settings["function"])
        return self._function

    def _reseed(self) -> None:
        """Have every source of random numbers begin anew with the seed."""
        import random

        import numpy as np

        random.seed(self._seed)
        np.random.seed(self._seed)  # noqa: NPY002 - the one that packages draw from
        torch = sys.modules.get("torch")
        if torch is not None:
            torch.manual_seed(self._seed)

    def _tidy(self) -> None:
        """Remove what the function wrote in spite of `save_images`."""
        import shutil

        shutil.rmtree(os.path.join(self._settings["work"], "output"), ignore_errors=True)
        os.mkdir(os.path.join(self._settings["work"], "output"))


def sample_of(returned: Any) -> tuple[list[Any], list[str]]:
    """The first sample of what a function returned: its pictures, and texts beside them.

    A function gives a list of samples; a sample is a picture, or a tuple of pictures and
    texts.

    Raises
    ------
    ValueError : it is nothing of the kind.
    """
    import numpy as np

    if returned is None:
        raise ValueError("the function returned nothing where a list of samples was expected")
    first = _first(returned)
    parts = first if isinstance(first, (tuple, list)) else [first]
    pictures, texts = [], []
    for part in parts[: 2 * MOST_PICTURES]:
        if isinstance(part, str):
            texts.append(part[:200])
        elif part is not None:
            pictures.append(_plain(np, part))
    if not pictures:
        raise ValueError("the function returned a sample without a picture")
    return pictures[:MOST_PICTURES], texts


def _first(returned: Any) -> Any:
    if isinstance(returned, (list, tuple)):
        if not returned:
            raise ValueError("the function returned an empty list")
        return returned[0]
    # An array of samples: (N, H, W) or (N, H, W, C); or a single picture.
    if getattr(returned, "ndim", 0) >= 3 and returned.shape[0] == 1:
        return returned[0]
    return returned


def _plain(np: Any, part: Any) -> Any:
    """A picture as an array of a type that can be sent."""
    if hasattr(part, "detach"):
        part = part.detach().cpu().numpy()
    array = np.asarray(part)
    if array.dtype.kind not in "buif":
        raise ValueError(f"the function returned an array of type {array.dtype}")
    if array.dtype.kind == "f":
        # Also "long double", which has no fixed size.
        return array.astype("<f4")
    return array.astype("<i4") if array.dtype.itemsize > 4 else array
