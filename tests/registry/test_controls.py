from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from napari_medsyn.registry.controls import Control

READ: TypeAdapter[Any] = TypeAdapter(Control)


def control(kind: str, **fields: Any) -> Any:
    return READ.validate_python({"kind": kind, "name": "x", "label": "X", **fields})


def age(**fields: Any) -> Any:
    values = {"minimum": 0, "maximum": 120, "default": 60, "step": 1, "unit": "years"}
    return control("continuous", **values, **fields)


@pytest.mark.parametrize(
    ("made", "given", "kept"),
    [
        (age(), 45, 45.0),
        (control("integer", minimum=1, maximum=8, default=4), 3.0, 3),
        (control("boolean"), True, True),
        (control("seed"), 7, 7),
        (
            control(
                "categorical",
                categories=[{"value": 0, "label": "F"}, {"value": 1, "label": "M"}],
                default=0,
            ),
            1,
            1,
        ),
        (control("modality_set", choices=["T1", "T2", "CT"]), ["CT", "T1"], ("T1", "CT")),
        (control("latent", directions=["a", "b"]), [], (0.0, 0.0)),
        (control("latent", directions=["a", "b"]), [1, -2.5], (1.0, -2.5)),
    ],
)
def test_a_value_comes_back_in_the_controls_own_type(made, given, kept):
    value = made.check(given)
    assert value == kept
    assert type(value) is type(kept)


@pytest.mark.parametrize(
    ("made", "given", "sentence"),
    [
        (age(), 121, "x 121.0 is outside 0 to 120"),
        (age(), "old", "x 'old' is not a number"),
        (age(), True, "x True is not a number"),
        (age(), float("nan"), "x nan is outside 0 to 120"),
        (control("integer", minimum=1, maximum=8, default=4), 2.5, "x 2.5 is not a whole number"),
        (control("integer", minimum=1, maximum=8, default=4), float("nan"), "not a whole number"),
        (control("integer", minimum=1, maximum=8, default=4), float("inf"), "not a whole number"),
        (control("integer", minimum=1, maximum=8, default=4), 0, "x 0 is outside 1 to 8"),
        (control("boolean"), 1, "x 1 is not true or false"),
        (control("seed"), -1, "x -1 is outside 0 to 4294967295"),
        (
            control(
                "categorical",
                categories=[{"value": 0, "label": "F"}, {"value": 1, "label": "M"}],
                default=0,
            ),
            True,
            "x True is not one of 0, 1",
        ),
        (control("modality_set", choices=["T1"]), "T1", "x 'T1' is not a set of modalities"),
        (control("modality_set", choices=["T1"]), ["CT"], "x 'CT' is not one of T1"),
        (
            control("modality_set", choices=["T1"], minimum=1),
            [],
            "x () needs at least 1 modalities",
        ),
        (
            control("latent", directions=["a", "b"]),
            [1],
            "x needs 2 numbers, one for each direction, not 1",
        ),
        (control("latent", directions=["a"]), [4], "x a 4 is outside -3 to 3"),
        (control("latent", directions=["a"]), ["a"], "is not a list of numbers"),
    ],
)
def test_a_wrong_value_is_refused_with_the_rule(made, given, sentence):
    with pytest.raises(ValueError, match=r".") as caught:
        made.check(given)
    assert sentence in str(caught.value)


def test_beyond_the_training_range_there_is_a_warning_with_the_nearest_value():
    assert age(support=[45, 90]).warning(97) == (
        "X 97 years is beyond the training range 45 to 90; the result is extrapolation. "
        "The nearest supported value is 90."
    )
    assert "supported value is 45" in age(support=[45, 90]).warning(44)


@pytest.mark.parametrize("value", [45, 60, 90])
def test_within_the_training_range_there_is_none(value):
    assert age(support=[45, 90]).warning(value) == ""
    assert age().warning(value) == ""


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("continuous", {"minimum": 1, "maximum": 1, "default": 1, "step": 1}),
        ("continuous", {"minimum": 0, "maximum": 1, "default": 0.5, "step": 0}),
        (
            "continuous",
            {"minimum": 0, "maximum": 1, "default": 0, "step": 1, "support": [1, 0]},
        ),
        ("categorical", {"categories": [{"value": 1, "label": "one"}], "default": 1}),
        ("modality_set", {"choices": ["T1"], "default": ["T2"]}),
        ("latent", {"directions": ["a"], "default": [1, 2]}),
        ("seed", {"default": -1}),
        ("integer", {"minimum": 0, "maximum": 5, "default": 2, "surprise": 1}),
    ],
)
def test_a_control_that_contradicts_itself_is_refused(kind, fields):
    with pytest.raises(ValidationError):
        control(kind, **fields)


def test_a_latent_without_a_default_needs_0_within_its_range():
    with pytest.raises(ValidationError, match=r"x a 0 is outside 0\.5 to 2"):
        control("latent", directions=["a", "b"], minimum=0.5, maximum=2)
