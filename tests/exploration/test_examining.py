from __future__ import annotations

import numpy as np
import pytest
from tests import _fakes
from tests.evaluation import _toy
from tests.evaluation._judges import JUDGES, make_judge
from tests.evaluation._toy import FAMILIES, make_toy

from napari_medsyn.errors import UnusableModel, UnusableStudy
from napari_medsyn.exploration import examining
from napari_medsyn.exploration.examining import examine, record
from napari_medsyn.exploration.requests import Finished, Stopped
from napari_medsyn.models.family import Rendered
from napari_medsyn.scans.study import Study


@pytest.fixture
def package(tmp_path):
    make_toy(tmp_path / "toy")
    return tmp_path / "toy"


@pytest.fixture
def sample(monkeypatch):
    """T1 and T2 on the fake model's grid as the sample patient, the identity as preparation."""
    study = Study((_fakes.make_scan("T1"), _fakes.make_scan("T2")))
    monkeypatch.setattr("napari_medsyn.scans.sample.sample_study", lambda: study)
    monkeypatch.setattr("napari_medsyn.scans.preparation.prepare", _fakes.prepare)


def by_name(report):
    return {check.name: check for check in report.checks}


def test_a_good_package_passes_and_each_check_is_told(package):
    record(package, families=FAMILIES)
    told = []
    report = examine(package, families=FAMILIES, tell=told.append)
    assert tuple(told) == report.checks
    assert (report.model, report.version, report.ok) == ("toy", "1.2.0", True)
    checks = by_name(report)
    assert {check.verdict for check in checks.values()} == {"ok"}
    assert list(checks)[:4] == ["package", "card", "loading", "golden output"]
    assert checks["cancelling"].sentence.startswith("it stops after the region under way")


def test_the_model_is_closed_afterwards(package):
    examine(package, families=FAMILIES)
    assert _toy.LOADED[-1].closed == 1


def test_a_field_to_fill_in_is_worth_a_warning(tmp_path):
    make_toy(tmp_path / "toy", authors=["FILL IN: you"])
    card = by_name(examine(tmp_path / "toy", families=FAMILIES))["card"]
    assert (card.verdict, card.sentence) == ("warning", "1 field to be filled in: authors[0]")


def test_the_sample_patient_is_given_to_models_that_read_scans(tmp_path, sample):
    moods = _fakes.card_values()["controls"]
    package = _fakes.make_package(
        tmp_path / "fake", controls=[control for control in moods if control["name"] != "mood"]
    )
    report = examine(package, families=_fakes.FAMILIES)
    checks = by_name(report)
    # Two slices, of T1 and T2 that are read and FLAIR that is imputed.
    assert checks["output"].sentence.startswith("T1, T2, FLAIR: 10 x 12 x 2, ")
    assert checks["control temperature"].verdict == "ok"
    # The fake model knows neither samples nor seed.
    assert checks["control samples"].verdict == checks["control seed"].verdict == "warning"
    assert report.ok


def test_a_golden_output_of_the_sample_patient(tmp_path, sample):
    package = _fakes.make_package(tmp_path / "fake")
    card = record(package, families=_fakes.FAMILIES)
    assert (card.golden.study, card.golden.output) == ("sample", "FLAIR")
    array = np.load(package / card.golden.file)
    expected = [_fakes.answer_of("FLAIR", k) for k in card.golden.slices]
    np.testing.assert_allclose(array[3, 3], expected, rtol=1e-6)


def test_a_model_that_the_sample_patient_cannot_feed_is_not_tried(tmp_path, sample):
    package = _fakes.make_package(tmp_path / "ct", inputs=["CT"], outputs=["CT"], controls=[])
    report = examine(package, families={"fake": "no.such:module"})
    assert report.ok
    last = report.checks[-1]
    assert (last.name, last.verdict) == ("sample patient", "warning")
    assert "expects one of CT" in last.sentence


def test_cancelling_is_looked_at_from_outside(package, monkeypatch):
    """An engine that does not look between regions is found out."""

    def deaf(request, caches, hooks):
        family = caches.family()
        conditioning = family.condition(None, request.controls)
        for region in family.plan((), range(6), request.controls):
            family.render(conditioning, request.controls, region)
        yield last

    monkeypatch.setattr(examining, "answer", deaf)
    last = Finished(0, {}, {})
    cancelling = by_name(examine(package, families=FAMILIES))["cancelling"]
    assert not cancelling.ok
    assert "it did not stop but ended with: Finished" in cancelling.sentence
    last = Stopped(0)
    cancelling = by_name(examine(package, families=FAMILIES))["cancelling"]
    assert not cancelling.ok
    assert cancelling.sentence == "it stopped only after 4 regions"


def test_a_model_that_fails_while_it_is_cancelled_is_told(package, monkeypatch):
    class Failing(_toy.Toy):
        def render(self, conditioning, controls, region):
            if is_watched[0]:
                raise ValueError("not while somebody watches")
            return super().render(conditioning, controls, region)

    is_watched = [False]
    answer = examining.answer

    def watched(*arguments):
        is_watched[0] = True
        return answer(*arguments)

    monkeypatch.setattr(examining, "answer", watched)
    monkeypatch.setattr(_toy, "load", lambda card, *_: Failing(card))
    cancelling = by_name(examine(package, families=FAMILIES))["cancelling"]
    assert not cancelling.ok
    assert "not while somebody watches" in cancelling.sentence


def test_what_is_raised_while_loading_is_a_failed_check(package):
    report = examine(package, families={"toy": "tests.evaluation._toy:no_such_loader"})
    loading = report.checks[-1]
    assert (loading.name, loading.ok) == ("loading", False)
    assert "AttributeError" in loading.sentence
    loading = examine(package, families={}).checks[-1]
    assert loading.sentence.startswith(f"{package}: the family 'toy' is not one of ")


def test_a_model_is_closed_when_its_study_cannot_be_used(tmp_path, sample, monkeypatch):
    def unusable(*_, **__):
        raise UnusableStudy("the scan is empty")

    monkeypatch.setattr("napari_medsyn.scans.preparation.prepare", unusable)
    make_toy(tmp_path / "toy", inputs=["T1"], min_inputs=1)
    report = examine(tmp_path / "toy", families=FAMILIES)
    assert report.checks[-1].sentence == "the scan is empty"
    assert _toy.LOADED[-1].closed == 1


def test_a_long_region_is_worth_a_warning(package, monkeypatch):
    monkeypatch.setattr(examining, "LONG_REGION_S", -1.0)
    cancelling = by_name(examine(package, families=FAMILIES))["cancelling"]
    assert cancelling.verdict == "warning"
    assert cancelling.sentence.endswith("people have to wait for it")


def test_a_golden_output_that_no_longer_holds_fails(package, monkeypatch):
    record(package, families=FAMILIES)

    class Brighter(_toy.Toy):
        def render(self, conditioning, controls, region):
            rendered = super().render(conditioning, controls, region)
            return Rendered(region, {name: v + 0.01 for name, v in rendered.mean.items()})

    monkeypatch.setattr(_toy, "load", lambda card, *_: Brighter(card))
    report = examine(package, families=FAMILIES)
    assert not report.ok
    assert [check.name for check in report.checks if not check.ok] == ["golden output"]


def test_time_that_is_up_is_a_warning_not_a_failure(package):
    report = examine(package, families=FAMILIES, budget_s=0)
    assert report.ok
    assert by_name(report)["output"].verdict == "warning"


def test_a_damaged_package_is_refused(package):
    (package / "weights.safetensors").write_bytes(b"x")
    with pytest.raises(UnusableModel, match="bytes where the card says"):
        examine(package, families=FAMILIES)


def test_what_is_only_listed_is_refused_with_the_reason(tmp_path):
    make_toy(
        tmp_path / "toy", execution="none", requires={"note": "its weights were never released"}
    )
    for asked in (examine, record):
        with pytest.raises(UnusableModel, match="its weights were never released"):
            asked(tmp_path / "toy", families=FAMILIES)


def test_a_judge_reads_the_sample_patient(tmp_path, sample, monkeypatch):
    monkeypatch.setattr("napari_medsyn.models.families.load_judge.__defaults__", (JUDGES,))
    package = make_judge(tmp_path / "judge")
    checks = by_name(examine(package))
    # 6 x 8 x 10 voxels of 1 mm.
    brightest = _fakes.make_scan("T1").voxels.max() / 100
    assert checks["readings"].sentence == f"Brain 0.48 ml; Brightness {brightest:.4g}"
    assert checks["same study"].verdict == "ok"
    with pytest.raises(UnusableModel, match="golden outputs are images"):
        record(package)
