"""`medsyn models info` of a model of people: what may be unknown, and who a person is."""

from __future__ import annotations

from tests._people import CONTROLS, COVARIATES
from tests.registry._cards import make_card, make_entry

from napari_medsyn.cli.describing import card_lines, control_line


def test_what_may_be_unknown_says_so():
    age, sex, truncation, *_ = make_card(controls=CONTROLS).controls
    assert control_line(age) == (
        "control: age (Age): number, 18 to 90 years or unknown, default 45, trained on 20 to 86"
    )
    assert control_line(sex) == (
        "control: sex (Sex): one of F (Female), M (Male) or unknown, default F"
    )
    assert "unknown" not in control_line(truncation)


def test_the_covariates_are_named():
    fields = {"controls": CONTROLS, "covariates": COVARIATES}
    told = list(card_lines(make_entry(**fields), make_card(**fields)))
    assert "covariates of a person: age, sex" in told
    assert not [line for line in card_lines(make_entry(), make_card()) if "covariates" in line]


def test_the_first_seed_is_given_by_its_own_option_and_a_second_is_not():
    seeds = [{"kind": "seed", "name": name, "label": name} for name in ("seed", "mixing_seed")]
    told = list(card_lines(make_entry(controls=seeds), make_card(controls=seeds)))
    assert "control: seed (seed): whole number from 0, default 0; given as --seed" in told
    assert "control: mixing_seed (mixing_seed): whole number from 0, default 0" in told
