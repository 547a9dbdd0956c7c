"""The family "python": models whose package brings the code that runs them.

The code never runs in this process.  It runs behind the fences of `process` with the
user's consent, its latent, class and other arguments set by the card's controls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableModel
from napari_medsyn.models.family import ControlValues, Region
from napari_medsyn.models.isolated.architecture import read_architecture
from napari_medsyn.models.isolated.environment import interpreter
from napari_medsyn.models.isolated.fences import FILES, NETWORK_NAMESPACE, NO_SOCKETS
from napari_medsyn.models.isolated.pictures import Range, layers_of, settle_range, volumes
from napari_medsyn.models.isolated.process import Limits, Runner, Sample
from napari_medsyn.models.whole import Images, WholeImageFamily
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.consent import require_consent

#: Seeds of the two drawings that tell whether networks may stay in memory.
_FIRST, _SECOND = 1, 2

_GB: Final = 2**30


class IsolatedFamily(WholeImageFamily):
    """A package's function as a family.

    Parameters
    ----------
    card : of the package.
    package : the folder.
    device : "cpu" hides every GPU from the package.
    limits : what it may take; by default as the card and this computer say.

    Raises
    ------
    UnusableModel : there is no consent, or no Python that has what the package needs.
    EngineError : it does not start, or its first drawings fail.
    """

    def __init__(
        self, card: ModelCard, package: Path, device: str, limits: Limits | None = None
    ) -> None:
        super().__init__(card)
        if card.grid.dim != "2D":
            raise UnusableModel(
                f"{card.id}: packages with code give single images; grid.dim is not 2D"
            )
        # Before an environment is looked for: what it needs is not yet worth a word.
        require_consent(package, card)
        self._architecture = read_architecture(card)
        self._package = package
        self._device = device
        self._limits = limits or _limits(card)
        self._defaults = {c.name: getattr(c, "default", None) for c in card.controls}
        self._runner: Runner | None = None
        self._ranges: list[Range] = []
        #: Whether networks stay in memory between calls.
        self.is_resident = False
        #: Fences that stand around the package's process.
        self.fences: tuple[str, ...] = ()
        self._try_out()

    def draw(self, controls: Sequence[ControlValues]) -> Sequence[Images]:
        """One set of images for each of `controls`, one call each: see `WholeImageFamily`.

        Raises
        ------
        EngineError : the package failed, took too long, or gave something else than its
            card says; the next call starts it again.
        """
        # Consent may have been withdrawn since.
        require_consent(self._package, self.card)
        runner = self._running()
        drawn = []
        for values in controls:
            sample = self._ask(runner, {**self._defaults, **values}, resident=self.is_resident)
            drawn.append(volumes(self.card, layers_of(sample.pictures), self._ranges))
        return drawn

    def plan(
        self, first: Sequence[int], slices: Sequence[int], controls: ControlValues
    ) -> Sequence[Region]:
        """All at once; says so where the package has to read its weights every time."""
        phase = "" if self.is_resident else "Generating, the weights are read again"
        return [replace(region, phase=phase) for region in super().plan(first, slices, controls)]

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that a user should know about this package on this computer."""
        told = []
        if not self.is_resident:
            told.append(
                f"{self.card.id} gives other images when its networks stay in memory, so it "
                "builds them again at every change, which is slower."
            )
        if not {NETWORK_NAMESPACE, NO_SOCKETS} & set(self.fences):
            told.append("This system closes the package's network by Python only.")
        if FILES not in self.fences:
            told.append("This system closes your files to the package by Python only.")
        return tuple(told)

    def close(self) -> None:
        """End the package's process."""
        if self._runner is not None:
            self._runner.close()

    # ---- within ----------------------------------------------------------------------

    def _running(self) -> Runner:
        """The process, started again if it has ended."""
        if self._runner is None or not self._runner.is_alive:
            self._runner = Runner(
                interpreter(self.card),
                self._package,
                self.card,
                self._architecture,
                self._limits,
                self._device,
            )
        return self._runner

    def _try_out(self) -> None:
        """Draw the first pictures; find out whether what is kept changes what comes out."""
        runner = self._running()
        first = {**self._defaults, "seed": _FIRST}
        plain = self._ask(runner, first, resident=False)
        self.fences = plain.fences
        layers = layers_of(plain.pictures)
        values = self._architecture.values
        self._ranges = [values or settle_range(layer) for layer in layers]
        volumes(self.card, layers, self._ranges)
        # The second builds what is kept, the third finds it.
        self._ask(runner, {**self._defaults, "seed": _SECOND}, resident=True)
        self.is_resident = _are_same(plain, self._ask(runner, first, resident=True))

    def _ask(self, runner: Runner, values: ControlValues, *, resident: bool) -> Sample:
        keywords = dict(self._architecture.keywords)
        for name, target in self._architecture.controls.items():
            value = values[name]
            keywords[target.argument] = [value] if target.form == "list" else value
        seed = int(values.get("seed") or 0)
        latent = None
        if self._architecture.latent is not None:
            latent = (self._architecture.latent.argument, self._latent(values, seed))
        return runner.ask(keywords, seed=seed, latent=latent, resident=resident)

    def _latent(self, values: ControlValues, seed: int) -> NDArray[np.float32]:
        """The latent as medigan's packages take it, (1, size, 1, 1)."""
        from napari_medsyn.models.latents import latent

        facts = self._architecture.latent
        if facts is None:
            raise RuntimeError("a latent of a model that has none")
        offsets = values[facts.control] if facts.control else ()
        drawn: Any = latent(seed, facts.size, offsets, facts.prior)
        vector: NDArray[np.float32] = drawn.numpy()
        return vector.reshape(1, -1, 1, 1)


def load(card: ModelCard, weights: Path, device: str) -> IsolatedFamily:
    """Start a package's process; see `IsolatedFamily` for what may be wrong."""
    depth = len(Path(card.weights.name).parts)
    return IsolatedFamily(card, weights.parents[depth - 1], device)


def _limits(card: ModelCard) -> Limits:
    """The card's memory, and room for Python and libraries; else half of this computer's."""
    if card.requires.memory_gb is not None:
        return Limits(memory_bytes=int((card.requires.memory_gb + 2) * _GB))
    try:
        import os

        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return Limits()
    return Limits(memory_bytes=max(2 * _GB, total // 2))


def _are_same(one: Sample, other: Sample) -> bool:
    return len(one.pictures) == len(other.pictures) and all(
        a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b)
        for a, b in zip(one.pictures, other.pictures, strict=True)
    )
