"""What was looked at in a model, and what came of it, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Parameters
    ----------
    name : what, in a word or two: "plan", "control latent".
    ok : whether it is as it must be.
    sentence : what was seen, with figures.
    is_warning : `ok`, but somebody should read it.
    """

    name: str
    ok: bool
    sentence: str
    is_warning: bool = False

    @property
    def verdict(self) -> str:
        """In one word: "ok", "warning" or "failed"."""
        if not self.ok:
            return "failed"
        return "warning" if self.is_warning else "ok"

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "name": self.name,
            "ok": self.ok,
            "verdict": self.verdict,
            "sentence": self.sentence,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All checks of one package.

    Parameters
    ----------
    model, version : of the card.
    checks : in the order in which they were made.
    """

    model: str
    version: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return all(check.ok for check in self.checks)

    @property
    def summary(self) -> str:
        """Counts, for people: "12 checks: 9 ok, 2 warning, 1 failed"."""
        verdicts = [check.verdict for check in self.checks]
        counts = ((word, verdicts.count(word)) for word in ("ok", "warning", "failed"))
        told = [f"{count} {word}" for word, count in counts if count]
        return f"{counted(len(verdicts), 'check')}: {', '.join(told)}"

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "model": self.model,
            "version": self.version,
            "ok": self.ok,
            "checks": [check.as_dict() for check in self.checks],
        }


def passed(name: str, sentence: str) -> Check:
    """A check that came out well."""
    return Check(name, True, sentence)


def warned(name: str, sentence: str) -> Check:
    """A check that came out well enough, with something to be read."""
    return Check(name, True, sentence, is_warning=True)


def failed(name: str, sentence: str) -> Check:
    """A check that did not come out as it must."""
    return Check(name, False, sentence)


def counted(count: int, what: str) -> str:
    """A number with its noun: "1 slice", "2 slices"."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
