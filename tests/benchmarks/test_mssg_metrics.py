"""Figures as metrics of a card."""

from __future__ import annotations

import json

from benchmarks.mssg_control import unheld
from benchmarks.mssg_metrics import (
    keep,
    metric,
    of_control,
    of_counterfactuals,
    of_flips,
    of_realism,
)

from napari_medsyn.registry.parts import Metric


def row(covariate="lesions", cohort="ixi", held="no", r=0.87654):
    return {
        "covariate": covariate,
        "cohort asked for": cohort,
        "held by a source": held,
        "r": r,
        "n": 12,
    }


def test_every_metric_is_one_that_a_card_takes():
    realism = {"people": "m 1", "n": 40, "FID slab": 0.4, "KID slab": 0.1}
    near = {"model": "m 1", "space": "features", "ratio": 1.02}
    made = [
        *of_control([row(), row("age", "both", None)], "label model"),
        *of_flips({"read as asked both times": 0.95}, 20),
        *of_counterfactuals([{"what": "zero edit", "value": 1.0, "target": "1"}], 3),
        *of_realism([realism], [near], [{"model": "m 1", "ratio": 0.99}], model="m 1",
                    cohort="ixi", extractor="e"),
    ]  # fmt: skip
    assert len(made) == 8
    for values in made:
        Metric.model_validate(values)
    assert made[0]["name"] == "Lesions, cohort ixi, which no source holds: asked and read, r"
    assert made[0]["value"] == 0.8765
    assert made[1]["name"] == "Age: asked and read, r"


def test_other_models_and_lines_without_target_are_not_on_the_card():
    assert not of_counterfactuals([{"what": "mean years", "value": 14.0, "target": "20"}], 3)
    assert not of_counterfactuals([{"what": "the worst", "value": 26.0, "target": None}], 3)
    rows = [
        {"people": "m 1", "n": 4, "FID slab": 1.0, "KID slab": 0.1},
        {"people": "other", "n": 4, "FID slab": 9.0, "KID slab": 0.1},
    ]
    made = of_realism(rows, [], [], model="m 1", cohort="ixi", extractor="e")
    assert [m["value"] for m in made] == [1.0, 0.1]


def test_a_file_is_added_to_and_what_is_measured_again_replaced(tmp_path):
    path = tmp_path / "run" / "metrics.json"

    def one(name, value):
        return metric(name, value, "higher", 5, data_set="d", note="n")

    keep(path, [one("a", 1.0), one("b", float("nan"))])
    keep(path, [one("c", 3.0), one("a", 2.0)])
    keep(None, [one("d", 4.0)])
    found = {m["name"]: m["value"] for m in json.loads(path.read_text())}
    assert found == {"a": 2.0, "c": 3.0}
    assert [p.name for p in path.parent.iterdir()] == ["metrics.json"]


def test_what_no_source_holds_may_be_a_tenth_less():
    held = row(cohort="ms", held="yes", r=0.95)
    assert unheld([held, row(r=0.86)])[0]["reached"] == "yes"
    assert unheld([held, row(r=0.85)])[0]["reached"] == "no"
    assert not unheld([row(), row("age", "both", None)])
