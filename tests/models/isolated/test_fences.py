"""What a package's process cannot do, each tried by a package."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
from tests.models.isolated._packages import GOOD, running, try_out

from napari_medsyn.errors import EngineError
from napari_medsyn.models.isolated import fences
from napari_medsyn.models.isolated.process import Limits

linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's fences are Linux's")

#: A plain system call, past everything that Python could refuse.
RAW = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
"""


@pytest.fixture
def port() -> Iterator[int]:
    """A port of this computer on which somebody answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        Thread(target=lambda: _accept(server), daemon=True).start()
        yield server.getsockname()[1]


def _accept(server: socket.socket) -> None:
    with suppress(OSError):  # nobody may come
        server.accept()


def test_the_listening_port_can_be_reached_from_here(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()


def test_a_package_reaches_nobody(tmp_path: Path, port: int) -> None:
    said = try_out(
        tmp_path / "p",
        f"""
        import socket
        try:
            socket.create_connection(('127.0.0.1', {port}), timeout=2)
            said = 'connected'
        except OSError as error:
            said = type(error).__name__
        """,
    )

    assert said == "PermissionError"


@linux
def test_the_kernel_refuses_sockets_also_past_python(tmp_path: Path) -> None:
    said = try_out(tmp_path / "p", RAW + "said = [libc.socket(n, 1, 0) for n in (1, 2, 10)]")

    assert said == "[-1, -1, -1]"


@linux
def test_the_network_is_another_one(tmp_path: Path) -> None:
    said = try_out(tmp_path / "p", "said = os.readlink('/proc/self/ns/net')")

    assert said != os.readlink("/proc/self/ns/net")


@linux
def test_a_package_starts_no_program(tmp_path: Path) -> None:
    python = """
    import subprocess
    try:
        subprocess.run(['/bin/true'])
        said = 'started'
    except OSError as error:
        said = type(error).__name__
    """
    raw = (
        RAW
        + """
said = libc.execv(b'/bin/true', (ctypes.c_char_p * 2)(b'true', None))
"""
    )

    assert try_out(tmp_path / "p", python) == "PermissionError"
    assert try_out(tmp_path / "q", raw) == "-1"


@linux
def test_a_package_has_threads_but_no_children(tmp_path: Path) -> None:
    """A child would live on when its parent is ended for taking too long."""
    body = (
        RAW
        + """
import threading
thread = threading.Thread(target=os.getpid)
thread.start()
thread.join()
said = libc.fork()
if said == 0:
    os._exit(0)
"""
    )

    assert try_out(tmp_path / "p", body) == "-1"


@linux
def test_a_package_writes_to_its_own_folder_only(tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    raw = (
        RAW
        + f"""
said = libc.open({os.fsencode(outside)!r}, os.O_WRONLY | os.O_CREAT, 0o644)
"""
    )
    python = f"""
    with open('mine.txt', 'w') as stream:
        stream.write('mine')
    try:
        open({str(outside)!r}, 'w')
        said = 'written'
    except OSError as error:
        said = type(error).__name__
    """

    assert try_out(tmp_path / "p", python) == "PermissionError"
    assert try_out(tmp_path / "q", raw) == "-1"
    assert not outside.exists()


@linux
def test_a_package_changes_neither_itself_nor_its_copy(tmp_path: Path) -> None:
    raw = (
        RAW
        + """
said = [libc.open(os.fsencode(name), os.O_WRONLY) for name in (__file__, model_file)]
"""
    )

    assert try_out(tmp_path / "p", raw) == "[-1, -1]"


@linux
def test_a_package_does_not_read_what_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "scan.txt").write_text("a patient")
    said = try_out(
        tmp_path / "p",
        f"""
        try:
            said = open({str(tmp_path / "scan.txt")!r}).read()
        except OSError as error:
            said = type(error).__name__
        """,
    )

    assert said == "PermissionError"


@linux
@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no shared memory")  # noqa: S108
def test_shared_memory_of_others_is_not_there(tmp_path: Path) -> None:
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as scan:
        scan.write(b"a patient")
        scan.flush()
        said = try_out(
            tmp_path / "p",
            f"""
            try:
                said = open({scan.name!r}).read()
            except OSError as error:
                said = type(error).__name__
            """,
        )

    assert said in ("FileNotFoundError", "PermissionError")


@linux
def test_a_package_has_no_terminal_and_no_disc(tmp_path: Path) -> None:
    raw = RAW + "said = [libc.open(name, os.O_RDONLY) for name in (b'/dev/tty', b'/dev/kmsg')]"

    assert try_out(tmp_path / "p", raw) == "[-1, -1]"


@linux
def test_a_package_has_no_rights_over_its_namespace(tmp_path: Path) -> None:
    raw = (
        RAW
        + """
effective = [l for l in open('/proc/self/status') if l.startswith('CapEff')][0]
said = int(effective.split()[1], 16), libc.unshare(0x10000000)
"""
    )

    assert try_out(tmp_path / "p", raw) == "(0, -1)"


@linux
def test_a_package_ends_no_other_process(tmp_path: Path) -> None:
    raw = RAW + f"said = libc.kill({os.getpid()}, 0)"

    assert try_out(tmp_path / "p", raw) == "-1"


def test_a_package_gets_nothing_of_the_users_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "abc")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    said = try_out(tmp_path / "p", "said = sorted(os.environ), os.environ['HOME'] == os.getcwd()")

    assert "SECRET_TOKEN" not in said
    assert "PYTHONPATH" not in said
    assert said.endswith("True)")


@linux
def test_memory_has_a_limit(tmp_path: Path) -> None:
    greedy = GOOD.replace("    rows", "    many = np.ones(600_000_000, np.uint8)\n    rows", 1)
    limits = Limits(start_s=60, memory_bytes=500 * 2**20)

    with (
        running(tmp_path / "p", greedy, limits) as runner,
        pytest.raises(EngineError, match=r"more memory than the 0\.488 GB"),
    ):
        runner.ask({})


@linux
def test_files_have_a_limit(tmp_path: Path) -> None:
    said = try_out(
        tmp_path / "p",
        """
        try:
            open('big', 'wb').write(bytes(2 * 2**20))
        except OSError as error:
            said = error.strerror
        """,
        Limits(start_s=60, file_bytes=2**20),
    )

    assert said == "File too large"


@linux
def test_the_answer_says_which_fences_stand(tmp_path: Path) -> None:
    zero = GOOD.replace("100 * float(input_latent_vector[0, 0, 0, 0])", "0")
    with running(tmp_path / "p", zero) as runner:
        standing = set(runner.ask({}).fences)

    assert {fences.LIMITS, fences.NO_SOCKETS, fences.FILES, fences.AUDIT} <= standing


def test_python_refuses_by_itself_where_no_kernel_does(tmp_path: Path) -> None:
    """The audit hook alone, in a process of its own since it cannot be taken down."""
    import subprocess

    code = f"""
import os, socket, sys
from napari_medsyn.models.isolated import fences
fences._refuse_in_python({str(tmp_path)!r})
open({str(tmp_path / "inside")!r}, "w").close()
def refused(do, *arguments):
    try:
        do(*arguments)
    except PermissionError:
        return True
    return False
outside = {str(tmp_path.parent / "outside")!r}
print(
    refused(socket.socket().connect, ("127.0.0.1", 9)),
    refused(os.system, "true"),
    refused(open, outside, "w"),
    refused(os.open, outside, os.O_CREAT | os.O_WRONLY),
    refused(os.mkdir, outside),
    refused(os.rename, {str(tmp_path / "inside")!r}, outside),
    refused(os.symlink, outside, outside),
)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["True"] * 7
