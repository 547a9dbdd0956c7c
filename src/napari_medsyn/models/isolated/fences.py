"""What a package's process may not do, put up before anything of the package is read.

Nothing here asks the package to behave.  On Linux the kernel refuses: no sockets and no
other programs (seccomp), a network without any device (user and network namespace),
files outside its folders closed (Landlock).  Everywhere Python itself refuses the same
by an audit hook, which stops honest code and careless code, but not native code that
means to get out.  `raise_fences` says which of them stand.

Runs in the package's process, so it knows the standard library only.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

#: Names of the fences, as `raise_fences` gives them.
NETWORK_NAMESPACE = "network namespace"
NO_SOCKETS = "no sockets or programs"
FILES = "files"
LIMITS = "memory and file limits"
AUDIT = "audit hook"

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _PR_CAPBSET_DROP = 1, 38, 22, 24
_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
_MS_REC, _MS_PRIVATE, _MS_SAFE = 0x4000, 1 << 18, 0b1110
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - the system's name of it


def raise_fences(
    read: Iterable[str], write: str, memory_bytes: int, file_bytes: int, *, cuda: bool
) -> list[str]:
    """Put up every fence that this system has; give the names of those that stand.

    To be called while the process has one thread only.

    Parameters
    ----------
    read : folders that may be read besides Python's own and the system's.
    write : the one folder that may be written to.
    memory_bytes : of all data; more ends in a MemoryError.
    file_bytes : of one file that is written.
    cuda : whether a GPU is to be used, whose driver reserves far more than it takes.
    """
    standing = []
    if _limit(memory_bytes, file_bytes, cuda=cuda):
        standing.append(LIMITS)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        places = [write]
        if _leave_network(libc):
            standing.append(NETWORK_NAMESPACE)
            if _own_shared_memory(libc):
                places.append(_SHARED_MEMORY)
            _drop_capabilities(libc)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if _close_files(libc, [*read, *_python_folders()], places):
            standing.append(FILES)
        if _filter_system_calls(libc):
            standing.append(NO_SOCKETS)
    _refuse_in_python(write)
    return [*standing, AUDIT]


def die_with(parent: int) -> None:
    """Have the kernel end this process when the one that started it ends (Linux)."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


# ---- limits ------------------------------------------------------------------------


def _limit(memory_bytes: int, file_bytes: int, *, cuda: bool) -> bool:
    try:
        import resource
    except ImportError:  # Windows
        return False
    limits = [
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, 512),
        (resource.RLIMIT_CORE, 0),
    ]
    if not cuda:
        # Files that are mapped, libraries above all, count here but take no memory.
        limits.append((resource.RLIMIT_AS, memory_bytes + 16 * 2**30))
    whole = True
    for which, most in limits:
        hard = resource.getrlimit(which)[1]
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        try:
            resource.setrlimit(which, (most, most))
        except (OSError, ValueError):  # macOS does not know them all
            whole = False
    return whole


# ---- network -----------------------------------------------------------------------


def _leave_network(libc: Any) -> bool:
    """Move into a network that has no device but its own loopback, down; see namespaces(7)."""
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWNS) != 0:
        return False
    with suppress(OSError):
        # Without these the process would be nobody, whom some libraries do not expect.
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return True


def _own_shared_memory(libc: Any) -> bool:
    """Give the process shared memory of its own: the system's may hold a patient's scans."""
    if libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None) != 0:
        return False
    folder = _SHARED_MEMORY.encode()
    return bool(libc.mount(b"tmpfs", folder, b"tmpfs", _MS_SAFE, b"size=256m") == 0)


def _drop_capabilities(libc: Any) -> None:
    """Give up what the new namespace gave; see capabilities(7)."""
    for capability in range(64):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.capset(struct.pack("=Ii", 0x20080522, 0), struct.pack("=6I", *[0] * 6))


# ---- system calls ------------------------------------------------------------------

#: Audit architecture, the numbers of the system calls that are refused, and those of clone
#: and clone3; linux/audit.h and asm/unistd.h of each architecture.
_CALLS = {
    "x86_64": (
        0xC000003E,
        {
            "socket": 41, "execve": 59, "fork": 57, "vfork": 58, "ptrace": 101, "mount": 165,
            "unshare": 272, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311,
            "bpf": 321, "execveat": 322, "io_uring_setup": 425, "pidfd_getfd": 438,
        },
        (56, 435),
    ),
    "aarch64": (
        0xC00000B7,
        {
            "socket": 198, "execve": 221, "ptrace": 117, "mount": 40, "unshare": 97,
            "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271, "bpf": 280,
            "execveat": 281, "io_uring_setup": 425, "pidfd_getfd": 438,
        },
        (220, 435),
    ),
}  # fmt: skip

#: Instructions of classic BPF (linux/filter.h), places in what they look at, and answers of
#: seccomp (linux/seccomp.h).
_LOAD, _EQUAL, _AT_LEAST, _HAS_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EACCES, _ENOSYS = 13, 38
_CLONE_THREAD = 0x10000


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def _filter_system_calls(libc: Any) -> bool:
    """Have the kernel refuse sockets, other processes and ways around; see seccomp(2)."""
    if platform.machine() not in _CALLS:
        return False
    architecture, calls, (clone, clone3) = _CALLS[platform.machine()]
    refuse = (_RETURN, 0, 0, _ERROR | _EACCES)
    lines = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        # The second set of numbers that x86-64 has, for programs with short pointers.
        (_AT_LEAST, 0, 1, 0x40000000),
        refuse,
    ]
    for number in calls.values():
        lines += [(_EQUAL, 0, 1, number), refuse]
    lines += [
        # Its flags lie where no filter can look; who is told that there is no such call
        # uses clone, which may make threads only.
        (_EQUAL, 0, 1, clone3),
        (_RETURN, 0, 0, _ERROR | _ENOSYS),
        (_EQUAL, 0, 3, clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_HAS_BIT, 1, 0, _CLONE_THREAD),
        refuse,
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = b"".join(struct.pack("=HBBI", *line) for line in lines)
    program = _Program(len(lines), code)
    return bool(libc.prctl(_PR_SET_SECCOMP, 2, ctypes.byref(program), 0, 0) == 0)


# ---- files -------------------------------------------------------------------------

_RULESET, _ADD_RULE, _RESTRICT = 444, 445, 446
_WRITE_FILE, _READ_FILE, _READ_FOLDER, _REFER, _TRUNCATE = (1 << n for n in (1, 2, 3, 13, 14))
#: execute … make_sym: what the first version of Landlock knows.
_FIRST_RIGHTS = (1 << 13) - 1
_SYSTEM = (
    "/usr", "/lib", "/lib32", "/lib64", "/bin", "/etc", "/opt", "/proc", "/sys",
    "/nix/store", "/gnu/store",
)  # fmt: skip
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


def _close_files(libc: Any, read: list[str], write: list[str]) -> bool:
    """Close all files but `read`, the system's and `write`; see landlock(7)."""
    version = libc.syscall(_RULESET, None, 0, 1)
    if version < 1:
        return False
    rights = _FIRST_RIGHTS | (_REFER if version >= 2 else 0)
    rights |= _TRUNCATE if version >= 3 else 0
    # Nothing may be started, so that right is given for no folder.
    writing = rights & ~1
    # No TCP (version 4); no signals, nor hidden sockets, to processes outside (version 6).
    network = 0b11 if version >= 4 else 0
    scope = 0b11 if version >= 6 else 0
    facts = struct.pack("=QQQ", rights, network, scope)
    facts = facts[: 24 if version >= 6 else 16 if version >= 4 else 8]
    ruleset = libc.syscall(_RULESET, facts, len(facts), 0)
    if ruleset < 0:
        return False
    try:
        for folder in {*read, *_SYSTEM}:
            _open_up(libc, ruleset, folder, _READ_FILE | _READ_FOLDER)
        for folder in (*write, *_DEVICES, *_gpu_devices()):
            _open_up(libc, ruleset, folder, writing)
        return bool(libc.syscall(_RESTRICT, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _open_up(libc: Any, ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not os.path.isdir(path):
        # Rights about what is in a folder are refused for a file.
        rights &= _READ_FILE | _WRITE_FILE | _TRUNCATE
    libc.syscall(_ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, place), 0)
    os.close(place)


def _python_folders() -> list[str]:
    """Where Python and its libraries are, through links, too."""
    named = [sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path]
    places = [Path(name) for name in named if name]
    return [str(path.resolve()) for path in places if path.exists()]


def _gpu_devices() -> list[str]:
    return [str(path) for path in Path("/dev").glob("nvidia*")] + ["/dev/dri", "/dev/kfd"]


# ---- Python ------------------------------------------------------------------------

_NETWORK_EVENTS = frozenset(
    f"socket.{name}"
    for name in ("bind", "connect", "getaddrinfo", "gethostbyname", "sendmsg", "sendto")
)
_PROGRAM_EVENTS = frozenset(
    [
        "subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn",
        "os.startfile", "os.system", "pty.spawn",
    ]
)  # fmt: skip
#: Events to the positions of the paths that they change.
_CHANGES = {
    "os.chmod": (0,), "os.chown": (0,), "os.link": (1,), "os.mkdir": (0,), "os.remove": (0,),
    "os.rename": (0, 1), "os.rmdir": (0,), "os.symlink": (1,), "os.truncate": (0,),
    "os.utime": (0,), "shutil.rmtree": (0,), "shutil.move": (0, 1), "shutil.copyfile": (1,),
}  # fmt: skip
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _refuse_in_python(write: str) -> None:
    """Refuse connections, programs and changes outside `write`; see PEP 578."""
    folder = os.path.realpath(write)
    inside = _inside(folder)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _NETWORK_EVENTS:
            raise PermissionError("a model package has no network")
        if event in _PROGRAM_EVENTS:
            raise PermissionError("a model package may not start programs")
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITES and not inside(path):
                raise PermissionError(f"a model package may only write to {folder}")
        elif event in _CHANGES and not all(inside(arguments[i]) for i in _CHANGES[event]):
            raise PermissionError(f"a model package may only write to {folder}")

    sys.addaudithook(hook)


def _inside(folder: str) -> Callable[[Any], bool]:
    def inside(path: Any) -> bool:
        if isinstance(path, int):  # a file that is open already
            return True
        name = os.path.realpath(os.fsdecode(path))
        return name == folder or name.startswith((folder + os.sep, "/dev/"))

    return inside
