"""What `medsyn` says, and where: answers on standard output, all else on standard error."""

from __future__ import annotations

import json
import sys
from typing import Any


def show(text: str) -> None:
    """Print (part of) the answer of a command."""
    print(text)  # noqa: T201 - this is the command line


def show_json(value: Any) -> None:
    """Print the answer of a command as JSON."""
    show(json.dumps(value, indent=2))


def say(sentence: str, status: int = 0) -> int:
    """Print one line on standard error, whatever the sentence holds; give `status`."""
    print(f"medsyn: {' '.join(sentence.split())}", file=sys.stderr)  # noqa: T201
    return status
