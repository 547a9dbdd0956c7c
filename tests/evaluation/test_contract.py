from __future__ import annotations

import time

import numpy as np
import pytest
from tests.evaluation._toy import CONTROLS, Toy, subject_of, toy_card

from napari_medsyn.evaluation.contract import check_family, moves_of
from napari_medsyn.evaluation.rendering import Subject
from napari_medsyn.models.family import Region, Rendered


def checks_of(family, **controls):
    return {check.name: check for check in check_family(subject_of(family, **controls))}


def test_a_model_that_keeps_its_word_passes_everything():
    checks = checks_of(Toy(toy_card()))
    assert list(checks) == [
        "plan",
        "output",
        "same seed",
        "control seed",
        "control level",
        "control latent",
    ]
    assert {check.verdict for check in checks.values()} == {"ok"}
    assert checks["plan"].sentence == "6 slices in 3 regions after 1 step, each once"
    assert checks["output"].sentence.startswith("T1: 4 x 5 x 6, 0.4 to 0.45, ")
    assert (
        checks["control level"].sentence == "changes the result by up to 0.1; 2 other values tried"
    )


class _Planned(Toy):
    regions: tuple[tuple[int, ...], ...] = ()

    def plan(self, first, slices, controls):
        return [Region(numbers) for numbers in self.regions]


@pytest.mark.parametrize(
    ("regions", "reason"),
    [
        (((3, 4), (0, 1, 2)), "leaves out slice 5 of 6"),
        (((3, 4), (0, 1, 2, 5, 6)), "adds slice 6 of 6"),
        (((3, 4), (0, 1, 2, 5, 4)), "computes twice slice 4 of 6"),
        (((0, 1, 2), (3, 4, 5)), "slice 3, which is on screen, does not come first"),
        ((), "leaves out slice 0, 1, 2, 3, 4, … of 6"),
    ],
)
def test_a_plan_that_does_not_cover_the_slices_fails(regions, reason):
    toy = _Planned(toy_card())
    toy.regions = regions
    plan = checks_of(toy)["plan"]
    assert not plan.ok
    assert reason in plan.sentence


class _Altered(Toy):
    """Gives what `alter` makes of the right answer."""

    def __init__(self, alter, **changes):
        super().__init__(toy_card(**changes))
        self.alter = alter

    def render(self, conditioning, controls, region):
        rendered = super().render(conditioning, controls, region)
        if not region.slices:
            return rendered
        return self.alter(rendered, controls)


def with_mean(mean):
    return lambda rendered, _: Rendered(rendered.region, {"T1": mean(rendered.mean["T1"])})


def with_std(value):
    def alter(rendered, _):
        mean = rendered.mean
        return Rendered(rendered.region, mean, {"T1": np.full_like(mean["T1"], value)})

    return alter


@pytest.mark.parametrize(
    ("alter", "reason"),
    [
        (with_mean(lambda v: v * np.nan), "T1 has numbers that are infinite or none"),
        (with_mean(lambda v: v + np.inf), "T1 has numbers that are infinite or none"),
        (with_mean(lambda v: v - 1), "T1 goes from -0.6 to -0.55, which is beyond 0 to 1.5"),
        (with_mean(lambda v: 255 * v), "which is beyond 0 to 1.5"),
        (with_mean(lambda v: v[:-1]), r"T1 has the shape (3, 5, 6), not (4, 5, 6)"),
        (lambda r, _: Rendered(r.region, {"T2": r.mean["T1"]}), "there is no T1 among"),
        (with_std(-0.5), "spread of T1 goes from -0.5"),
        (with_std(np.nan), "spread of T1 has numbers that are infinite or none"),
    ],
)
def test_an_output_that_nobody_can_use_fails_and_ends_the_checks(alter, reason):
    checks = checks_of(_Altered(alter))
    assert list(checks) == ["plan", "output"]
    assert not checks["output"].ok
    assert reason in checks["output"].sentence


def test_a_large_spread_is_no_mistake():
    assert checks_of(_Altered(with_std(3.0)))["output"].verdict == "ok"


def test_an_image_of_one_value_is_worth_a_warning():
    output = checks_of(_Altered(with_mean(lambda v: np.full_like(v, 0.5))))["output"]
    assert output.verdict == "warning"
    assert "every voxel is the same" in output.sentence


def test_noise_that_the_seed_does_not_fix_fails():
    rng = np.random.default_rng(1)
    noisy = _Altered(with_mean(lambda v: v + 1e-7 * rng.standard_normal(v.shape).astype(v.dtype)))
    assert checks_of(noisy)["same seed"].sentence == "the same controls gave two different results"
    assert not checks_of(noisy)["same seed"].ok


def frozen(**values):
    """The toy with some controls that do nothing."""

    class Frozen(Toy):
        def render(self, conditioning, controls, region):
            return super().render(conditioning, {**controls, **values}, region)

    return Frozen(toy_card())


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"seed": 0}, "control seed"),
        ({"level": 0.5}, "control level"),
        ({"latent": (0, 0)}, "control latent"),
    ],
)
def test_a_control_that_does_nothing_is_worth_a_warning(values, name):
    checks = checks_of(frozen(**values))
    assert {check.name for check in checks.values() if check.verdict == "warning"} == {name}
    assert checks[name].sentence.startswith("it changes nothing; ")


def test_a_direction_that_does_nothing_is_named():
    class Half(Toy):
        def render(self, conditioning, controls, region):
            left, _ = controls["latent"]
            return super().render(conditioning, {**controls, "latent": (left, 0)}, region)

    latent = checks_of(Half(toy_card()))["control latent"]
    assert latent.verdict == "warning"
    assert latent.sentence == "these directions change nothing: right"


def test_an_end_of_a_control_that_breaks_the_model_fails():
    def alter(rendered, controls):
        if controls["level"] == 1:
            return Rendered(rendered.region, {"T1": rendered.mean["T1"] * np.nan})
        return rendered

    level = checks_of(_Altered(alter))["control level"]
    assert not level.ok
    assert level.sentence == "at 1.0: T1 has numbers that are infinite or none"


def test_what_a_model_raises_is_its_answer():
    def alter(rendered, controls):
        if controls["seed"] == 1:
            raise ZeroDivisionError("no such seed")
        return rendered

    seed = checks_of(_Altered(alter))["control seed"]
    assert not seed.ok
    assert seed.sentence == "the model failed: ZeroDivisionError: no such seed"


def test_what_there_is_no_time_for_is_said_and_no_failure():
    toy = Toy(toy_card())
    subject = Subject(toy.card, toy, None, subject_of(toy).controls, time.monotonic() - 1)
    checks = {check.name: check for check in check_family(subject)}
    assert list(checks) == ["plan", "output"]
    assert checks["output"].verdict == "warning"
    assert "the time allowed" in checks["output"].sentence


def moves(control, **values):
    controls = toy_card(controls=[control]).controls
    return moves_of(controls[0], values)


def test_every_kind_of_control_is_moved_to_its_ends():
    level, latent = CONTROLS[1], CONTROLS[2]
    number = {**level, "kind": "integer", "minimum": 1, "maximum": 9, "default": 1, "step": 1}
    tick = {"kind": "boolean", "name": "tick", "label": "Tick"}
    categories = [{"value": v, "label": str(v)} for v in ("a", "b", 3)]
    choice = {"kind": "categorical", "name": "choice", "label": "C", "default": "a"}
    assert moves(level, level=0.5) == [0.0, 1.0]
    assert moves(number, level=1) == [9]
    assert moves(tick, tick=False) == [True]
    assert moves({**choice, "categories": categories}, choice="a") == ["b", 3]
    assert moves(latent, latent=(0.0, 0.0)) == [(-3.0, -3.0), (3.0, 3.0)]
    assert moves(CONTROLS[0], seed=4) == [5]


def test_modalities_are_tried_one_by_one():
    present = {"kind": "modality_set", "name": "present", "label": "P", "choices": ["T1"]}
    control = toy_card(
        inputs=["T1", "T2", "FLAIR"],
        controls=[{**present, "choices": ["T1", "T2", "FLAIR"], "minimum": 1}],
    ).controls[0]
    assert moves_of(control, {"present": ("T1", "T2")}) == [("T1",), ("T2",)]
    assert moves_of(control, {"present": ("T1",)}) == []
