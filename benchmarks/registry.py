"""How long listing and searching ten thousand models takes.

``python -m benchmarks.registry``

Writes that many small packages to a temporary folder, lists them for the first time, again
in a new process' place (from the index on disk) and again in the same one, and searches.
The naive way, for comparison, reads every card with `json` and looks for the word in it.
On a busy machine, the processor's time is the one to look at.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from safetensors.numpy import save

from benchmarks.reporting import processor, report
from napari_medsyn.registry import indexing
from napari_medsyn.registry.catalogue import Catalogue
from napari_medsyn.registry.ranking import rank
from napari_medsyn.registry.searching import Operator, search
from napari_medsyn.resources import folder as resources

#: What is searched for: rare, in every card, several words, with synonyms, in one field.
SEARCHES: tuple[tuple[tuple[str, ...], Operator], ...] = (
    (("no-such-word",), "and"),
    (("brain",), "and"),
    (("mammography", "1x1", "patients"), "and"),
    (("model 4711", "model 4712", "chest x-ray"), "or"),
    (("t1w", "mri", "gan"), "xor"),
    (("tag:group-17",), "and"),
)


def write_packages(folder: Path, count: int) -> None:
    """Packages whose cards are as long as that of a model that ships with us."""
    weights = save({"x": np.zeros(4, np.float32)})
    shipped = resources() / "models" / "mmhvae-brain-mr-1mm" / "card.json"
    card = json.loads(shipped.read_text(encoding="utf-8"))
    metrics, card["metrics"] = card["metrics"][:8], []
    sha256 = hashlib.sha256(weights).hexdigest()
    card["files"] = [{"name": "weights.safetensors", "bytes": len(weights), "sha256": sha256}]
    rng = np.random.default_rng(0)
    for number in range(count):
        package = folder / f"model-{number:05d}"
        package.mkdir(parents=True)
        (package / "weights.safetensors").write_bytes(weights)
        fid = {"name": "FID", "direction": "lower", "data_set": f"set {number % 9}", "n": 100}
        own = {
            "id": package.name,
            "name": f"Model {number}",
            "tags": [f"group-{number % 100}"],
            "metrics": [*metrics, {**fid, "value": round(float(rng.uniform(5, 300)), 2)}],
        }
        (package / "card.json").write_text(json.dumps({**card, **own}), encoding="utf-8")


def naive(folder: Path, word: str) -> int:
    """How many cards hold a word, by reading each."""
    cards = (package / "card.json" for package in folder.iterdir())
    texts = (json.dumps(json.loads(card.read_text(encoding="utf-8"))) for card in cards)
    return sum(word in text.lower() for text in texts)


def timed(work: Callable[[], Any], repeats: int = 1) -> tuple[dict[str, float], Any]:
    """Median time on the clock and of the processor, ms, and what `work` gives."""
    clock, processor_time, answer = [], [], None
    for _ in range(repeats):
        began, began_working = time.perf_counter(), time.process_time()
        answer = work()
        clock.append(1e3 * (time.perf_counter() - began))
        processor_time.append(1e3 * (time.process_time() - began_working))
    return {
        "ms": statistics.median(clock),
        "cpu ms": statistics.median(processor_time),
    }, answer


def listing(folder: Path, repeats: int) -> tuple[list[dict[str, Any]], Catalogue]:
    """First listing, from the index on disk, and again by the same catalogue."""
    first, _ = timed(lambda: Catalogue([(folder, "user")]).entries())
    cached, _ = timed(lambda: Catalogue([(folder, "user")]).entries(), repeats)
    catalogue = Catalogue([(folder, "user")])
    catalogue.entries()
    again, entries = timed(catalogue.entries, repeats)
    rows = [
        {"what": what, "found": len(entries), **times, "wanted": ""}
        for what, times in (
            ("list, first time", first),
            ("list, from the index", cached),
            ("list again", again),
        )
    ]
    return rows, catalogue


def searching(catalogue: Catalogue, repeats: int) -> list[dict[str, Any]]:
    """Each search over the listed entries, and ranking all of them."""
    entries = catalogue.entries()
    rows = []
    for words, operator in SEARCHES:
        times, found = timed(lambda w=words, o=operator: search(entries, w, o), repeats)
        what = f"search {f' {operator} '.join(words)}"
        rows.append({"what": what, "found": len(found), **times, "wanted": "< 50 ms"})
    for what in ("rank FID, first time", "rank FID again"):
        times, ranked = timed(lambda: rank(entries, "FID"))
        rows.append({"what": what, "found": len(ranked), **times, "wanted": ""})
    return rows


def main() -> None:
    """Measure, print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cards", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, mock.patch.dict(os.environ, MEDSYN_HOME=home):
        folder = Path(home) / "models"
        write_packages(folder, args.cards)
        # Files that are younger are not remembered, see `indexing`.
        time.sleep(indexing.SETTLED_NS / 1e9)
        rows, catalogue = listing(folder, args.repeats)
        rows += searching(catalogue, args.repeats)
        slow, found = timed(lambda: naive(folder, "brain"))
    rows.append({"what": "naive scan for brain", "found": found, **slow, "wanted": ""})
    (fast,) = (row["cpu ms"] for row in rows if row["what"] == "search brain")
    report(
        "registry",
        rows,
        naive_over_search=round(slow["cpu ms"] / fast, 1),
        processor=processor(),
        python=sys.version.split()[0],
    )


if __name__ == "__main__":
    main()
