"""How one request is computed: prepare, load, condition, render, give back.

`run` is a generator that knows nothing of threads or processes.  Whoever drives it may
stop it at every event; one region is rendered between two events at most.  Above the
model's own forward passes it costs one resample of each plane of each output.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from napari_medsyn.errors import Cancelled, EngineError, MedsynError
from napari_medsyn.exploration.caching import Caches, prepares_alike
from napari_medsyn.exploration.canvas import Allocate, Canvas, allocate_arrays, shows_scan
from napari_medsyn.exploration.controls import INVERT, TARGETS, TASK
from napari_medsyn.exploration.own_voxels import own_voxels
from napari_medsyn.exploration.planning import Filling
from napari_medsyn.exploration.requests import (
    Event,
    Failed,
    Finished,
    Progress,
    Request,
    SlabReady,
    Stopped,
    Viewport,
)
from napari_medsyn.registry.card import CARD_NAME, ModelCard, read_card
from napari_medsyn.registry.packages import sha256_of

if TYPE_CHECKING:
    from napari_medsyn.exploration.rendering import Renderer
    from napari_medsyn.models.family import Region
    from napari_medsyn.scans.preparation import PreparedStudy
    from napari_medsyn.scans.study import Study

IMPUTING: Final = "Imputing"
GENERATING: Final = "Generating"


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a run asks of whoever drives it.

    Parameters
    ----------
    newest : the newest request the driver knows of: the present one until it is
        overtaken, None once it is cancelled.
    emit : takes progress from within a step that cannot yield (preparation).
    viewport : what is on screen by now; None keeps the request's.
    allocate : gives the output arrays.
    """

    newest: Callable[[], Request | None]
    emit: Callable[[Event], None] = lambda _event: None
    viewport: Callable[[], Viewport | None] = lambda: None
    allocate: Allocate = allocate_arrays


def answer(request: Request, caches: Caches, hooks: Hooks) -> Iterator[Event]:
    """`run` with every ending an event: exactly one `Finished`, `Failed` or `Stopped`, last."""
    generation = request.generation
    try:
        for event in run(request, caches, hooks):
            yield event
            if not isinstance(event, Finished) and hooks.newest() is not request:
                yield Stopped(generation)
                return
    except Cancelled:
        yield Stopped(generation)
    except MedsynError as error:
        cause: Literal["input", "engine"] = "engine" if isinstance(error, EngineError) else "input"
        yield Failed(generation, str(error), traceback.format_exc(), cause)
    except Exception as error:  # noqa: BLE001 - the engine's fence: a defect of a model or ours
        sentence = (
            f"The model failed ({type(error).__name__}: {error}). Your scans and results are "
            "safe; please report the details."
        )
        yield Failed(generation, sentence, traceback.format_exc())


def run(
    request: Request, caches: Caches, hooks: Hooks | None = None
) -> Generator[Event, None, None]:
    """Compute `request`; give progress, slabs, and in the end `Finished`.

    Raises
    ------
    MedsynError : the request cannot be computed; `answer` makes events of it.
    """
    from napari_medsyn.exploration.rendering import Renderer

    hooks = hooks or Hooks(newest=lambda: request)
    card = read_card(request.package)
    yield from _announce(request, card, caches)
    renderer = Renderer(request, card, caches)
    prepared = _prepare(request, card, caches, hooks)
    yield Progress(request.generation, 0, 0, "Starting the model", "preparing")
    renderer.start(prepared)
    filling = Filling(prepared, request.viewport, everywhere=shows_scan(request.outputs))
    canvas = Canvas(request, prepared, filling.axis, hooks.allocate)
    findings: dict[str, Any] = {}
    regions = renderer.plan(*filling.order())
    steps = len(_steps(regions))
    while regions or filling.done < filling.total:
        yield _progress(request, filling, regions, steps)
        newest = hooks.viewport()
        if newest is not None and filling.look_at(newest):
            again = renderer.plan(*filling.order())
            # What comes before all slices is not done a second time.
            regions = [*_steps(regions), *(region for region in again if region.slices)]
        rendered, regions = renderer.next(regions)
        canvas.put(rendered)
        findings |= rendered.findings
        filling.mark(rendered.region.slices)
        for start, stop in filling.next_runs():
            yield _slab(request, filling.axis, start, stop, canvas)
    for start, stop in filling.next_runs(flush=True):
        yield _slab(request, filling.axis, start, stop, canvas)
    yield _progress(request, filling, [], steps)
    notes = (*prepared.notes, *renderer.notes)
    provenance = describe(request, card, prepared, renderer, notes, findings)
    if request.controls.get(TASK) == INVERT:
        # The sliders will be moved next: the first of them need not wait for this.
        for modality in request.controls[TARGETS]:
            own_voxels(request.study, prepared, modality).ready()
    yield Finished(request.generation, canvas.outputs, provenance, notes, findings)


def describe(
    request: Request,
    card: ModelCard,
    prepared: PreparedStudy,
    renderer: Renderer,
    notes: tuple[str, ...],
    findings: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """The provenance of a request's outputs: enough to make them again."""
    from dataclasses import asdict

    from napari_medsyn.scans.provenance import ProvenanceRecord, source_hashes

    record = ProvenanceRecord(
        model=card.id,
        weights_sha256=card.weights_sha256,
        controls=dict(request.controls),
        seed=int(request.controls.get("seed", 0)),
        sources=source_hashes(request.study),
        device=renderer.device_name,
        steps=tuple(prepared.steps),
        extra={
            "model_version": card.version,
            "card_sha256": sha256_of(request.package / CARD_NAME),
            "model_name": card.name,
            "model_family": card.family,
            "model_licence": card.licence,
            "outputs": list(request.outputs),
            "intensity": card.intensity.model_dump(),
            "options": asdict(request.options),
            "grid": {
                "shape": list(prepared.reference.shape),
                "affine": prepared.reference.affine.tolist(),
            },
            "threads": renderer.threads,
            "notes": _without_names(notes, request.study),
            **({"findings": dict(findings)} if findings else {}),
        },
    )
    return record.as_dict()


def _without_names(notes: tuple[str, ...], study: Study) -> list[str]:
    """The notes with modalities in the place of scans' names, which may be patients'."""
    told = list(notes)
    for scan in study:
        if scan.source is not None and scan.name and scan.modality:
            name = re.compile(rf"(?<!\w){re.escape(scan.name)}(?!\w)")
            told = [name.sub(scan.modality, note) for note in told]
    return told


def _announce(request: Request, card: ModelCard, caches: Caches) -> Iterator[Progress]:
    """One event before the first long step, so that the interface can say what it waits for."""
    if not caches.has_prepared(request.study, card, request.options):
        yield Progress(request.generation, 0, 0, "Preparing the scans", "preparing")


def _prepare(request: Request, card: ModelCard, caches: Caches, hooks: Hooks) -> PreparedStudy:
    def tell(done: int, total: int, phase: str) -> None:
        hooks.emit(Progress(request.generation, done, total, phase, "preparing"))

    def is_futile() -> bool:
        # A newer request that needs the same preparation is no reason to begin it again.
        newest = hooks.newest()
        return newest is None or not prepares_alike(newest, request)

    return caches.prepared(
        request.study, card, request.options, progress=tell, should_stop=is_futile
    )


def _steps(regions: Sequence[Region]) -> list[Region]:
    """The regions without slices of their own, such as the steps of a diffusion."""
    return [region for region in regions if not region.slices]


def _progress(
    request: Request, filling: Filling, regions: Sequence[Region], steps: int
) -> Progress:
    """How far the request is, when `regions` are to come and `steps` were planned."""
    usual = IMPUTING if len(request.study) else GENERATING
    phase = (regions[0].phase if regions else "") or usual
    done = steps - len(_steps(regions)) + filling.done
    return Progress(request.generation, done, steps + filling.total, phase)


def _slab(request: Request, axis: int, start: int, stop: int, canvas: Canvas) -> SlabReady:
    return SlabReady(request.generation, axis, start, stop, canvas.resample(start, stop))
