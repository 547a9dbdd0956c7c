"""Whatever a package brings as its label model is either sound or refused in a sentence."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
from tests.models.mssg._people import hand_made

from napari_medsyn.errors import UnusableModel
from napari_medsyn.models.mssg import labels_json
from napari_medsyn.models.mssg.labels_support import ANY, LEVELS, measure


@pytest.fixture(scope="module")
def sound() -> dict[str, Any]:
    joint, rng = hand_made(), np.random.default_rng(0)
    people = {
        "age": rng.uniform(40, 60, 6),
        "sex": np.array([1.0, -1.0] * 3),
        "ventricles": rng.standard_normal(6),
        "lesions": rng.standard_normal(6),
    }
    found = measure(joint, people, np.repeat([0, 1], 3))
    stored = {"levels": list(LEVELS), "quantiles": found.values}
    return labels_json.dump(joint.sources, joint.scale, stored)


def test_it_comes_back_as_it_was(sound):
    part = labels_json.read(json.loads(json.dumps(sound)))
    built = tuple(source.build() for source in part.sources)
    for source, first in zip(built, hand_made().sources, strict=True):
        assert (source.name, source.people, source.given_age) == (
            first.name,
            first.people,
            first.given_age,
        )
        assert (source.age, source.sex, source.volumes) == (first.age, first.sex, first.volumes)
        assert source.mixture is not None
        assert first.mixture is not None
        assert np.array_equal(source.mixture.covariances, first.mixture.covariances)
        assert np.array_equal(source.mixture.shifts, first.mixture.shifts)


def test_whole_numbers_are_numbers(sound):
    data = copy.deepcopy(sound)
    data["sources"][0]["age"]["low"] = 20
    assert labels_json.read(data).sources[0].age.low == 20


#: Path, value put there, words of the refusal.
BROKEN: list[tuple[str, Any, str]] = [
    ("schema_version", 2, "schema_version: Input should be 1"),
    ("age.low", 80.0, "age: the oldest, 80, must be above the youngest, 80"),
    ("age.high", float("nan"), "age.high: Input should be a finite number"),
    ("age.high", "80", "age.high: Input should be a valid number"),
    ("age.high", True, "age.high: Input should be a valid number"),
    ("sources", [], "sources: List should have at least 2 items"),
    ("sources.0.name", "../x", "sources.0.name: String should match"),
    ("sources.0.name", "ms", "two sources need two names"),
    ("sources.0.name", "any", "neither of them 'any'"),
    ("sources.0.people", 0, "sources.0.people: Input should be greater"),
    ("sources.0.code", "import os", "sources.0.code: Extra inputs are not permitted"),
    ("sources.0.age.alpha", 0.0, "sources.0.age.alpha: Input should be greater"),
    ("sources.0.age.beta", 1e300, "sources.0.age.beta: Input should be less"),
    ("sources.0.sex.slope", float("inf"), "sources.0.sex.slope: Input should be"),
    ("sources.0.volumes.0.name", "grey_matter", "is not one of the volumes ventricles (log)"),
    ("sources.0.volumes.0.transform", "log1p", "is not one of the volumes"),
    ("sources.0.volumes.0.transform", "exec", "Input should be 'log' or 'log1p'"),
    ("sources.0.volumes.0.scale", 0.0, "scale: Input should be greater"),
    ("sources.0.volumes.0.high", 0.1, "from 0.5 to 0.1 ml is no range"),
    ("sources.0.volumes.0.low", 0.0, "from 0 to 800 ml is no range"),
    ("sources.0.given_age", False, "its mixture has 2 coordinates instead of 1"),
    ("sources.0.mixture", None, "its mixture has 0 coordinates instead of 2"),
    ("sources.0.age", None, "given_age needs ages and volumes"),
    ("sources.0.mixture.weights", [0.4], "weights add up to 0.4, not 1"),
    ("sources.0.mixture.weights", [0.5, 0.5], "differ in size"),
    ("sources.0.mixture.weights", [1 / 33] * 33, "List should have at most 32 items"),
    ("sources.0.mixture.weights", [1.5, -0.5], "weights.1: Input should be greater"),
    ("sources.0.mixture.means", [[0.0]], "differ in size"),
    ("sources.0.mixture.means", [], "differ in size"),
    ("sources.0.mixture.covariances.0", [[0.3, 0.15]], "differ in size"),
    ("sources.0.mixture.covariances.0.0.1", 0.2, "covariance 0 is not symmetric"),
    ("sources.0.mixture.covariances.0", [[0.3, 0.5], [0.5, 0.5]], "not positive definite"),
    ("sources.0.mixture.covariances.0", [[0.0, 0.0], [0.0, 0.0]], "not positive definite"),
    ("support.levels", [0.0, 50.0, 50.0, 100.0], "levels must rise from 0 to 100"),
    ("support.levels", [1.0, 100.0], "levels must rise from 0 to 100"),
    ("support.quantiles.ms.age", [0.0, 1.0], "quantiles of ms, age do not rise with the levels"),
    ("support.quantiles.ms.age.0", 9.0, "quantiles of ms, age do not rise with the levels"),
    ("support.quantiles.ms", {}, "not those of these sources"),
    ("support.quantiles.other", {}, "Dictionary should have at most 3 items"),
]


@pytest.mark.parametrize(("path", "value", "words"), BROKEN, ids=lambda x: str(x)[:40])
def test_unsound_ones_are_refused(sound, path, value, words):
    data = copy.deepcopy(sound)
    *way, last = path.split(".")
    place: Any = data
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    place[int(last) if last.isdigit() else last] = value
    with pytest.raises(UnusableModel) as refused:
        labels_json.read(data)
    assert words in str(refused.value)
    assert str(refused.value).startswith("the card's label model cannot be used: ")


def test_a_volume_of_two_sources_is_refused(sound):
    data = copy.deepcopy(sound)
    data["sources"][1] = {**copy.deepcopy(data["sources"][0]), "name": "ms"}
    with pytest.raises(UnusableModel, match="a volume is recorded by one source only"):
        labels_json.read(data)


@pytest.mark.parametrize("what", ["age", "sex"])
def test_somebody_must_have_recorded_age_and_sex(sound, what):
    data = copy.deepcopy(sound)
    for source in data["sources"]:
        source[what] = None
        source |= {"volumes": [], "given_age": False, "mixture": None}
    with pytest.raises(UnusableModel, match=f"no source has recorded {what}"):
        labels_json.read(data)


@pytest.mark.parametrize("data", [None, [], "{}", 3, {}])
def test_what_is_no_label_model(data):
    with pytest.raises(UnusableModel, match="the card's label model cannot be used"):
        labels_json.read(data)


@pytest.mark.parametrize("who", ["ixi", ANY])
def test_quantiles_of_every_source_and_of_all_must_be_there(sound, who):
    data = copy.deepcopy(sound)
    del data["support"]["quantiles"][who]
    with pytest.raises(UnusableModel, match="not those of these sources"):
        labels_json.read(data)
