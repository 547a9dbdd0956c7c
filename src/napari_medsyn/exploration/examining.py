"""Trying a model out: package, golden output, contract and cancelling, one after the other.

The model is given what a session would give it: controls that are resolved from its card,
and, if it reads scans, the sample patient.  Everything is computed on the CPU, so that
results can be compared between computers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from napari_medsyn.errors import UnusableModel
from napari_medsyn.evaluation.checks import Check, Report, counted, failed, passed, warned
from napari_medsyn.exploration.caching import Caches
from napari_medsyn.exploration.requests import Request, Stopped
from napari_medsyn.exploration.resolving import (
    NotReady,
    Snapshot,
    needs_no_scan,
    request_or_refuse,
    resolve,
)
from napari_medsyn.exploration.running import Hooks, answer
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.packages import verify
from napari_medsyn.scans.study import Study

if TYPE_CHECKING:
    from napari_medsyn.evaluation.rendering import Subject
    from napari_medsyn.models.family import ControlValues, Family, Region, Rendered
    from napari_medsyn.scans.preparation import PreparedStudy

#: How long the checks may take altogether, in seconds; what is left then is not looked at.
BUDGET_S: Final = 300.0
#: A region that takes longer than this makes people wait when they cancel, in seconds.
LONG_REGION_S: Final = 10.0

#: Is told every check as soon as it is made.
Tell = Callable[[Check], None]


def examine(
    package: Path,
    *,
    families: Mapping[str, str] | None = None,
    budget_s: float = BUDGET_S,
    tell: Tell = lambda _check: None,
) -> Report:
    """Make all checks of a package.

    Parameters
    ----------
    package : the folder.
    families : family to "module:function" instead of `models.families.TABLE`; for tests.
    budget_s : see `BUDGET_S`.
    tell : see `Tell`.

    Raises
    ------
    UnusableModel : the package is damaged, or may not be run (only listed, no consent).
    """
    card = verify(package)
    if card.why_not_run:
        raise UnusableModel(f"{card.id}: {card.why_not_run}")
    checks = []
    for check in _checks(package, card, families, budget_s):
        tell(check)
        checks.append(check)
    return Report(card.id, card.version, tuple(checks))


def record(package: Path, *, families: Mapping[str, str] | None = None) -> ModelCard:
    """Make what a model gives now its golden output, in the package and on its card.

    Raises
    ------
    UnusableModel : the package is damaged, is a judge's, or cannot be run.
    UnusableStudy : the model reads scans that the sample patient does not have.
    """
    from napari_medsyn.evaluation.self_test import record_golden

    card = verify(package)
    if card.is_judge or card.why_not_run:
        reason = card.why_not_run or "it measures images, and golden outputs are images"
        raise UnusableModel(f"{card.id}: no golden output can be recorded; {reason}")
    request = request_or_refuse(_request(package, card))
    with closing(_load(request, card, families, float("inf"))) as bench:
        return record_golden(package, bench.subject)


def _checks(
    package: Path, card: ModelCard, families: Mapping[str, str] | None, budget_s: float
) -> Iterator[Check]:
    total = sum(file.bytes for file in card.files) / 1e6
    files = counted(len(card.files), "file")
    yield passed("package", f"{files}, {total:.3g} MB, as the card says")
    yield _filled_in(card)
    if card.is_judge:
        yield from _judge_checks(package, card)
        return
    request = _request(package, card)
    if isinstance(request, NotReady):
        yield warned(
            "sample patient", f"nothing more can be tried without a scan: {request.reason}"
        )
        return
    try:
        bench = _load(request, card, families, time.monotonic() + budget_s)
    except Exception as error:  # noqa: BLE001 - the model's own code: whatever it raises is its answer
        from napari_medsyn.evaluation.contract import told

        yield failed("loading", told(error))
        return
    with closing(bench):
        yield from _bench_checks(package, bench)


def _bench_checks(package: Path, bench: _Bench) -> Iterator[Check]:
    from napari_medsyn.evaluation.contract import check_family, guarded
    from napari_medsyn.evaluation.self_test import NAME, check_golden

    yield passed("loading", f"{bench.seconds:.2g} s on the CPU, libraries included")
    yield guarded(NAME, lambda: check_golden(package, bench.subject))
    yield from check_family(bench.subject)
    yield guarded("cancelling", lambda: _cancelling(bench))


def _filled_in(card: ModelCard) -> Check:
    from napari_medsyn.registry.templating import unfilled

    empty = list(unfilled(card.model_dump(mode="json")))
    if empty:
        return warned("card", f"{counted(len(empty), 'field')} to be filled in: {', '.join(empty)}")
    return passed("card", "complete")


def _judge_checks(package: Path, card: ModelCard) -> Iterator[Check]:
    from napari_medsyn.evaluation.judge_contract import check_judge
    from napari_medsyn.models.families import load_judge
    from napari_medsyn.scans.preparation import PreparationOptions, prepare
    from napari_medsyn.scans.sample import sample_study

    started = time.monotonic()
    judge = load_judge(package, card, "cpu")
    yield passed("loading", f"{time.monotonic() - started:.2g} s on the CPU, libraries included")
    study = Study(tuple(scan for scan in sample_study() if scan.modality in card.inputs))
    if len(study) < max(card.min_inputs, 1):
        yield warned("sample patient", f"has too few of {', '.join(card.inputs)} to go on")
        return
    prepared = prepare(study, card.grid.grid(), PreparationOptions())
    yield from check_judge(card, judge, prepared)


def _request(package: Path, card: ModelCard) -> Request | NotReady:
    """What a session would ask: of nobody, or all that is missing of the sample patient."""
    from napari_medsyn.scans.sample import sample_study

    study = Study() if needs_no_scan(card) else sample_study()
    return resolve(Snapshot(study=study, package=package, device="cpu"), card)


@dataclass(frozen=True, eq=False, slots=True)
class _Bench:
    """A model that is loaded and fed; `seconds` is how long the loading took."""

    request: Request
    prepared: PreparedStudy
    subject: Subject
    seconds: float

    def close(self) -> None:
        _close(self.subject.family)


def _load(
    request: Request, card: ModelCard, families: Mapping[str, str] | None, deadline: float
) -> _Bench:
    """Load the model of `request` and bring its study to the model's grid."""
    from napari_medsyn.evaluation.rendering import Subject

    caches = Caches(families)
    started = time.monotonic()
    family = caches.family(request.package, card, "cpu")
    seconds = time.monotonic() - started
    try:
        prepared = caches.prepared(request.study, card, request.options)
    except BaseException:
        _close(family)
        raise
    study = prepared if len(request.study) else None
    subject = Subject(card, family, study, request.controls, deadline)
    return _Bench(request, prepared, subject, seconds)


def _close(family: Family) -> None:
    """End the process of a model that has one."""
    close = getattr(family, "close", None)
    if close is not None:
        close()


def _cancelling(bench: _Bench) -> Check:
    """Cancel while the first region is rendered, the way a session does."""
    watched = _Watched(bench.subject.family)
    request = bench.request
    hooks = Hooks(newest=lambda: None if watched.seconds else request)
    *_, last = answer(request, _Held(watched, bench.prepared), hooks)
    if not isinstance(last, Stopped):
        told = getattr(last, "message", type(last).__name__)
        return failed("cancelling", f"it did not stop but ended with: {told}")
    if len(watched.seconds) != 1:
        return failed("cancelling", f"it stopped only after {len(watched.seconds)} regions")
    sentence = f"it stops after the region under way, which took {watched.seconds[0]:.2g} s"
    if watched.seconds[0] > LONG_REGION_S:
        return warned("cancelling", f"{sentence}: people have to wait for it")
    return passed("cancelling", sentence)


class _Watched:
    """A family of which is noted how long each region takes, in seconds."""

    def __init__(self, family: Family) -> None:
        self.card = family.card
        self.seconds: list[float] = []
        self._family = family

    def condition(self, study: PreparedStudy | None, controls: ControlValues) -> Any:
        return self._family.condition(study, controls)

    def plan(
        self, first: Sequence[int], slices: Sequence[int], controls: ControlValues
    ) -> Sequence[Region]:
        return self._family.plan(first, slices, controls)

    def render(self, conditioning: Any, controls: ControlValues, region: Region) -> Rendered:
        started = time.monotonic()
        try:
            return self._family.render(conditioning, controls, region)
        finally:
            self.seconds.append(time.monotonic() - started)


class _Held(Caches):
    """Caches that hold one model and one study, whatever is asked for."""

    def __init__(self, family: Family, prepared: PreparedStudy) -> None:
        super().__init__()
        self._one, self._other = family, prepared

    def has_prepared(self, *_: Any) -> bool:
        return True

    def prepared(self, *_: Any, **__: Any) -> PreparedStudy:
        return self._other

    def family(self, *_: Any) -> Family:
        return self._one

    def has_family(self, *_: Any) -> bool:
        return True
