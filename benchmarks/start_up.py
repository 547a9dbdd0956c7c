"""What starting costs: import time, and what napari loads because the plugin is there.

``python -m benchmarks.start_up``

Every figure comes from fresh interpreters.  Without a display, napari is opened under
xvfb-run if there is one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from typing import Any

from benchmarks.reporting import processor, report

#: Libraries that belong to the engine's process.
HEAVY = ("torch", "SimpleITK", "monai")

IMPORT = """
import time
began = time.perf_counter()
import napari_medsyn
print(time.perf_counter() - began)
"""

OPEN = """
import json, sys, time
began = time.perf_counter()
import napari
viewer = napari.Viewer(show=False)
opened = time.perf_counter()
dock = sys.argv[1] == "dock"
if dock:
    viewer.window.add_plugin_dock_widget("napari-medsyn")
    from qtpy.QtWidgets import QApplication
    QApplication.processEvents()
docked = time.perf_counter()
from npe2 import PluginManager
known = "napari-medsyn" in {m.name for m in PluginManager.instance().iter_manifests()}
loaded = sorted(set(sys.modules) & set(sys.argv[2].split(",")))
ours = sum(name.split(".")[0] == "napari_medsyn" for name in sys.modules)
viewer.close()
print(json.dumps({"known": known, "loaded": loaded, "ours": ours,
                  "open": opened - began, "dock": docked - opened}))
"""


def fresh(code: str, *arguments: str, prefix: tuple[str, ...] = ()) -> str:
    """The last line that `code` prints in an interpreter of its own."""
    done = subprocess.run(
        [*prefix, sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"failed: {done.stderr.strip()[-2000:]}")
    return done.stdout.splitlines()[-1]


def importing(repeats: int) -> dict[str, Any]:
    """``import napari_medsyn``; the best, since other work on the machine only adds."""
    seconds = [float(fresh(IMPORT)) for _ in range(repeats)]
    return {
        "what": "import napari_medsyn",
        "ms": 1e3 * min(seconds),
        "median ms": 1e3 * statistics.median(seconds),
        "target": "< 50 ms",
        "loaded": "",
    }


def opening(dock: bool) -> dict[str, Any]:
    """Open a viewer, with or without the dock, and see which heavy libraries came along."""
    prefix: tuple[str, ...] = ()
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        if shutil.which("xvfb-run") is None:
            raise SystemExit("napari needs a display; install xvfb, or use --no-viewer")
        prefix = ("xvfb-run", "-a")
    what = "dock" if dock else "viewer"
    facts = json.loads(fresh(OPEN, what, ",".join(HEAVY), prefix=prefix))
    if not facts["known"]:
        raise SystemExit("napari does not know the plugin; install napari-medsyn first")
    return {
        "what": "napari with the plugin, dock opened" if dock else "napari with the plugin",
        "ms": 1e3 * (facts["dock"] if dock else facts["open"]),
        "median ms": None,
        "target": f"no {', no '.join(HEAVY)}",
        "loaded": ", ".join(facts["loaded"]) or f"none ({facts['ours']} modules of ours)",
    }


def main() -> None:
    """Measure, print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--no-viewer", action="store_true", help="measure the import only")
    args = parser.parse_args()
    rows = [importing(args.repeats)]
    if not args.no_viewer:
        rows += [opening(dock=False), opening(dock=True)]
    report("start_up", rows, processor=processor(), python=sys.version.split()[0])


if __name__ == "__main__":
    main()
