"""``python -m training.data.pack --data ../shared/data --out runs/pack.zip``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from napari_medsyn.errors import UnusableFile
from training.data.packing import pack
from training.data.sources import CACHE, data_hash


def main(argv: list[str] | None = None) -> int:
    """Pack the shared data folder; 0 when done, 2 with a sentence when it cannot be."""
    parser = argparse.ArgumentParser(prog="python -m training.data.pack", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the shared data folder")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    parser.add_argument("--cache", type=Path, default=CACHE, help="kept between runs")
    options = parser.parse_args(argv)
    start = time.monotonic()
    try:
        pack(options.data, options.out, options.cache, _tell)
        quoted = data_hash(options.out)
    except UnusableFile as error:
        print(error, file=sys.stderr)
        return 2
    size = options.out.stat().st_size / 1e6
    print(f"{options.out}: {size:.2f} MB in {time.monotonic() - start:.0f} s, data {quoted}")
    return 0


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
