"""Where a run computes, its random numbers, and what is noted about both."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

#: Packages whose version can change what a run computes.
PACKAGES = ("torch", "numpy", "scipy", "scikit-image", "safetensors")


@dataclass(frozen=True)
class Machine:
    """A device, and the precision to compute in.

    Parameters
    ----------
    precision : "bf16" lets `autocast` choose bfloat16 where that is safe; "float32" does not.
    """

    device: torch.device
    precision: str = "bf16"

    @classmethod
    def of(cls, device: str, precision: str) -> Machine:
        """The device of that name; "auto" is a GPU where there is one.

        Raises
        ------
        ValueError : there is no such device or precision.
        """
        if precision not in ("bf16", "float32"):
            raise ValueError(f"precision {precision!r} is not bf16 or float32")
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise ValueError(f"torch sees no GPU, so --device {device} cannot be; use cpu")
        return cls(torch.device(device), precision)

    def autocast(self) -> AbstractContextManager[Any]:
        """Automatic mixed precision around a forward pass, if the run wants it."""
        enabled = self.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)


def seed_of(seed: int, step: int, stream: int = 0) -> int:
    """A 32-bit seed for one step, as good as independent of those of other steps."""
    return int(np.random.SeedSequence([seed, step, stream]).generate_state(1)[0])


def generator_of(seed: int, step: int, stream: int = 0) -> torch.Generator:
    """A CPU generator of one step's own."""
    return torch.Generator().manual_seed(seed_of(seed, step, stream))


def hardware() -> dict[str, Any]:
    """Processor, cores and GPU."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"cpu": _processor(), "cores": os.cpu_count(), "gpu": gpu}


def versions() -> dict[str, str]:
    """Of Python and of `PACKAGES`."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def commit(folder: Path = Path(__file__).parent) -> str | None:
    """The commit that is checked out, ``+`` behind it if files differ; None outside git."""
    head = _git(folder, "rev-parse", "HEAD")
    if head is None:
        return None
    return head + ("+" if _git(folder, "status", "--porcelain", "-uno") else "")


def command(module: str, arguments: Sequence[str]) -> str:
    """The command line to start the same run again."""
    return shlex.join(["python", "-m", module, *arguments])


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):  # no git, or no repository
        return None
    return done.stdout.strip()


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine()
