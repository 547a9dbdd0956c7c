"""Running `medsyn` as a program of its own.

What imports and tests load (torch, foreign files of any size) stays out of the process
that draws the window, and can be ended at any moment.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from napari_medsyn.errors import Cancelled, EngineError


@dataclass(frozen=True, slots=True)
class Printed:
    """What a program left: its exit status, its answer, and what else it said."""

    status: int
    answer: str
    said: str

    @property
    def sentences(self) -> tuple[str, ...]:
        """What `medsyn` said on standard error, a sentence a line, without its name."""
        lines = (line.removeprefix("medsyn: ").strip() for line in self.said.splitlines())
        return tuple(line for line in lines if line)


class Program:
    """`medsyn` with some arguments, to be run on a worker thread.

    Parameters
    ----------
    arguments : as on the command line.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self._command = [sys.executable, "-P", "-m", "napari_medsyn.cli", *arguments]
        self._process: subprocess.Popen[str] | None = None
        self._is_cancelled = False
        self._lock = Lock()

    def run(self) -> Printed:
        """Run it and wait for its end.

        Raises
        ------
        EngineError : it cannot be started.
        Cancelled : `cancel` was called.
        """
        with self._lock:
            if self._is_cancelled:
                raise Cancelled("Cancelled.")
            self._process = self._start()
        answer, said = self._process.communicate()
        if self._is_cancelled:
            raise Cancelled("Cancelled.")
        return Printed(self._process.returncode, answer, said)

    def cancel(self) -> None:
        """End it at once, from any thread; `run` then raises."""
        with self._lock:
            self._is_cancelled = True
            if self._process is not None:
                self._process.kill()

    def _start(self) -> subprocess.Popen[str]:
        try:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise EngineError(f"medsyn could not be started ({error.strerror}).") from error
