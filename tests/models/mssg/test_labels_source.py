"""One source: its codes, and what EM and BIC make of made people."""

from __future__ import annotations

import numpy as np
import pytest
from tests.models.mssg._people import LESIONS, VENTRICLES, MadeSource, hand_made, made_sources

from napari_medsyn.models.mssg.labels_source import AgeScale, Volume, fit_source, recorded

SCALE = AgeScale(20.0, 80.0)


def test_ages_by_hand():
    assert SCALE.encode([20, 50, 80, 95]).tolist() == [-1, 0, 1, 1.5]
    assert SCALE.decode([-1, 0, 1]).tolist() == [20, 50, 80]


def test_volumes_by_hand():
    # (ln(e^3.5) - 3) / 0.5 = 1; (ln(1 + (e^3 - 1)) - 2) / 1 = 1.
    assert VENTRICLES.encode(np.exp(3.5)) == pytest.approx(1)
    assert LESIONS.encode(np.exp(3) - 1) == pytest.approx(1)
    for volume in (VENTRICLES, LESIONS):
        assert volume.decode(volume.encode([1.0, 40.0])) == pytest.approx([1, 40])


def test_nothing_has_a_code_and_nothing_is_below_it():
    assert np.isfinite(VENTRICLES.encode(0.0))
    assert LESIONS.encode(0.0) == pytest.approx(-2)
    assert LESIONS.decode(-5.0) == 0


def test_a_volume_is_scaled_to_its_people():
    ml = np.array([10.0, 20.0, 40.0])
    volume = Volume.fit("ventricles", ml)
    coded = volume.encode(ml)
    assert (coded.mean(), coded.std()) == pytest.approx((0, 1))
    assert (volume.low, volume.high) == (10, 40)


@pytest.mark.parametrize(
    ("name", "ml", "reason"),
    [
        ("ventricles", [0.0, 3.0], "has no logarithm"),
        ("lesions", [-1.0, 3.0], "has no logarithm"),
        ("lesions", [3.0, 3.0], "the same for everybody"),
    ],
)
def test_volumes_that_cannot_be_fitted(name, ml, reason):
    with pytest.raises(ValueError, match=reason):
        Volume.fit(name, np.array(ml))


def test_what_a_source_has_recorded():
    labels = {"age": [1.0, np.nan], "sex": [np.nan, np.nan]}
    assert recorded(labels, "sex") is None
    assert recorded(labels, "lesions") is None
    assert recorded(labels, "age") is not None


@pytest.fixture(scope="module")
def fitted():
    return [fit_source(s, SCALE, np.random.default_rng(0)) for s in made_sources(60, 32)]


def test_ventricles_are_given_age_and_lesions_are_not(fitted):
    healthy, patients = fitted
    assert healthy.given_age
    assert not patients.given_age
    assert (healthy.people, patients.people) == (60, 32)


def test_the_law_of_the_ventricles_is_found(fitted):
    healthy = fitted[0]
    line = healthy.conditional("ventricles", SCALE, np.array([30.0, 70.0]), np.ones(2), {})
    made = 14 * np.exp(0.012 * np.array([10.0, 50.0]))
    assert healthy.volumes[0].decode(line.mean()) == pytest.approx(made, rel=0.12)
    assert line.deviations * healthy.volumes[0].scale == pytest.approx([0.2], rel=0.25)


def test_beyond_its_ages_a_source_says_what_it_says_at_the_nearest(fitted):
    line = fitted[0].conditional("ventricles", SCALE, np.array([79.99, 95.0]), np.ones(2), {})
    assert line.mean()[1] == pytest.approx(line.mean()[0], rel=0.02)


def test_people_of_whom_a_part_is_missing_count_where_they_have_it():
    source = made_sources(40, 10)[0]
    labels = {name: np.array(values) for name, values in source.labels.items()}
    labels["ventricles"][:20] = np.nan
    labels["age"][0] = 99.0
    found = fit_source(MadeSource("ixi", labels), SCALE, np.random.default_rng(0))
    assert found.age is not None
    assert found.age.high == 99
    assert found.volumes[0].low == pytest.approx(labels["ventricles"][20:].min())


def test_a_source_without_ages_has_the_marginal():
    labels = {"lesions": np.expm1(np.linspace(1, 3, 16))}
    found = fit_source(MadeSource("ms", labels), SCALE, np.random.default_rng(0))
    assert found.age is None
    assert found.sex is None
    line = found.conditional("lesions", SCALE, np.array([30.0, 70.0]), np.zeros(2), {})
    assert line.mean()[0] == line.mean()[1]


def test_a_source_without_volumes_gives_none():
    labels = {"age": np.array([20.0, 30.0, 45.0]), "sex": np.array([0.0, 1.0, 1.0])}
    found = fit_source(MadeSource("ixi", labels), SCALE, np.random.default_rng(0))
    with pytest.raises(ValueError, match="ixi has recorded no volumes"):
        found.conditional("ventricles", SCALE, np.zeros(1), np.zeros(1), {})


def test_values_are_cut_off_at_what_was_recorded():
    line = (
        hand_made().sources[0].conditional("ventricles", SCALE, np.array(50.0), np.array(1.0), {})
    )
    assert (line.low, line.high) == pytest.approx(
        ((np.log(0.5) - 3) / 0.5, (np.log(800) - 3) / 0.5)
    )
