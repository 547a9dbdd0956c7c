"""Peak memory of ``medsyn impute`` on a 182 × 218 × 182 study of three scans.

``python -m benchmarks.memory [--data ../shared/data] [--samples 8]``

The resident memory of the command and of all its children is added up every 20 ms; the
system's own high-water mark of the command is the least that is reported.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, sleep

from benchmarks.reporting import processor, report
from benchmarks.studies import generated_study
from napari_medsyn.scans.writing import write_scan

GIVEN = ("T1", "T2", "FLAIR")
TARGET_GB = 3.0
EVERY_S = 0.02


def inputs(data: Path, folder: Path) -> list[Path]:
    """Files of the three scans: real ones where there are some, else written to `folder`."""
    real = [data / "ms" / "patient07" / f"{m}.nii.gz" for m in GIVEN]
    if all(path.exists() for path in real):
        return real
    files = []
    for scan in generated_study(GIVEN):
        files.append(folder / f"{scan.modality}.nii.gz")
        write_scan(scan, files[-1])
    return files


def peak_of(command: list[str]) -> tuple[float, float, int]:
    """Run a command: peak resident memory of its tree in GB, seconds, processes seen."""
    began = perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    most, seen = 0, 1
    while process.poll() is None:
        family = _tree(process.pid)
        seen = max(seen, len(family))
        most = max(most, sum(_resident_bytes(pid) for pid in family))
        sleep(EVERY_S)
    if process.returncode != 0:
        raise SystemExit(f"the command failed with exit code {process.returncode}")
    # Kilobytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    most = max(most, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit)
    return most / 1e9, perf_counter() - began, seen


def _tree(root: int) -> list[int]:
    """A process and all below it; only itself where there is no /proc."""
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                todo += map(int, tasks.read_text().split())
            except OSError:  # it has ended meanwhile
                continue
    return found


def _resident_bytes(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):  # it has ended meanwhile
        return 0
    return pages * resource.getpagesize()


def main() -> None:
    """Measure, print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--samples", type=int, nargs="*", default=[8])
    args = parser.parse_args()
    rows = []
    for samples in args.samples:
        with tempfile.TemporaryDirectory() as temporary:
            files = inputs(args.data, Path(temporary))
            command = [sys.executable, "-m", "napari_medsyn.cli", "impute"]
            for modality, path in zip(GIVEN, files, strict=True):
                command += ["--input", f"{modality}={path}"]
            command += ["--samples", str(samples), "--out", str(Path(temporary) / "out")]
            peak, seconds, processes = peak_of([*command, "--all-outputs"])
        rows.append(
            {
                "what": "medsyn impute, 3 scans of 182 × 218 × 182",
                "samples": samples,
                "peak GB": peak,
                "target": TARGET_GB,
                "seconds": seconds,
                "processes": processes,
            }
        )
    report("memory", rows, processor=processor())


if __name__ == "__main__":
    main()
