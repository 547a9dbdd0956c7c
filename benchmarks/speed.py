"""Latency of a slider and time of a whole volume, over bare forward passes.

``python -m benchmarks.speed [--data ../shared/data] [--threads 2]``

The bare pass is the network alone on the same slices with the same modalities, targets
and samples: encode and decode of ready tensors (contiguous, channels_last, noise drawn
beforehand) in inference mode.  Both are measured in turns, so that the ratio holds on a
busy machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.reporting import processor, report
from benchmarks.studies import study_of
from napari_medsyn.exploration.caching import Caches
from napari_medsyn.exploration.engines.base import Engine
from napari_medsyn.exploration.engines.in_process import InProcessEngine
from napari_medsyn.exploration.engines.process import ProcessEngine
from napari_medsyn.exploration.planning import Filling
from napari_medsyn.exploration.requests import (
    Finished,
    PreparationOptions,
    Progress,
    SlabReady,
    Viewport,
)
from napari_medsyn.exploration.session import Session
from napari_medsyn.models.mmhvae import positions
from napari_medsyn.models.mmhvae_family import MMHVAEFamily

#: Slices in one bare pass over the volume.
BARE_BATCH = 16
#: Moves that are not counted: memory and kernels are set up by the first ones.
WARM_UP = 3


@dataclass(eq=False)
class Bench:
    """One session on one engine, driven as a person would drive it.

    Parameters
    ----------
    engine : "in-process" or "process".
    """

    data: Path
    engine: str
    samples: int
    threads: int
    present: tuple[str, ...]
    model: str | None = None
    events: SimpleQueue[Callable[[], None]] = field(default_factory=SimpleQueue)
    seen: list[Any] = field(default_factory=list)

    def open(self) -> Session:
        """A session with study, model and viewport set; nothing computed yet."""
        engine: Engine = ProcessEngine() if self.engine == "process" else InProcessEngine()
        session = Session(engine, dispatch=self._dispatch)
        session.choose_model(self.model or session.catalogue.default().id)
        study = study_of(self.data, self.present)
        session.set_study(study)
        session.set_options(PreparationOptions(register="never"))
        session.set_control("samples", self.samples)
        session.set_viewport(2, study.reference.voxels.shape[2] // 2)
        for signal in (session.progressed, session.slab_ready, session.finished):
            signal.connect(self.seen.append)

        session.failed.connect(_fail)
        return session

    def _dispatch(self, function: Callable[[], None]) -> None:
        # In this process events come on the caller's own thread, as in the command line.
        if self.engine == "process":
            self.events.put(function)
        else:
            function()

    def pump(self, until: Callable[[Any], bool], limit_s: float = 600.0) -> None:
        """Handle events, as the GUI's loop does, until one fulfils `until`."""
        looked_at = 0
        deadline = perf_counter() + limit_s
        while True:
            while looked_at < len(self.seen):
                looked_at += 1
                if until(self.seen[looked_at - 1]):
                    self.seen.clear()
                    return
            try:
                self.events.get(timeout=max(0.0, deadline - perf_counter()))()
            except Empty:
                raise TimeoutError("the engine did not answer") from None


def _fail(sentence: str, detail: str) -> None:
    raise RuntimeError(f"{sentence}\n{detail}")


# ---- the floor -----------------------------------------------------------------------


class Bare:
    """The network alone, on slices of the same study."""

    def __init__(self, session: Session, study_axis: int = 2) -> None:
        card, package = session.card, session.package
        assert card is not None
        assert package is not None
        caches = Caches()
        began = perf_counter()
        self.prepared = caches.prepared(session.study, card, session.options)
        self.preparation_s = perf_counter() - began
        began = perf_counter()
        family = caches.family(package, card, "cpu")
        self.load_s = perf_counter() - began
        assert isinstance(family, MMHVAEFamily)
        self.family, self.net = family, family.net
        self.present = session.present
        self.targets = [
            m for m in card.outputs if m in {n.partition("_")[2] for n in session.outputs()}
        ]
        self.planes = {m: self.prepared.volumes[m].transpose(2, 0, 1) for m in self.present}
        index = session.study.reference.voxels.shape[study_axis] // 2
        self.filling = Filling(self.prepared, Viewport(study_axis, index))
        self.visible, self.slices = self.filling.order()

    def inputs(self, slices: Sequence[int]) -> tuple[dict[str, Tensor], Tensor | None]:
        """Ready tensors of some slices."""
        family = self.family
        images = {m: family._input(self.planes[m], slices) for m in self.present}
        where = None
        if family.topology.positions:
            shape, patch = self.prepared.mask.shape, family.topology.patch
            where = positions(torch.tensor(list(slices)), shape, patch)
        return images, where

    def noise(self, n: int) -> Callable[[int, Tensor], Tensor]:
        """Noise that costs nothing when it is asked for."""
        drawn: dict[int, Tensor] = {}

        def give(level: int, like: Tensor) -> Tensor:
            if level not in drawn or drawn[level].shape != like.shape:
                drawn[level] = torch.randn_like(like)
            return drawn[level]

        self.once(self.inputs(self.slices[:n]), 1, give)
        return give

    @torch.inference_mode()
    def once(
        self,
        inputs: tuple[dict[str, Tensor], Tensor | None],
        samples: int,
        noise: Callable[[int, Tensor], Tensor],
    ) -> float:
        """Seconds of one pass."""
        images, where = inputs
        began = perf_counter()
        skips = {m: self.net.encode(m, x, where) for m, x in images.items()}
        if samples > 1:
            skips = {
                m: [
                    level.repeat(samples, 1, 1, 1).contiguous(memory_format=torch.channels_last)
                    for level in levels
                ]
                for m, levels in skips.items()
            }
        self.net.decode(skips, targets=self.targets, noise=noise, temperature=0.5)
        return perf_counter() - began


# ---- what is measured ----------------------------------------------------------------


def slider(bench: Bench, repeats: int, *, dragging: bool) -> dict[str, Any]:
    """From `set_control` to the visible plane's `SlabReady`, in turns with the bare pass.

    Parameters
    ----------
    dragging : whether the rest of the volume is under way when the slider moves.
    """
    session = bench.open()
    bare = Bare(session)
    rng = np.random.default_rng(0)
    inputs = bare.inputs(bare.visible)
    noise = bare.noise(len(bare.visible))
    session.live = True
    shown, floor = [], []
    for i in range(repeats + WARM_UP):
        temperature = 0.2 + 0.02 * (i % 30)
        _settle(bench, session)
        floor.append(bare.once(inputs, bench.samples, noise))
        if dragging:
            _move(bench, session, temperature + 0.01, stay=True)
            _let_it_run(bench, session, rng)
        shown.append(_move(bench, session, temperature))
    session.close()
    live, bare_s = statistics.median(shown[WARM_UP:]), statistics.median(floor[WARM_UP:])
    return {
        "what": "slider, dragging" if dragging else "slider, at rest",
        "engine": bench.engine,
        "samples": bench.samples,
        "slices": len(bare.visible),
        "ours ms": 1e3 * live,
        "bare ms": 1e3 * bare_s,
        "ratio": live / bare_s,
        "target": 1.5,
    }


def _move(bench: Bench, session: Session, temperature: float, *, stay: bool = False) -> float:
    """Seconds from the slider's move to the new pixels of the slice on screen.

    Parameters
    ----------
    stay : whether the rest of the volume is to follow, also where it holds the caller up.
    """
    viewport = session.viewport
    assert viewport is not None
    arrived: list[float] = []

    def is_visible(event: Any) -> bool:
        return (
            isinstance(event, SlabReady)
            and event.axis == viewport.axis
            and event.start <= viewport.index < event.stop
        )

    def stop(event: SlabReady) -> None:
        if is_visible(event):
            arrived.append(perf_counter())
            if bench.engine == "in-process" and not stay:
                session.cancel()

    session.slab_ready.connect(stop)
    began = perf_counter()
    session.set_control("temperature", temperature)
    if bench.engine == "process":
        bench.pump(is_visible)
    session.slab_ready.disconnect(stop)
    bench.seen.clear()
    return arrived[0] - began


def _let_it_run(bench: Bench, session: Session, rng: np.random.Generator) -> None:
    """Let the rest of the volume begin: a person moves the slider every 30 to 150 ms."""
    until = perf_counter() + float(rng.uniform(0.03, 0.15))
    while session.is_busy and (left := until - perf_counter()) > 0:
        try:
            bench.events.get(timeout=left)()
        except Empty:
            return


def _settle(bench: Bench, session: Session) -> None:
    """Stop, and wait until the child has nothing to do."""
    session.cancel()
    quiet_s = 0.0 if bench.engine == "in-process" else 0.3
    while True:
        try:
            bench.events.get(timeout=quiet_s)()
        except Empty:
            break
    bench.seen.clear()


def volume(bench: Bench, repeats: int) -> dict[str, Any]:
    """All slices with nothing encoded, over the bare batched pass of the same slices."""
    shown, floor, prepared = [], [], []
    for _ in range(repeats):
        session = bench.open()
        times: dict[str, float] = {}

        def note(event: Progress, times: dict[str, float] = times) -> None:
            times.setdefault(event.stage, perf_counter())

        session.progressed.connect(note)
        began = perf_counter()
        session.impute()
        bench.pump(lambda event: isinstance(event, Finished))
        shown.append(perf_counter() - times["running"])
        prepared.append(times["running"] - began)
        bare = Bare(session)
        session.close()
        floor.append(_bare_volume(bare, bench.samples))
    ours, bare_s = statistics.median(shown), statistics.median(floor)
    return {
        "what": "whole volume",
        "engine": bench.engine,
        "samples": bench.samples,
        "slices": len(bare.slices),
        "ours ms": 1e3 * ours,
        "bare ms": 1e3 * bare_s,
        "ratio": ours / bare_s,
        "target": 1.25,
        "before ms": 1e3 * statistics.median(prepared),
    }


def _bare_volume(bare: Bare, samples: int) -> float:
    size = max(1, BARE_BATCH // samples)
    noise = bare.noise(size)
    total = 0.0
    for i in range(0, len(bare.slices), size):
        total += bare.once(bare.inputs(bare.slices[i : i + size]), samples, noise)
    return total


def main() -> None:
    """Measure, print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", help="id of the model; the default one otherwise")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--volumes", type=int, default=2, help="repeats of the whole volume")
    parser.add_argument("--samples", type=int, nargs="*", default=[1, 4])
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    # The child process takes its number of threads from here.
    os.environ["OMP_NUM_THREADS"] = str(args.threads)

    rows = []
    for samples in args.samples:
        for engine in ("in-process", "process"):
            bench = Bench(
                args.data, engine, samples, args.threads, ("T1", "T2", "FLAIR"), args.model
            )
            rows.append(slider(bench, args.repeats, dragging=False))
            if engine == "process":
                rows.append(slider(bench, args.repeats, dragging=True))
            if args.volumes:
                rows.append(volume(bench, args.volumes))
    facts = {"threads": args.threads, "processor": processor(), "torch": torch.__version__}
    report("speed", [{**row, "before ms": row.get("before ms")} for row in rows], **facts)


if __name__ == "__main__":
    main()
