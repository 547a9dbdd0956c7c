"""Whether a model keeps the contract of its floor, tried out on the model itself.

What a card promises (outputs, controls, a seed) is compared with what the model does.
Every check answers with a sentence; none raises because of what the model does, so that
an author reads everything that is to be mended at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from napari_medsyn.errors import MedsynError
from napari_medsyn.evaluation.checks import Check, counted, failed, passed, warned
from napari_medsyn.evaluation.rendering import OutOfTime, Rendering, Subject
from napari_medsyn.registry.controls import Control, Latent

#: Values of a rendering: 1 is the 99.5th percentile of a brain, and some voxels are brighter.
DARKEST, BRIGHTEST = 0.0, 1.5
#: Rounding that values beyond the range may have.
_ROUNDING: Final = 1e-5
#: A change below this is none: it could not be seen, nor told from rounding.
VISIBLE: Final = 1e-4

#: Controls that are not turned one by one: what is asked for, and what fixes the noise.
_TARGETS, _PRESENT, _SEED = "targets", "present", "seed"


def check_family(subject: Subject) -> Iterator[Check]:
    """All checks of a generator, one after the other.

    The first ones decide whether the others make sense: after a model has given nothing
    usable, no control is turned.
    """
    yield guarded("plan", lambda: _plan(subject))
    first = _Attempt()
    yield guarded("output", lambda: _output(subject, first))
    if first.rendering is None:
        return
    at_rest = first.rendering
    yield guarded("same seed", lambda: _same_again(subject, at_rest))
    for control in subject.card.controls:
        if control.name == _TARGETS:
            continue
        name = f"control {control.name}"
        yield guarded(name, lambda c=control, n=name: _control(subject, at_rest, c, n))


@dataclass
class _Attempt:
    """What the first rendering gave; None until it was usable."""

    rendering: Rendering | None = None


def guarded(name: str, look: Any) -> Check:
    """The check that `look` gives; if the model raises instead, a failed one that says so."""
    try:
        check: Check = look()
    except OutOfTime:
        return warned(name, "not looked at: the time allowed for the test has passed")
    except Exception as error:  # noqa: BLE001 - the model's own code: whatever it raises is its answer
        return failed(name, told(error))
    return check


def told(error: Exception) -> str:
    """What a model raised, as a sentence: our own errors are sentences already."""
    if isinstance(error, MedsynError):
        return str(error)
    return f"the model failed: {type(error).__name__}: {error}"


def _plan(subject: Subject) -> Check:
    """Every slice once, what is on screen before the rest."""
    depth = subject.card.grid.shape[2]
    wanted, on_screen = list(range(depth)), [depth // 2]
    regions = subject.family.plan(on_screen, wanted, subject.controls)
    planned = [k for region in regions for k in region.slices]
    counts = Counter(planned)
    missing = [k for k in wanted if k not in counts]
    strange = sorted(set(counts) - set(wanted))
    twice = sorted(k for k, count in counts.items() if count > 1)
    for what, slices in (
        ("leaves out", missing),
        ("adds", strange),
        ("computes twice", twice),
    ):
        if slices:
            return failed("plan", f"it {what} slice {_some(slices)} of {depth}")
    with_slices = [region for region in regions if region.slices]
    if on_screen[0] not in with_slices[0].slices:
        return failed("plan", f"slice {on_screen[0]}, which is on screen, does not come first")
    steps = len(regions) - len(with_slices)
    before = f" after {counted(steps, 'step')}" if steps else ""
    return passed(
        "plan",
        f"{counted(depth, 'slice')} in {counted(len(with_slices), 'region')}{before}, each once",
    )


def _output(subject: Subject, attempt: _Attempt) -> Check:
    """Shape, numbers and range of what the defaults give."""
    rendering = subject.render()
    wrong = _wrong(subject, rendering, subject.slices)
    if wrong:
        return failed("output", wrong)
    attempt.rendering = rendering
    values = list(rendering.mean.values())
    low = min(float(v.min()) for v in values)
    high = max(float(v.max()) for v in values)
    shape = " x ".join(map(str, values[0].shape))
    took = f"{rendering.seconds:.2g} s on the CPU"
    sentence = f"{', '.join(rendering.mean)}: {shape}, {low:.3g} to {high:.3g}, {took}"
    if high - low < VISIBLE:
        return warned("output", f"{sentence}; every voxel is the same")
    return passed("output", sentence)


def _same_again(subject: Subject, at_rest: Rendering) -> Check:
    if subject.render().distance(at_rest) != 0:
        return failed("same seed", "the same controls gave two different results")
    return passed("same seed", "the same controls give the same result, bit for bit")


def _control(subject: Subject, at_rest: Rendering, control: Control, name: str) -> Check:
    """Move one control to all its ends: usable everywhere, and different somewhere."""
    largest = 0.0
    moves = moves_of(control, subject.controls)
    for value in moves:
        rendering = subject.render({control.name: value})
        wrong = _wrong(subject, rendering, subject.slices)
        if wrong:
            return failed(name, f"at {_short(value)}: {wrong}")
        largest = max(largest, rendering.distance(at_rest))
    if not moves:
        return passed(name, "there is only one value that can be tried here")
    tried = counted(len(moves), "other value")
    if largest < VISIBLE:
        return warned(name, f"it changes nothing; {tried} tried")
    if isinstance(control, Latent):
        idle = [
            label
            for i, label in enumerate(control.directions)
            if _is_idle(subject, i, control, at_rest)
        ]
        if idle:
            return warned(name, f"these directions change nothing: {', '.join(idle)}")
    return passed(name, f"changes the result by up to {largest:.3g}; {tried} tried")


def _is_idle(subject: Subject, direction: int, control: Latent, at_rest: Rendering) -> bool:
    """Whether one direction of a latent, moved alone, changes nothing."""
    alone = [0.0] * len(control.directions)
    alone[direction] = control.maximum
    return subject.render({control.name: tuple(alone)}).distance(at_rest) < VISIBLE


def moves_of(control: Control, values: Mapping[str, Any]) -> list[Any]:
    """Values to try of a control: its ends, all categories, modalities left out.

    Parameters
    ----------
    control : of the card.
    values : those of the other renderings; what equals them is not tried.
    """
    match control.kind:
        case "continuous" | "integer":
            tried: list[Any] = [control.minimum, control.maximum]
        case "boolean":
            tried = [False, True]
        case "categorical":
            tried = [category.value for category in control.categories]
        case "latent":
            count = len(control.directions)
            tried = [(control.minimum,) * count, (control.maximum,) * count]
        case "seed":
            tried = [int(values.get(control.name, control.default)) + 1]
        case "modality_set":
            present = tuple(values.get(control.name, ()))
            least = max(control.minimum, 1)
            tried = [(name,) for name in present] if least == 1 and len(present) > 1 else []
    return [control.check(value) for value in tried if value != values.get(control.name)]


def _wrong(subject: Subject, rendering: Rendering, slices: Sequence[int]) -> str:
    """What is wrong with a rendering; empty if nothing is."""
    targets = subject.controls.get(_TARGETS) or subject.card.outputs
    missing = [name for name in targets if name not in rendering.mean]
    if missing:
        return f"there is no {', '.join(missing)} among what it gives"
    expected = (*subject.card.grid.shape[:2], len(slices))
    for what, volumes in (("", rendering.mean), ("spread of ", rendering.std)):
        for name, volume in volumes.items():
            if volume.shape != expected:
                return f"{what}{name} has the shape {volume.shape}, not {expected}"
            if not np.isfinite(volume).all():
                return f"{what}{name} has numbers that are infinite or none"
            low, high = float(volume.min()), float(volume.max())
            if low < DARKEST - _ROUNDING or (not what and high > BRIGHTEST + _ROUNDING):
                allowed = f"{DARKEST:g} to {BRIGHTEST:g}"
                return f"{what}{name} goes from {low:.3g} to {high:.3g}, which is beyond {allowed}"
    return ""


def _some(numbers: Sequence[int]) -> str:
    """The first few of a list."""
    listed = ", ".join(map(str, numbers[:5]))
    return listed + (", …" if len(numbers) > 5 else "")


def _short(value: Any) -> str:
    """A value as a sentence can hold it."""
    if isinstance(value, tuple) and len(set(value)) == 1 and len(value) > 1:
        return f"{value[0]} everywhere"
    return str(value)
