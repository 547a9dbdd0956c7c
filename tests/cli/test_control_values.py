"""``--set``, ``--from`` and ``--sweep``: what can be written, and what it means."""

from __future__ import annotations

import pytest
from tests._people import CONTROLS, COVARIATES
from tests.registry._cards import make_card

from napari_medsyn.cli.control_values import (
    parse_settings,
    parse_sweep,
    settings_text,
    split_settings,
)
from napari_medsyn.errors import UnusableModel


@pytest.fixture(scope="module")
def card():
    return make_card(controls=CONTROLS, covariates=COVARIATES)


def parsed(card, *settings, **options):
    return parse_settings(card, settings, **options)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["age=70,sex=F"], ["age=70", "sex=F"]),
        (["age=70", "sex=F"], ["age=70", "sex=F"]),
        (["age=70, sex=F"], ["age=70", "sex=F"]),
        (["latent=1,2,3,age=4"], ["latent=1,2,3", "age=4"]),
        (["latent.wide=1,latent.tall=2"], ["latent.wide=1", "latent.tall=2"]),
        (["a=,b=1"], ["a=", "b=1"]),
    ],
)
def test_a_comma_ends_a_value_where_another_name_follows(arguments, parts):
    assert list(split_settings(arguments)) == parts


def test_values_come_in_the_type_of_their_control(card):
    values = parsed(card, "age=70,sex=F", "mirror=yes,truncation=0.5", "mixing=3")
    assert values == {"age": 70.0, "sex": "F", "mirror": True, "truncation": 0.5, "mixing": 3}


@pytest.mark.parametrize("text", ["F", "f", "Female", "female"])
def test_a_category_is_found_by_value_or_label(card, text):
    assert parsed(card, f"sex={text}") == {"sex": "F"}


def test_the_last_value_counts(card):
    assert parsed(card, "age=30,age=40", "age=50") == {"age": 50.0}


def test_one_number_of_a_latent_keeps_the_others(card):
    assert parsed(card, "latent=1,2,3,latent.tall=-1") == {"latent": (1.0, -1.0, 3.0)}


def test_unknown_is_a_value_of_what_may_be_unknown(card):
    assert parsed(card, "age=unknown,sex=Unknown") == {"age": None, "sex": None}


def test_own_takes_an_earlier_value_back(card):
    assert parsed(card, "age=70,sex=M", "age=own", own=COVARIATES) == {"sex": "M"}


def test_a_seed_may_be_set_where_no_other_option_takes_it(card):
    assert parsed(card, "seed=4", seed_option="") == {"seed": 4}


def test_only_the_first_seed_has_an_option_of_its_own():
    seeds = [{"kind": "seed", "name": name, "label": name} for name in ("seed", "mixing_seed")]
    two = make_card(controls=seeds)
    assert parsed(two, "mixing_seed=4") == {"mixing_seed": 4}
    with pytest.raises(UnusableModel, match="give the seed by --seed"):
        parsed(two, "seed=4")


@pytest.mark.parametrize(
    ("setting", "options", "sentence"),
    [
        ("age", {}, "--set age: write NAME=VALUE, such as age=70"),
        ("age=", {}, "--set age=: write NAME=VALUE"),
        ("=3", {}, "--set =3: write NAME=VALUE"),
        ("age=old", {}, "--set age=old: 'old' is not a number"),
        ("age=7", {}, "--set age=7: Fake brain: age 7.0 is outside 18 to 90"),
        ("sex=X", {}, "--set sex=X: Fake brain: sex 'X' is not one of F, M"),
        ("height=3", {}, "Fake brain has no control 'height'; it has age, sex, "),
        ("truncation=unknown", {}, "the model has to know truncation; give a value"),
        ("age=own", {}, "there is no patient here whose own value it would be"),
        ("truncation=own", {"own": COVARIATES}, "a patient has no truncation; age, sex may be own"),
        ("seed=3", {}, "--set seed=3: give the seed by --seed"),
        ("truncation=1", {"option": "--from", "among": COVARIATES}, "--from truncation=1: trunc"),
        ("latent.tall=x", {}, "'x' is not a number"),
        ("age.first=3", {}, "age is one value, without parts"),
    ],
)
def test_what_cannot_be_set_names_the_option_and_the_remedy(card, setting, options, sentence):
    with pytest.raises(UnusableModel) as raised:
        parsed(card, setting, **options)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_was_written_can_be_read_again(card):
    values = {"age": 70.125, "sex": None, "latent": (0.5, -1.0, 0.1), "mirror": False, "mixing": 2}
    text = settings_text(values)
    assert text == "age=70.125,sex=unknown,latent=0.5,-1,0.1,mirror=false,mixing=2"
    assert parsed(card, text) == values


# ---- sweeps ----------------------------------------------------------------------------


def sweep(card, text):
    return parse_sweep(card, text, COVARIATES)


def test_a_sweep_has_both_ends(card):
    assert sweep(card, "age=30:80:6") == ("age", (30.0, 40.0, 50.0, 60.0, 70.0, 80.0))
    assert sweep(card, "age=80:30:2") == ("age", (80.0, 30.0))


def test_a_sweep_may_list_its_values(card):
    assert sweep(card, "sex=M,F") == ("sex", ("M", "F"))
    assert sweep(card, "age=20,35.5,unknown") == ("age", (20.0, 35.5, None))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("age", "--sweep age: write NAME=FROM:TO:STEPS, such as age=30:80:11"),
        ("age=30:80", "--sweep age=30:80: write FROM:TO:STEPS, such as age=30:80:11"),
        ("age=30:80:x", "write FROM:TO:STEPS"),
        ("age=30:80:1", "a sweep has 2 to 200 steps, not 1"),
        ("age=30:80:201", "a sweep has 2 to 200 steps, not 201"),
        ("age=30", "a sweep has 2 to 200 steps, not 1"),
        ("age=40:40:3", "two steps have the same value"),
        ("age=30:800:3", "age 415.0 is outside 18 to 90"),
        ("age=a:b:3", "'a' is not a number"),
        ("sex=0:1:2", "sex is not a number; list its values, as in F,M"),
        ("truncation=0:1:3", "truncation cannot be given here; age, sex can"),
        ("height=1:2:3", "has no control 'height'; it has age, sex"),
    ],
)
def test_a_sweep_that_is_none_names_the_option_and_the_form(card, text, sentence):
    with pytest.raises(UnusableModel) as raised:
        sweep(card, text)
    assert sentence in str(raised.value)
