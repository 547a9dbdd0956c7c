"""One model, ready to be asked again and again: the weights stay, the values change."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import EngineError, MedsynError, UnusableModel
from napari_medsyn.exploration.blank import blank_study
from napari_medsyn.exploration.caching import Caches
from napari_medsyn.exploration.controls import PRESENT, TARGETS, checked
from napari_medsyn.exploration.generating_samples import Sample, Tell
from napari_medsyn.exploration.requests import (
    Event,
    Finished,
    PreparationOptions,
    Progress,
    Request,
)
from napari_medsyn.exploration.resolving import Snapshot, request_or_refuse, resolve
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.scans.study import Scan, Study

if TYPE_CHECKING:
    from napari_medsyn.models.whole import Images, WholeImageFamily

#: What is being done while a sample is made.
GENERATING: Final = "Generating"

#: Images in one forward pass, where that gives the same numbers as one by one.
BATCH: Final = 8


class Sampler:
    """A model as a callable: control values in, images out; the weights stay in memory.

    Parameters
    ----------
    package, card : the model.
    study : the scans of the patient, for a model that reads some.
    controls : values that differ from the card's defaults, in every call.
    options : how the study is brought to the model's grid.
    device : "auto", "cpu" or "cuda".
    batch : the most images in one forward pass.
    caches : keep the loaded model and the prepared study; own ones by default.

    Raises
    ------
    UnusableModel : the card has no such control or value.
    UnusableStudy : the model needs other scans.
    """

    def __init__(
        self,
        package: Path,
        card: ModelCard,
        study: Study | None = None,
        controls: Mapping[str, Any] | None = None,
        *,
        options: PreparationOptions | None = None,
        device: str = "auto",
        batch: int | None = None,
        caches: Caches | None = None,
    ) -> None:
        self.card = card
        self.device = device
        self._package = package
        self.study = study or Study()
        self.options = options or PreparationOptions()
        #: What differs from the card's defaults, as it was given.
        self.given = dict(controls or {})
        self._batch = BATCH if batch is None else max(1, batch)
        self._caches = caches or Caches()
        self._controls = {**_one_draw(card), **self.given}
        self._record: dict[str, Any] | None = None
        #: What the first request amounts to: the outputs and the grid do not change.
        self._usual = self.request({})

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the images, in the card's order."""
        return tuple(_output(name) for name in self._usual.outputs)

    @property
    def reference(self) -> Scan:
        """The scan on whose grid the images are."""
        return self._usual.reference

    @property
    def is_flat(self) -> bool:
        """Whether the images are flat pictures and not slices of something."""
        return self.card.grid.dim == "2D" and self.reference.voxels.shape[2] == 1

    @property
    def controls(self) -> Mapping[str, Any]:
        """Values of a call without arguments."""
        return self._usual.controls

    @property
    def seed_control(self) -> str:
        """Name of the control that fixes the noise; "" for a model without noise."""
        return next((c.name for c in self.card.controls if c.kind == "seed"), "")

    def __call__(self, **controls: Any) -> dict[str, NDArray[np.float32]]:
        """Images for these control values, the others as they were given at first.

        Returns
        -------
        Output to (X, Y, Z) float32, as in `Sample.images`.

        Raises
        ------
        UnusableModel : the card has no such control or value, or the package is damaged.
        EngineError : the model failed.
        """
        request = self.request(controls)
        with _fenced():
            family = self._whole_family(request)
            made = self._rendered(request) if family is None else self._draw(family, [request])[0]
            return dict(made.images)

    def samples(self, seeds: Sequence[int], tell: Tell | None = None) -> Iterator[Sample]:
        """One sample after the other; no more than one batch of them is in memory.

        Parameters
        ----------
        seeds : one for each sample; a `range` will do.
        tell : is told how far it is.

        Raises
        ------
        UnusableModel, EngineError : as for a call.
        """
        tell = tell or (lambda _done, _total, _phase: None)
        tell(0, len(seeds), "Starting the model")
        with _fenced():
            family = self._whole_family(self._of_seed(seeds[0])) if len(seeds) else None
        if family is not None:
            yield from self._drawn(family, seeds, tell)
            return
        for number, seed in enumerate(seeds):
            with _fenced():
                sample = self._rendered(self._of_seed(seed), _shifted(tell, number, len(seeds)))
            yield sample
            tell(number + 1, len(seeds), GENERATING)

    def request(self, controls: Mapping[str, Any]) -> Request:
        """The request that `controls` amount to, on top of those given at first.

        Raises
        ------
        UnusableModel, UnusableStudy : it amounts to none; says why.
        """
        values = {**self._controls, **controls}
        targets, present = values.pop(TARGETS, None), values.pop(PRESENT, None)
        values = {name: checked(self.card, name, value) for name, value in values.items()}
        strange = [name for name in targets or () if name not in self.card.outputs]
        if strange:
            known = ", ".join(self.card.outputs)
            raise UnusableModel(f"{self.card.name} does not give {strange[0]}; it gives {known}")
        off = () if present is None else (m for m in self.card.inputs if m not in present)
        return request_or_refuse(
            resolve(
                Snapshot(
                    study=self.study,
                    package=self._package,
                    controls=values,
                    switched_off=frozenset(off),
                    targets=None if targets is None else tuple(targets),
                    kinds=("imputed",),
                    options=self.options,
                    device=self.device,
                ),
                self.card,
            )
        )

    # ---- within --------------------------------------------------------------------

    def _of_seed(self, seed: int) -> Request:
        return self.request({self.seed_control: seed} if self.seed_control else {})

    def _whole_family(self, request: Request) -> WholeImageFamily | None:
        """The loaded model if it can be asked for whole images, many at a time."""
        from napari_medsyn.exploration.rendering import is_out_of_memory
        from napari_medsyn.models.families import resolve_device
        from napari_medsyn.models.whole import WholeImageFamily

        if len(request.study):
            return None
        try:
            family = self._caches.family(self._package, self.card, resolve_device(self.device))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            # `run` knows how to go on on the CPU.
            return None
        return family if isinstance(family, WholeImageFamily) else None

    def _drawn(
        self, family: WholeImageFamily, seeds: Sequence[int], tell: Tell
    ) -> Iterator[Sample]:
        """Images in batches, of which no more than one is kept."""
        with _fenced():
            samples = self._first_batch(family, seeds)
        size = len(samples) or 1
        done = 0
        for some in _batches(seeds, size):
            with _fenced():
                requests = [self._of_seed(seed) for seed in some]
                samples = samples or self._draw(family, requests)
            for sample in samples:
                yield sample
                done += 1
                tell(done, len(seeds), GENERATING)
            samples = []

    def _first_batch(self, family: WholeImageFamily, seeds: Sequence[int]) -> list[Sample]:
        """The first batch, if it has the same numbers as images drawn one by one; else [].

        For another number of images a library may choose another kernel, and so other last
        bits.  The choice depends on shapes and not on values, so one trial tells: the first
        and the last image of a batch, against themselves alone.
        """
        from napari_medsyn.exploration.rendering import is_out_of_memory

        if self._batch == 1 or len(seeds) < 2 * self._batch:
            return []
        requests = [self._of_seed(seed) for seed in seeds[: self._batch]]
        try:
            together = family.draw([request.controls for request in requests])
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return []
        for end in (0, -1):
            (alone,) = family.draw([requests[end].controls])
            if not _same(together[end], alone):
                return []
        return [self._sample(*both) for both in zip(requests, together, strict=True)]

    def _draw(self, family: WholeImageFamily, requests: Sequence[Request]) -> list[Sample]:
        """The requests' images in one pass, or in smaller ones where memory is short."""
        from napari_medsyn.exploration.rendering import is_out_of_memory

        try:
            drawn = family.draw([request.controls for request in requests])
            return [self._sample(*both) for both in zip(requests, drawn, strict=True)]
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        if len(requests) == 1:
            # `run` knows how to go on on the CPU.
            return [self._rendered(requests[0])]
        return [sample for request in requests for sample in self._draw(family, [request])]

    def _sample(self, request: Request, images: Images) -> Sample:
        arrays = {name: images[_output(name)] for name in request.outputs}
        return self._finished(request, Finished(0, arrays, self._described(request)))

    def _rendered(self, request: Request, tell: Tell | None = None) -> Sample:
        """The images of a model that works region by region, by the session's own way."""
        from napari_medsyn.exploration.running import Hooks, run

        def hear(event: Event) -> None:
            if tell is not None and isinstance(event, Progress):
                share = event.done / event.total if event.total and event.stage == "running" else 0
                tell(share, 1, event.phase)

        finished: Finished | None = None
        for event in run(request, self._caches, Hooks(newest=lambda: request, emit=hear)):
            hear(event)
            if isinstance(event, Finished):
                finished = event
        if finished is None:
            raise EngineError("The model came to no end; please report this.")
        return self._finished(request, finished)

    def _finished(self, request: Request, finished: Finished) -> Sample:
        return Sample(
            seed=int(request.controls.get(self.seed_control, 0)),
            controls=request.controls,
            images={_output(name): array for name, array in finished.arrays.items()},
            reference=request.reference,
            results=finished,
        )

    def _described(self, request: Request) -> dict[str, Any]:
        """The provenance of one image; what all of them share is looked up once."""
        from napari_medsyn.exploration.rendering import Renderer
        from napari_medsyn.exploration.running import describe
        from napari_medsyn.scans.provenance import to_json

        if self._record is None:
            renderer = Renderer(request, self.card, self._caches)
            nobody = blank_study(self.card.grid.grid())
            self._record = describe(request, self.card, nobody, renderer, ())
        return {
            **self._record,
            "controls": json.loads(to_json(request.controls)),
            "seed": int(request.controls.get(self.seed_control, 0)),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }


def _batches(seeds: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Whole batches, then the rest one by one: a shorter batch has not been tried."""
    whole = len(seeds) - len(seeds) % size
    for start in range(0, whole, size):
        yield seeds[start : start + size]
    for start in range(whole, len(seeds)):
        yield seeds[start : start + 1]


def _same(one: Images, other: Images) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in other)


def _shifted(tell: Tell, number: int, total: int) -> Tell:
    """`tell` of the sample `number`, for what speaks of one sample only."""
    # It is finished only when whoever asked has taken it.
    return lambda share, _one, phase: tell(number + min(share, 0.99), total, phase)


@contextmanager
def _fenced() -> Iterator[None]:
    """Whatever goes wrong in a model, as a sentence."""
    try:
        yield
    except MedsynError:
        raise
    except Exception as error:
        raise EngineError(f"The model failed ({type(error).__name__}: {error}).") from error


def _one_draw(card: ModelCard) -> dict[str, Any]:
    """A posterior sample is one draw; the card's default may be the mean of some."""
    names = [control.name for control in card.controls if control.kind == "integer"]
    return {"samples": 1} if card.inputs and "samples" in names else {}


def _output(name: str) -> str:
    """The modality: FLAIR of imputed_FLAIR."""
    return name.partition("_")[2]
