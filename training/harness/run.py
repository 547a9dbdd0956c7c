"""The run of a recipe: steps, log, checkpoints, validation; stopped and resumed at will."""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic

import torch
from torch import Tensor, nn

from training.harness import checkpoint, figures
from training.harness.log import Log
from training.harness.machine import generator_of, hardware, seed_of, versions
from training.harness.options import Settings, differences
from training.harness.recipe import B, Recipe, Turn
from training.harness.stopping import asked_to_stop

#: Steps that a line of the log is the mean of.
LOG_EVERY = 20
#: Streams of random numbers of a step.
BATCH, TURNS, LOOK = range(3)


class Diverged(ArithmeticError):
    """A loss is no longer finite."""


class Run(Generic[B]):
    """One run in one folder.

    The folder gets ``run.json``, ``log.jsonl``, ``checkpoint.safetensors``,
    ``weights.safetensors`` (of the first player, averaged; those of other averaged players
    as ``weights-<name>.safetensors``), ``curves.png`` and ``pictures/``.

    Parameters
    ----------
    facts : JSON values that ``run.json`` notes besides, such as the command.
    clock : seconds, monotonic.
    """

    def __init__(
        self,
        recipe: Recipe[B],
        settings: Settings,
        out: Path,
        facts: dict[str, Any] | None = None,
        clock: Any = time.monotonic,
    ) -> None:
        self.recipe, self.settings, self.out = recipe, settings, out
        self.players = recipe.players
        self.averages = {
            name: checkpoint.Average(player.network, player.ema)
            for name, player in self.players.items()
            if player.ema > 0
        }
        self._peaks = {
            name: [float(group["lr"]) for group in player.optimiser.param_groups]
            for name, player in self.players.items()
        }
        self.step = 0
        self._facts = {**(facts or {}), "hardware": hardware(), "versions": versions()}
        self._clock, self._before = clock, 0.0
        self._began = clock()
        self.journal = Log(out / "log.jsonl")
        out.mkdir(parents=True, exist_ok=True)

    # ---- what a caller does -----------------------------------------------------------

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Every player's average, or the network itself where it keeps none."""
        return {
            name: self.averages[name].network if name in self.averages else player.network
            for name, player in self.players.items()
        }

    @property
    def elapsed(self) -> float:
        """Seconds of all sessions of this run."""
        return self._before + float(self._clock() - self._began)

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Begin with the first player's weights of an earlier run, not its optimiser."""
        first = next(iter(self.players))
        self.players[first].network.load_state_dict(weights)
        if first in self.averages:
            self.averages[first].network.load_state_dict(weights)

    def resume(self) -> None:
        """Go on from the folder's checkpoint.

        Raises
        ------
        ValueError : there is none, it is damaged, or it is of other settings or data.
        """
        path = self.out / "checkpoint.safetensors"
        if not path.exists():
            raise ValueError(f"{path} does not exist; leave --resume out to start the run")
        state, facts = checkpoint.read(path)
        changed = differences(facts["settings"], self.settings)
        if changed:
            raise ValueError(f"{path} is of other settings ({'; '.join(changed)})")
        data = self.recipe.describe().get("data_hash")
        if facts.get("data_hash", data) != data:
            raise ValueError(f"{path} was trained on other data; give the same --data")
        # A continuation need not repeat what the run began with.
        self._facts["start"] = facts.get("start", self._facts.get("start"))
        checkpoint.restore(state, self.players, self.averages)
        self.step, self._before = facts["step"], facts["elapsed"]
        self._began = self._clock()
        self.journal.forget_after(self.step)

    def go(self) -> bool:
        """Train to the end, or until a signal or the clock says stop; True if at the end."""
        s = self.settings
        if self.step == 0:
            self.journal.forget_after(0)  # of a session that was killed before it could save
        saved = looked = begun = self._clock()
        with asked_to_stop() as asked, self._batches() as batches:
            while self.step < s.steps:
                self.make_step(next(batches))
                now = self._clock()
                if self.step % LOG_EVERY == 0 or self.step == s.steps:
                    self.log()
                if self.step == s.steps or now - looked >= 60 * s.look_minutes:
                    self.look()
                    looked = self._clock()
                if now - saved >= 60 * s.save_minutes:
                    self.save()
                    saved = self._clock()
                if asked or (s.most_minutes and now - begun >= 60 * s.most_minutes):
                    break
        self.save()
        return self.step >= s.steps

    # ---- one step ---------------------------------------------------------------------

    def batch(self, step: int) -> B:
        """The batch of a step, the same whenever it is made."""
        return self.recipe.batch(step, generator_of(self.settings.seed, step, BATCH))

    def make_step(self, batch: B) -> None:
        """Every turn of one step, then the averages."""
        torch.manual_seed(seed_of(self.settings.seed, self.step, TURNS))
        moved = set()
        for turn in self.recipe.turns(self.step, batch):
            self._make(turn)
            moved.add(turn.player)
        for name in moved & self.averages.keys():
            self.averages[name].update(self.players[name].network, self.step)
        self.step += 1

    def _make(self, turn: Turn) -> None:
        player = self.players[turn.player]
        factor = player.schedule(self.step)
        for group, peak in zip(
            player.optimiser.param_groups, self._peaks[turn.player], strict=True
        ):
            group["lr"] = peak * factor
        # Here, not after the step: another player's turn may have left gradients.
        player.optimiser.zero_grad(set_to_none=True)
        turn.loss.backward()
        if math.isfinite(player.clip):
            nn.utils.clip_grad_norm_(player.network.parameters(), player.clip)
        player.optimiser.step()
        self.journal.add(turn.terms)

    @contextmanager
    def _batches(self) -> Iterator[Iterator[B]]:
        """The batches from here on, some made ahead by threads."""
        steps, workers = range(self.step, self.settings.steps), self.settings.workers
        if not workers:
            yield map(self.batch, steps)
            return
        with ThreadPoolExecutor(workers) as pool:
            pending: deque[Future[B]] = deque(pool.submit(self.batch, k) for k in steps[:workers])

            def ahead() -> Iterator[B]:
                for step in steps:
                    if step + workers < self.settings.steps:
                        pending.append(pool.submit(self.batch, step + workers))
                    yield pending.popleft().result()

            try:
                yield ahead()
            finally:
                pool.shutdown(cancel_futures=True)

    # ---- what is written --------------------------------------------------------------

    def log(self) -> None:
        """A line with the mean of every term since the last one.

        Raises
        ------
        Diverged : one of them is not finite.
        """
        means = self.journal.take_means()
        if not means:
            return
        self.journal.write(self.step, self.elapsed / 60, "train", means)
        strange = [name for name, value in means.items() if not math.isfinite(value)]
        if strange:
            raise Diverged(
                f"{strange[0]} is not finite at step {self.step}; {self.out} keeps the last "
                "good checkpoint: start again with a lower learning rate"
            )

    def look(self) -> None:
        """Validate and draw; leaves training's random numbers alone."""
        torch.manual_seed(seed_of(self.settings.seed, 0, LOOK))
        # A player without an average is looked at itself: recipes may switch it to evaluation.
        modes = [
            (module, module.training) for n in self.networks.values() for module in n.modules()
        ]
        with torch.no_grad():
            found = self.recipe.validate(self.networks)
            pictures = self.recipe.pictures(self.networks)
        for module, training in modes:
            module.training = training
        if found:
            self.journal.write(self.step, self.elapsed / 60, "validation", found)
        folder = self.out / "pictures"
        folder.mkdir(exist_ok=True)
        for name, picture in pictures.items():
            figures.write_picture(folder / f"{self.step:06d}-{name}.png", picture)
        figures.write_curves(self.out / "curves.png", self.journal.lines())

    def save(self) -> None:
        """Write weights, checkpoint and ``run.json``."""
        self.log()  # before anything that is not finite replaces a good checkpoint
        facts = {
            "step": self.step,
            "elapsed": self.elapsed,
            "settings": self.settings.as_dict(),
            "start": self._facts.get("start"),
            "data_hash": self.recipe.describe().get("data_hash"),
        }
        state = checkpoint.collect(self.players, self.averages)
        checkpoint.write(self.out / "checkpoint.safetensors", state, facts)
        first = next(iter(self.players))
        for name in dict.fromkeys([first, *self.averages]):
            file = "weights" if name == first else f"weights-{name}"
            checkpoint.write(self.out / f"{file}.safetensors", self.networks[name].state_dict())
        record = {
            **self._facts,
            "config": self.settings.as_dict(),
            **self.recipe.describe(),
            "step": self.step,
            "elapsed_s": round(self.elapsed, 1),
        }
        (self.out / "run.json").write_text(json.dumps(record, indent=2) + "\n")
