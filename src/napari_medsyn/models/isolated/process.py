"""Our side of a package's process: started, asked, and ended when it does not answer.

The process gets a copy of the package that is compared with the card after it was made,
so that nothing can be changed between the check and the start; a folder of its own to
write to; an environment with nothing of the user's in it; and pipes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import EngineError, UnusableModel
from napari_medsyn.models.families import usable_cpus
from napari_medsyn.models.isolated.architecture import PythonArchitecture
from napari_medsyn.models.isolated.frames import BadFrame, read_frame, write_frame
from napari_medsyn.models.isolated.watching import Watchdog
from napari_medsyn.registry.card import CARD_NAME, ModelCard
from napari_medsyn.registry.consent import require_consent
from napari_medsyn.registry.packages import CODE, verify

#: What is copied beside the package, under the same names, to run on the other side.
_MODULES: Final = ("runner", "frames", "fences", "residence")
_PREFIX: Final = "medsyn-package-"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a package may take.

    Parameters
    ----------
    start_s : for its first answer: imports, reading weights.
    call_s : for every other one.
    memory_bytes : of all its data.
    file_bytes : of one file that it writes.
    """

    start_s: float = 300.0
    call_s: float = 60.0
    memory_bytes: int = 8 * 2**30
    file_bytes: int = 64 * 2**20


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """What a package gave for one call.

    Parameters
    ----------
    pictures : as they came, in order.
    texts : what it said beside them.
    seconds : that the function itself took.
    fences : names of those that stand around it, see `fences`.
    """

    pictures: tuple[NDArray[Any], ...]
    texts: tuple[str, ...]
    seconds: float
    fences: tuple[str, ...]


class Runner:
    """A running process of one package.

    Parameters
    ----------
    python : the interpreter that has what the package imports.
    package : the folder.
    card : of the package.
    architecture : of the card.
    limits : what it may take.
    device : "cpu" hides every GPU from it.

    Raises
    ------
    UnusableModel : there is no consent, or the copy is not what the card says.
    EngineError : the process could not be started.
    """

    def __init__(
        self,
        python: Path,
        package: Path,
        card: ModelCard,
        architecture: PythonArchitecture,
        limits: Limits,
        device: str = "cpu",
    ) -> None:
        _remove_left_over()
        self._name = card.id
        self._limits = limits
        self._is_started = False
        place = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")).resolve()
        self._log = place / "log"
        self._folder = weakref.finalize(self, shutil.rmtree, place, ignore_errors=True)
        try:
            code = _copy_package(package, card, place / "root" / architecture.at)
            command = _lay_out(place, code, architecture, limits, device)
            self._process = _start([str(python), *command], place, device)
        except BaseException:
            self._folder()
            raise
        self._end = weakref.finalize(self, _end, self._process)
        self._watchdog = Watchdog(self._process.kill)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._folder.alive and self._process.poll() is None

    def ask(
        self,
        keywords: Mapping[str, Any],
        *,
        seed: int = 0,
        latent: tuple[str, NDArray[np.float32]] | None = None,
        resident: bool = False,
    ) -> Sample:
        """Have the package's function called once.

        Parameters
        ----------
        keywords : arguments by name, JSON values.
        seed : of every source of random numbers, set before the call.
        latent : name of the argument that takes it, and (1, size, 1, 1) float32.
        resident : whether networks may be those of earlier calls.

        Raises
        ------
        EngineError : no answer in time, the process ended, or the package failed; it is
            ended then, unless the package only raised an error.
        """
        argument, array = latent if latent is not None else (None, None)
        question = {
            "keywords": dict(keywords),
            "seed": seed,
            "latent": argument,
            "resident": resident,
        }
        arrays = {} if array is None else {"latent": array}
        with suppress(OSError):  # it is gone, which the answer will say
            write_frame(cast("Any", self._process.stdin), question, arrays)
        limit = self._limits.call_s if self._is_started else self._limits.start_s
        header, pictures = self._answer(limit)
        self._is_started = True
        return _sample(self._name, header, pictures, self._limits)

    def close(self) -> None:
        """End it, whatever it does, and remove its folder."""
        self._end()
        self._folder()

    def _answer(self, limit_s: float) -> Any:
        """The next frame; ends the process if there is none in time."""
        try:
            with self._watchdog.until(limit_s):
                return read_frame(cast("Any", self._process.stdout))
        except (EOFError, OSError, ValueError, BadFrame) as error:
            # Read on this thread: through another one, every picture would wait twice for
            # the processor.
            sentence = self._obituary(error, limit_s)
            self.close()
            raise EngineError(sentence) from error

    def _obituary(self, why: Exception, limit_s: float) -> str:
        """Why there was no answer, as a sentence for the user."""
        if self._watchdog.has_bitten:
            return (
                f"The package {self._name} took longer than {limit_s:g} s and was ended; your "
                "scans and results are safe."
            )
        if isinstance(why, BadFrame):
            return f"The package {self._name} gave an answer that cannot be read ({why})."
        code = self._process.wait()
        printed = self._log.read_bytes()[-500:].decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(printed) if line.strip()), "")
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        said = f"; the last it printed was: {last}" if last else ""
        return (
            f"The process of the package {self._name} ended ({how}{said}). Your scans and "
            "results are safe; it starts again with the next request."
        )


# ---- the copy ------------------------------------------------------------------------


def _copy_package(package: Path, card: ModelCard, target: Path) -> Path:
    """Copy the package, check the copy, and put its code at `target`.

    Raises
    ------
    UnusableModel : the copy is not what the card says, or the user did not consent to it.
    """
    copy = target.parent / ".package"
    target.parent.mkdir(parents=True)
    for name in (CARD_NAME, *(file.name for file in card.files)):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(package / name, copy / name, follow_symlinks=False)
        except OSError as error:
            raise UnusableModel(f"{package / name}: cannot be read ({error.strerror})") from error
    if verify(copy) != card:
        raise UnusableModel(f"{package}: the card has changed; choose the model again")
    require_consent(copy, card, shown=package)
    (copy / CODE).rename(target)
    shutil.rmtree(copy)
    if os.name == "posix":  # on Windows such a file cannot be removed
        for path in target.rglob("*"):
            if path.is_file():
                path.chmod(0o400)
    return target


def _lay_out(
    place: Path, code: Path, architecture: PythonArchitecture, limits: Limits, device: str
) -> list[str]:
    """Make the process's folders; give the arguments of its Python."""
    ours = place / "runner" / "napari_medsyn" / "models" / "isolated"
    ours.mkdir(parents=True)
    for folder in (ours, ours.parent, ours.parents[1]):
        (folder / "__init__.py").write_text("")
    for name in _MODULES:
        shutil.copyfile(Path(__file__).with_name(f"{name}.py"), ours / f"{name}.py")
    start = "from napari_medsyn.models.isolated.runner import main\n\nmain()\n"
    (place / "runner" / "__main__.py").write_text(start)
    work = place / "work"
    (work / "output").mkdir(parents=True)
    root, first = place / "root", architecture.at.partition("/")[0]
    with suppress(OSError):
        # medigan's packages name their own files by paths from the current folder.
        (work / first).symlink_to(root / first, target_is_directory=True)
    settings = {
        "parent": os.getpid(),
        "work": str(work),
        "read": [str(root), str(place / "runner")],
        "memory_bytes": limits.memory_bytes,
        "file_bytes": limits.file_bytes,
        "cuda": device != "cpu",
        "root": str(root),
        "code": str(code),
        "module": architecture.module,
        "function": architecture.function,
        "model_file": str(code / architecture.weights.removeprefix(CODE)),
    }
    # -I: no PYTHON… variables, no user's packages, no current folder; -B: no files of ours.
    return ["-I", "-B", str(place / "runner"), json.dumps(settings)]


def _remove_left_over() -> None:
    """Remove folders of processes whose parent was killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdigit() and not _is_alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    if sys.platform == "win32":
        # There, signal 0 would end the process instead of asking for it.
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


# ---- the process ---------------------------------------------------------------------


def _start(command: list[str], place: Path, device: str) -> subprocess.Popen[bytes]:
    """Start it from a thread that stays.

    The kernel ends the process with the *thread* that started it (PR_SET_PDEATHSIG), and
    the caller's may be a worker that is done in a minute.
    """
    started: SimpleQueue[subprocess.Popen[bytes] | OSError] = SimpleQueue()

    def start_and_wait() -> None:
        try:
            with (place / "log").open("wb") as log:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    cwd=place / "work",
                    env=_environment(place / "work", device),
                    # No terminal: it could be typed into.
                    start_new_session=True,
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
        except OSError as error:
            started.put(error)
            return
        started.put(process)
        process.wait()

    threading.Thread(target=start_and_wait, name="medsyn-package-life", daemon=True).start()
    process = started.get()
    if isinstance(process, OSError):
        raise EngineError(f"{command[0]} could not be started ({process.strerror}).")
    return process


def _environment(work: Path, device: str) -> dict[str, str]:
    """Variables of the process: nothing of the user's but where the system is."""
    home = str(work)
    variables = {
        "HOME": home, "TMPDIR": home, "TEMP": home, "TMP": home, "USERPROFILE": home,
        "XDG_CACHE_HOME": home, "MPLCONFIGDIR": home, "MPLBACKEND": "Agg",
        "LANG": "C.UTF-8", "PATH": os.defpath, "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(usable_cpus()),
    }  # fmt: skip
    if device == "cpu":
        variables["CUDA_VISIBLE_DEVICES"] = ""
    for name in ("SYSTEMROOT", "CUDA_VISIBLE_DEVICES"):
        if name in os.environ and name not in variables:
            variables[name] = os.environ[name]
    return variables


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        with suppress(OSError):
            cast("IO[bytes]", stream).close()


def _sample(
    name: str, header: dict[str, Any], pictures: dict[str, NDArray[Any]], limits: Limits
) -> Sample:
    """An answer, or the error that it tells."""
    problem = header.get("problem")
    if problem == "memory":
        raise EngineError(
            f"The package {name} needs more memory than the {limits.memory_bytes / 2**30:.3g} GB "
            "it may take; your scans and results are safe."
        )
    if problem is not None:
        error = EngineError(f"The package {name} failed ({header.get('text', problem)}).")
        error.add_note(str(header.get("where", "")))
        raise error
    try:
        return Sample(
            tuple(pictures.values()),
            tuple(str(text) for text in header["texts"]),
            float(header["seconds"]),
            tuple(str(fence) for fence in header["fences"]),
        )
    except (KeyError, TypeError, ValueError) as wrong:
        raise EngineError(f"The package {name} gave an answer that cannot be read.") from wrong
