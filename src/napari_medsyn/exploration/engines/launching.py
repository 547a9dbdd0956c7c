"""Starting the child that computes, and ending it."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Client, Connection, Listener
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import IO, Any, Final

from napari_medsyn.errors import EngineError

#: A computer that takes longer than this to start Python has another problem.
START_LIMIT_S: Final = 120.0

_MODULE: Final = "napari_medsyn.exploration.engines.child"


class Child:
    """A running child process and the connection to it.

    Parameters
    ----------
    families : family to "module:function"; None for those of `models.families`.

    Raises
    ------
    EngineError : it did not come up; says what it printed.
    """

    def __init__(self, families: Mapping[str, str] | None = None) -> None:
        # Open for as long as the child lives: a pipe that nobody reads would fill and block it.
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        key = secrets.token_bytes(32)
        with _listener(key) as listener:
            # -P: a file called torch.py in the current folder is not to be imported.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", _MODULE],
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=self._log,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
            address = listener.address
            # The key goes through the pipe: arguments and environment can be read by others.
            self._tell({"address": address, "key": key.hex(), "families": families})
            self.connection: Connection[Any, Any] = self._accept(listener, key)

    def send(self, message: Any) -> bool:
        """Send a message; False if the child is gone."""
        try:
            self.connection.send(message)
        except OSError:
            return False
        return True

    def end(self) -> None:
        """End the child at once, whatever it does."""
        self._process.kill()
        self._process.wait()
        self._log.close()
        # Closing flushes, and nobody reads it any more.
        with suppress(BrokenPipeError):
            self._stdin.close()

    def obituary(self) -> tuple[str, str]:
        """Why it ended, as a phrase for the user, and what it printed last.

        Waits for its end; to be asked before `end`.
        """
        code = self._process.wait()
        if code == -9:
            why = "it was killed, perhaps because memory ran out"
        elif code < 0:
            why = f"it was ended by signal {-code}"
        else:
            why = f"exit code {code}"
        return why, self._printed()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def _stdin(self) -> IO[bytes]:
        if self._process.stdin is None:
            raise RuntimeError("the child was started without a pipe")
        return self._process.stdin

    def _tell(self, facts: Mapping[str, Any]) -> None:
        # The pipe stays open: its end is how the child learns that this process has died.
        with suppress(BrokenPipeError):
            self._stdin.write(json.dumps(facts).encode() + b"\n")
            self._stdin.flush()

    def _accept(self, listener: Listener, key: bytes) -> Connection[Any, Any]:
        """Wait for the child to call, or for its end."""
        calls: SimpleQueue[Connection[Any, Any] | None] = SimpleQueue()

        def wait() -> None:
            try:
                calls.put(listener.accept())
            except (OSError, EOFError):
                calls.put(None)

        Thread(target=wait, name="medsyn-accept", daemon=True).start()
        limit = monotonic() + START_LIMIT_S
        while self._process.poll() is None and monotonic() < limit:
            with suppress(Empty):
                connection = calls.get(timeout=0.05)
                if connection is not None:
                    return connection
        # `accept` has no limit of its own: call it ourselves, so that the thread ends.
        with suppress(OSError, EOFError):
            Client(listener.address, authkey=key).close()
        self._process.kill()
        why, printed = self.obituary()
        self.end()
        raise EngineError(
            f"The engine could not be started ({why}). Is napari-medsyn installed whole? "
            "`medsyn --version` in a terminal tells.",
            printed,
        )

    def _printed(self) -> str:
        """The last lines of what the child printed."""
        length = self._log.seek(0, 2)
        self._log.seek(max(0, length - 4000))
        return self._log.read().decode(errors="replace").strip()


def _listener(key: bytes) -> Listener:
    """A place for the child to call: a socket or pipe, or a port of this computer only."""
    try:
        return Listener(authkey=key)
    except OSError:
        # The name of a socket has at most about 100 letters, and TMPDIR may have more.
        return Listener(("127.0.0.1", 0), authkey=key)
