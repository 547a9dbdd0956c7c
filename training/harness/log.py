"""``log.jsonl``: means of what a run was trained on, and what it was validated with."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor


class Log:
    """One file of lines, and the sums of the terms that the next line is the mean of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sums: dict[str, Tensor | float] = defaultdict(float)
        self._counts: dict[str, int] = defaultdict(int)

    def add(self, terms: Mapping[str, Tensor | float]) -> None:
        """Take in the terms of one turn; scalars."""
        for name, value in terms.items():
            # Left on the device: reading it would wait for the GPU at every step.
            self._sums[name] += value.detach() if isinstance(value, Tensor) else value
            self._counts[name] += 1

    def take_means(self) -> dict[str, float]:
        """Means of the terms since the last time."""
        means = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        self._sums.clear()
        self._counts.clear()
        return means

    def write(self, step: int, minutes: float, kind: str, values: Mapping[str, float]) -> None:
        """Append a line; the figures' names are ``<kind>/<name>``."""
        line = {"step": step, "minutes": round(minutes, 2)}
        line |= {f"{kind}/{name}": round(value, 5) for name, value in values.items()}
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def lines(self) -> list[dict[str, Any]]:
        """All lines."""
        text = self.path.read_text() if self.path.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def forget_after(self, step: int) -> None:
        """Drop what a session that was killed wrote after its last checkpoint."""
        kept = [json.dumps(line) + "\n" for line in self.lines() if line["step"] <= step]
        self.path.write_text("".join(kept))
