"""`medsyn models info`: what a person has to know of a model, and of each control."""

from __future__ import annotations

import pytest
from tests.registry._cards import make_card, make_entry, metric

from napari_medsyn.cli.describing import (
    MOST_METRICS,
    card_lines,
    control_line,
    metric_lines,
    shortened,
)


def lines(**changes: object) -> list[str]:
    return list(card_lines(make_entry(**changes), make_card(**changes)))


@pytest.mark.parametrize(
    ("control", "said"),
    [
        (
            {"kind": "continuous", "minimum": 40, "maximum": 85, "default": 60, "step": 0.5,
             "unit": "years", "support": [45, 81]},
            "number, 40 to 85 years, default 60, trained on 45 to 81",
        ),
        (
            {"kind": "integer", "minimum": 1, "maximum": 1000, "default": 50},
            "whole number, 1 to 1000, default 50",
        ),
        ({"kind": "boolean", "default": True}, "true or false, default true"),
        (
            {"kind": "categorical", "default": 1, "categories": [
                {"value": 0, "label": "Female"}, {"value": 1, "label": "Male"}]},
            "one of 0 (Female), 1 (Male), default 1",
        ),
        (
            {"kind": "categorical", "default": "benign", "categories": [
                {"value": "benign", "label": "Benign"}, {"value": "b", "label": "Malignant"}]},
            "one of benign, b (Malignant), default benign",
        ),
        (
            {"kind": "modality_set", "choices": ["T1", "T2"]},
            "any of T1,T2, default as the study has it",
        ),
        ({"kind": "seed"}, "whole number from 0, default 0"),
        (
            {"kind": "latent", "directions": [f"z {n}" for n in range(1, 101)], "minimum": -2},
            "100 directions (z 1, z 2, z 3, …, z 100), each -2 to 3 standard deviations, "
            "default 0",
        ),
        (
            {"kind": "latent", "directions": ["size"], "default": [1]},
            "1 direction (size), each -3 to 3 standard deviations, default as on the card",
        ),
    ],
)  # fmt: skip
def test_a_control_says_what_may_be_set(control, said):
    card = make_card(
        inputs=["T1", "T2"], controls=[{"name": "knob", "label": "The knob", **control}]
    )
    assert control_line(card.controls[0]) == f"control: knob (The knob): {said}"


def test_what_decides_comes_before_the_lists():
    said = lines(controls=[{"kind": "seed", "name": "seed", "label": "Seed"}], licence="MIT")
    assert said[0].endswith(", MIT")
    starts = [line.split(":")[0] for line in said]
    assert starts.index("weights") < starts.index("folder") < starts.index("limitation")
    assert starts.index("limitation") < starts.index("control")


def test_a_few_figures_are_shown_and_the_others_counted():
    figures = [metric(f"PSNR {n}", n + 0.25, n=3 + n // 2) for n in range(MOST_METRICS + 5)]
    said = list(metric_lines(make_card(metrics=figures).metrics))
    assert said[:4] == [
        "measured on here, n = 3:", "  PSNR 0       0.25", "  PSNR 1       1.25",
        "measured on here, n = 4:",
    ]  # fmt: skip
    assert sum(line.startswith("  PSNR") for line in said) == MOST_METRICS
    assert said[-1] == "  … and 5 more (--json has all)"
    assert "more" not in "".join(metric_lines(make_card(metrics=figures[:12]).metrics))


def test_a_figure_says_through_which_network_and_how():
    figures = [metric("FID", 4.5, extractor="Inception v3", note="5 folds")]
    assert list(metric_lines(make_card(metrics=figures).metrics)) == [
        "measured on here through Inception v3 (5 folds):", "  FID       4.5",
    ]  # fmt: skip


def test_a_long_text_is_cut_and_says_so():
    assert shortened("abc", 3) == "abc"
    assert shortened("abcd", 3) == "ab…"
