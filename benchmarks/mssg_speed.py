"""How far MSSG's sliders are from the bare network: ``python -m benchmarks.mssg_speed``.

A move of the age: from `set_control` to the new pixels of the slice on screen, over the bare
pass of that slice (style, coefficients, template, sampling; or, of a patient, the edit); and
from `impute` to the whole volume, over the bare pass of all its slices.  Tensors of the bare
pass are ready beforehand.  Both are measured in turns, so that the ratio holds on a busy
machine.  The patient is the first of the test part, inverted before.
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

from benchmarks.mssg import catalogue_with, name_of
from benchmarks.mssg_counterfactual import OPTIONS, test_people
from benchmarks.reporting import processor, report
from napari_medsyn.exploration.caching import Caches
from napari_medsyn.exploration.controls import COUNTERFACTUAL, GENERATE, OWN, TASK
from napari_medsyn.exploration.counterfactual_series import check
from napari_medsyn.exploration.engines.base import Engine
from napari_medsyn.exploration.engines.in_process import InProcessEngine
from napari_medsyn.exploration.engines.process import ProcessEngine
from napari_medsyn.exploration.planning import Filling
from napari_medsyn.exploration.requests import Finished, SlabReady, Viewport
from napari_medsyn.exploration.session import Session
from napari_medsyn.models.latents import latent
from napari_medsyn.models.mssg import edits
from napari_medsyn.models.mssg.family import MSSGFamily
from napari_medsyn.models.mssg.inversion import Patient
from napari_medsyn.models.mssg.lattice import SHAPE
from napari_medsyn.scans.study import Study

#: Moves that are not counted: memory and kernels are set up by the first ones.
WARM_UP = 2
#: Ages between which the slider goes to and fro.
AGES = (35.0, 65.0)
#: Ratios that are to be reached (issue 5).
TARGET = 1.25
#: The axial slice that is looked at, of the crop and, near it, of the patient's grid.
AXIAL = 2


@dataclass(eq=False)
class Driven:
    """One session on one engine, driven as a person would drive it.

    Parameters
    ----------
    engine : "in-process" or "process".
    study : the patient, or an empty study: people of nobody.
    """

    models: Sequence[str]
    engine: str
    study: Study
    events: SimpleQueue[Callable[[], None]] = field(default_factory=SimpleQueue)

    def __post_init__(self) -> None:
        engine: Engine = ProcessEngine() if self.engine == "process" else InProcessEngine()
        catalogue = catalogue_with(self.models)
        self.session = Session(engine, catalogue, dispatch=self._dispatch)
        self.session.choose_model(name_of(self.models[0]))
        self.session.set_options(OPTIONS)
        self.session.set_device("cpu")
        self.session.set_study(self.study)
        shape = self.study.scans[0].voxels.shape if len(self.study) else SHAPE
        self.plane = shape[AXIAL] // 2
        self.session.set_viewport(AXIAL, self.plane)
        if len(self.study):
            self._wait(self.session.invert, Finished)

    def whole(self) -> float:
        """Seconds from asking for everything to having it."""
        return self._wait(self.session.impute, Finished)

    def move(self, age: float) -> float:
        """Seconds from the slider's move to the pixels on screen; the rest is cancelled."""
        self.session.live = False
        self._settle()
        self.session.live = True
        return self._wait(lambda: self.session.set_control("age", age), SlabReady)

    def close(self) -> None:
        """Give the engine's resources back."""
        self.session.close()

    def _dispatch(self, function: Callable[[], None]) -> None:
        # In this process events come on the caller's own thread, as in the command line.
        if self.engine == "process":
            self.events.put(function)
        else:
            function()

    def _wait(self, act: Callable[[], None], kind: type) -> float:
        arrived: list[float] = []

        def take(event: Any) -> None:
            on_screen = not isinstance(event, SlabReady) or (
                event.axis == AXIAL and event.start <= self.plane < event.stop
            )
            if isinstance(event, kind) and on_screen and not arrived:
                arrived.append(perf_counter())
                if kind is SlabReady:
                    self.session.cancel()

        signal = self.session.finished if kind is Finished else self.session.slab_ready
        signal.connect(take)
        began = perf_counter()
        act()
        while not arrived:
            check(self.session)
            try:
                self.events.get(timeout=300)()
            except Empty:
                raise TimeoutError("the engine did not answer") from None
        signal.disconnect(take)
        return arrived[0] - began

    def _settle(self) -> None:
        """Stop, and wait until the child has nothing to do."""
        self.session.cancel()
        quiet_s = 0.0 if self.engine == "in-process" else 0.3
        while True:
            try:
                self.events.get(timeout=quiet_s)()
            except Empty:
                return


class Bare:
    """The network and the head alone.

    Parameters
    ----------
    driven : whose model, patient and controls they are.
    """

    def __init__(self, driven: Driven) -> None:
        session = driven.session
        card, package = session.card, session.package
        assert card is not None
        assert package is not None
        self.caches = Caches()
        family = self.caches.family(package, card, "cpu")
        assert isinstance(family, MSSGFamily)
        self.family = family
        self.patient: Patient | None = None
        self.slices, self.all = [driven.plane], list(range(SHAPE[AXIAL]))
        if len(driven.study):
            self._of_patient(session, driven.plane)

    def _of_patient(self, session: Session, plane: int) -> None:
        """The inversion, done beforehand, and which slices make the plane on screen."""
        assert session.card is not None
        prepared = self.caches.prepared(session.study, session.card, session.options)
        self.patient = self.family.condition(prepared, {}).patient
        self.slices, self.all = Filling(prepared, Viewport(AXIAL, plane)).order()

    def ready(self, session: Session, age: float) -> Callable[[Sequence[int]], None]:
        """What gives slices of a person or an edit, once all that is no network is done."""
        task = GENERATE if self.patient is None else COUNTERFACTUAL
        values = {**session.controls, "age": age, TASK: task, OWN: dict(session.own or {})}
        return self._edit(values) if self.patient is not None else self._person(values)

    def _person(self, values: dict[str, Any]) -> Callable[[Sequence[int]], None]:
        net, seed = self.family.net, int(values["seed"])
        person = self.family._labels.complete(values, np.random.default_rng(seed))
        labels, load_ml = self.family._vector(person)
        z = latent(seed, net.sizes.z)[None]

        def give(slices: Sequence[int]) -> None:
            coefficients = net.coefficients(net.style(z, labels), net.fold(z))
            made = net.head.compose(coefficients, load_ml)
            net.head.images(made, slices)

        return give

    def _edit(self, values: dict[str, Any]) -> Callable[[Sequence[int]], None]:
        assert self.patient is not None
        patient = self.patient
        found = self.family._inversion(patient, values).finish()
        target = self.family._target(patient, values)

        def give(slices: Sequence[int]) -> None:
            edits.render(edits.compose(self.family.net, found, target), patient, slices)

        return give


@torch.no_grad()
def seconds_of(give: Callable[[Sequence[int]], None], slices: Sequence[int]) -> float:
    """Of one bare pass."""
    began = perf_counter()
    give(slices)
    return perf_counter() - began


def measured(driven: Driven, moves: int, volumes: int) -> list[dict[str, Any]]:
    """Slider and whole volume, each in turns with its bare pass."""
    bare = Bare(driven)
    who = "a patient" if len(driven.study) else "nobody"
    times: dict[str, tuple[list[float], list[float]]] = {"slice": ([], []), "volume": ([], [])}
    for i in range(moves + WARM_UP):
        age = AGES[i % 2] + i * 0.5
        floor = seconds_of(bare.ready(driven.session, age), bare.slices)
        ours = driven.move(age)
        if i >= WARM_UP:
            times["slice"][0].append(ours)
            times["slice"][1].append(floor)
    driven.session.live = False
    for i in range(volumes):
        age = AGES[i % 2] + 0.25 + i
        floor = seconds_of(bare.ready(driven.session, age), bare.all)
        driven.session.set_control("age", age)
        times["volume"][0].append(driven.whole())
        times["volume"][1].append(floor)
    counts = {"slice": len(bare.slices), "volume": len(bare.all)}
    return [
        {
            "what": f"{what} of {who}",
            "engine": driven.engine,
            "slices": counts[what],
            "ours ms": 1e3 * statistics.median(ours),
            "bare ms": 1e3 * statistics.median(floor),
            "ratio": statistics.median(ours) / statistics.median(floor),
            "target": TARGET,
        }
        for what, (ours, floor) in times.items()
        if ours
    ]


def main() -> None:
    """Measure, print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", default="mssg-brain-t1", help="id or package")
    parser.add_argument("--n", type=int, default=10, help="moves of the slider")
    parser.add_argument("--volumes", type=int, default=3, help="repeats of the whole volume")
    parser.add_argument("--engine", nargs="+", default=["in-process", "process"])
    parser.add_argument("--without-patient", action="store_true", help="no inversion")
    args = parser.parse_args()
    torch.set_num_threads(1)
    # The child process takes its number of threads from here.
    os.environ["OMP_NUM_THREADS"] = "1"
    studies = [Study(())]
    if not args.without_patient:
        studies.append(Study((test_people(args.data, 1)[0].scan,)))
    rows = []
    for study in studies:
        for engine in args.engine:
            driven = Driven([args.model], engine, study)
            rows += measured(driven, args.n, args.volumes)
            driven.close()
    report("mssg_speed", rows, model=args.model, threads=1, processor=processor(), n=args.n)


if __name__ == "__main__":
    main()
