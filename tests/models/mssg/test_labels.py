"""The label model as families, exploration and training use it."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from tests.models.mssg._people import MadeSource, hand_made, made_sources

from napari_medsyn.models.mssg.labels import LabelModel
from napari_medsyn.models.mssg.labels_support import LEVELS, Quantiles

WOMAN = {"age": 50.0, "sex": "F", "ventricles": float(np.exp(3.5)), "lesions": None, "cohort": "ms"}


@pytest.fixture(scope="module")
def model() -> LabelModel:
    """Fitted on made people."""
    return LabelModel.fit(made_sources(70, 32))


@pytest.fixture(scope="module")
def by_hand() -> LabelModel:
    """Its law is known; of support nothing is stored."""
    return LabelModel(hand_made(), Quantiles(LEVELS, {}))


class TestCodes:
    def test_by_hand(self, by_hand):
        coded = by_hand.encode(WOMAN)
        assert by_hand.names == ("age", "sex", "ventricles", "lesions", "cohort")
        assert coded[:3] == pytest.approx([0, -1, 1])
        assert np.isnan(coded[3])
        assert coded[4] == 1
        assert by_hand.encode({"lesions": np.exp(3.0) - 1}, "ixi")[[3, 4]] == pytest.approx([1, -1])

    def test_back(self, by_hand):
        back = by_hand.decode(by_hand.encode(WOMAN))
        assert back == {**WOMAN, "ventricles": pytest.approx(WOMAN["ventricles"])}

    def test_between_the_codes_the_nearer_counts(self, by_hand):
        back = by_hand.decode([0.0, 0.3, 0.0, -9.0, -0.2])
        assert (back["sex"], back["cohort"], back["lesions"]) == ("M", "ixi", 0.0)

    def test_other_controls_are_not_looked_at(self, by_hand):
        assert np.array_equal(
            by_hand.encode({**WOMAN, "seed": 3, "truncation": 0.7}),
            by_hand.encode(WOMAN),
            equal_nan=True,
        )

    def test_the_cohort_given_counts_more(self, by_hand):
        assert by_hand.encode(WOMAN, "ixi")[4] == -1

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"sex": "female"}, "sex 'female' is not one of F, M"),
            ({"cohort": "adni"}, "cohort 'adni' is not one of ixi, ms"),
            ({"age": "old"}, "age 'old' is not a number"),
            ({"lesions": float("inf")}, "lesions inf is not a finite number"),
        ],
    )
    def test_what_is_no_value(self, by_hand, values, words):
        with pytest.raises(ValueError, match=words):
            by_hand.encode(values)

    def test_a_vector_of_another_size(self, by_hand):
        with pytest.raises(ValueError, match="not \\(5,\\)"):
            by_hand.decode(np.zeros(4))


class TestComplete:
    def test_known_ones_stay_as_they_are(self, model, rng):
        filled = model.complete(WOMAN, rng)
        assert list(filled) == list(model.names)
        assert {n: filled[n] for n in WOMAN if n != "lesions"} == {
            n: v for n, v in WOMAN.items() if n != "lesions"
        }
        low, high = model.joint.volumes["lesions"].low, model.joint.volumes["lesions"].high
        assert low <= filled["lesions"] <= high

    def test_not_a_number_is_not_known(self, model, rng):
        assert 20 <= model.complete({"age": float("nan")}, rng)["age"] <= 80

    def test_equal_generators_equal_people(self, model):
        one, other, third = (model.complete({}, np.random.default_rng(s)) for s in (3, 3, 4))
        assert one == other != third

    def test_lesions_of_the_healthy_are_those_of_patients(self, by_hand, rng):
        drawn = [
            by_hand.complete({"age": 70.0, "sex": "F", "cohort": "ixi"}, rng) for _ in range(200)
        ]
        logs = np.log1p([person["lesions"] for person in drawn])
        # Mean 2, deviation 1, cut off at 0.1 ml.
        assert logs.mean() == pytest.approx(2.05, abs=0.25)
        assert logs.std() == pytest.approx(0.95, abs=0.2)


class TestExpected:
    def test_by_hand(self, by_hand):
        given = {"age": 80, "sex": "M", "cohort": "ixi"}
        # 0.1 + 0.2 + 0.5: exp(3 + 0.5 * 0.8).
        assert by_hand.expected(given, "ventricles") == pytest.approx(np.exp(3.4), rel=1e-3)

    def test_its_own_value_is_not_used(self, model):
        # With the age unknown, wide ventricles would make it an old person's.
        given = {"sex": "F", "cohort": "ixi"}
        own = model.expected({**given, "ventricles": 30.0}, "ventricles")
        assert own == model.expected(given, "ventricles")

    def test_wide_ventricles_are_those_of_the_old(self, model):
        young, old = (model.expected({"ventricles": ml}, "age") for ml in (14, 28))
        assert young < 40
        assert old > 60

    def test_sex_and_cohort_are_probabilities(self, by_hand):
        assert by_hand.expected({"cohort": "ms"}, "sex") == pytest.approx(0.25)
        assert by_hand.expected({}, "cohort") == pytest.approx(0.25)

    def test_of_something_else(self, model):
        with pytest.raises(ValueError, match="'seed' is not one of age, sex"):
            model.expected({}, "seed")


class TestInterval:
    def test_holds_its_share_of_those_drawn(self, by_hand, rng):
        given = {"sex": "F", "cohort": "ixi"}
        low, high = by_hand.interval(given, "ventricles", 0.8)
        drawn = np.array([by_hand.complete(given, rng)["ventricles"] for _ in range(250)])
        assert (drawn < low).mean() == pytest.approx(0.1, abs=0.06)
        assert (drawn > high).mean() == pytest.approx(0.1, abs=0.06)

    def test_a_smaller_share_lies_within(self, model):
        wide, narrow = (model.interval({"age": 40}, "ventricles", share) for share in (0.9, 0.5))
        mean = model.expected({"age": 40}, "ventricles")
        assert wide[0] < narrow[0] < mean < narrow[1] < wide[1]

    @pytest.mark.parametrize(("name", "share"), [("sex", 0.9), ("cohort", 0.9), ("age", 1.0)])
    def test_what_has_none(self, model, name, share):
        with pytest.raises(ValueError, match=r"has no interval|not between 0 and 1"):
            model.interval({}, name, share)


class TestSupport:
    def test_a_usual_person(self, model):
        usual = {"age": 40, "sex": "F", "ventricles": 18, "lesions": 12, "cohort": "ixi"}
        assert model.support(usual).is_inside
        assert model.support({}).percentile == 100

    def test_an_unusual_combination_of_usual_values(self, model):
        young = {"age": 22, "ventricles": 28.0, "cohort": "ixi"}
        assert all(model.support({n: v}).is_inside for n, v in young.items())
        found = model.support(young)
        assert not found.is_inside
        assert found.percentile < 2
        assert found.beyond == ()

    def test_what_no_source_holds_together_is_judged_by_the_whole(self, model):
        # Nobody has counted lesions of healthy people, and the oldest patient is 55.
        healthy = {"age": 75, "ventricles": 27.0, "cohort": "ixi"}
        assert model.support({**healthy, "lesions": 11.0}).is_inside
        assert not model.support({**healthy, "lesions": 0.9}).is_inside

    def test_beyond_a_range(self, model):
        found = model.support({"age": 75, "lesions": 11.0, "cohort": "ms"})
        assert (found.is_inside, found.percentile, found.beyond) == (False, 0, ("age",))
        assert model.support({"ventricles": 300.0}).beyond == ("ventricles",)

    def test_nearly_all_training_people_are_inside(self, model):
        inside = []
        for source in made_sources(70, 32):
            for row in zip(*source.labels.values(), strict=True):
                person = dict(zip(source.labels, row, strict=True), cohort=source.name)
                person["sex"] = "FM"[int(person["sex"])]
                inside.append(model.support(person).is_inside)
        assert np.mean(inside) >= 0.96


class TestNearest:
    def test_on_the_near_side(self, model):
        young = {"age": 22, "sex": "F", "ventricles": 28.0, "cohort": "ixi"}
        ml = model.nearest(young, "ventricles")
        assert 14 < ml < 28
        assert model.support({**young, "ventricles": ml}).is_inside
        assert not model.support({**young, "ventricles": ml + 1}).is_inside
        years = model.nearest(young, "age")
        assert years == int(years) > 22
        assert model.support({**young, "age": years}).is_inside
        assert not model.support({**young, "age": years - 1}).is_inside

    def test_a_supported_value_stays(self, model):
        assert model.nearest({"age": 40.37, "cohort": "ixi"}, "age") == 40.37

    def test_an_unknown_value_has_none(self, model):
        assert model.nearest({"age": 22, "ventricles": 28.0}, "lesions") is None

    def test_where_there_is_none(self, model):
        # Whatever the lesions, the ventricles stay beyond all.
        assert model.nearest({"ventricles": 300.0, "lesions": 10.0}, "lesions") is None

    def test_the_other_cohort(self, model):
        old = {"age": 75, "sex": "F", "cohort": "ms"}
        assert model.nearest(old, "cohort") == "ixi"
        assert model.nearest(old, "sex") is None
        oldest = made_sources(70, 32)[1].labels["age"].max()
        assert model.nearest(old, "age") == np.floor(oldest)


class TestWhole:
    def test_json_there_and_back(self, model):
        data = json.loads(json.dumps(model.to_json()))
        again = LabelModel.from_json(data)
        assert again.to_json() == model.to_json()
        person = model.complete({}, np.random.default_rng(0))
        assert again.complete({}, np.random.default_rng(0)) == person
        assert again.support(person) == model.support(person)

    def test_it_is_small(self, model):
        assert len(json.dumps(model.to_json())) < 20_000

    def test_equal_seeds_equal_models(self):
        sources = made_sources(12, 9)
        assert LabelModel.fit(sources).to_json() == LabelModel.fit(sources).to_json()

    def test_log_density(self, by_hand):
        assert by_hand.log_density({}) == 0
        found = by_hand.log_density({"age": 50, "sex": "M", "cohort": "ms"})
        assert found == pytest.approx(np.log(0.25 / 20))

    def test_sources_that_cannot_be_fitted(self):
        healthy, patients = made_sources(12, 9)
        both = MadeSource("ms", {**patients.labels, "ventricles": np.arange(1.0, 10.0)})
        ageless = [
            MadeSource(s.name, {n: v for n, v in s.labels.items() if n != "age"})
            for s in (healthy, patients)
        ]
        for sources, words in (
            ([healthy], "two sources"),
            ([healthy, healthy], "different names"),
            ([healthy, both], "ventricles is recorded by both"),
            (ageless, "must have recorded age"),
        ):
            with pytest.raises(ValueError, match=words):
                LabelModel.fit(sources)

    def test_it_needs_no_torch(self):
        code = "import sys, napari_medsyn.models.mssg.labels; sys.exit('torch' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
