from __future__ import annotations

from pathlib import Path

import pytest
from tests.registry._cards import make_entry, metric

from napari_medsyn.errors import UnusableModel
from napari_medsyn.registry.entries import Entry
from napari_medsyn.registry.ranking import direction_of, metric_names, rank


def fid(model_id: str, value: float, **more: object) -> Entry:
    return make_entry(id=model_id, metrics=[metric("FID", value, **more)])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("direction", "names"),
    [
        (
            "lower",
            "FID, KID, MSE, RMSE, MAE, NMSE, LPIPS, FRD, MMD, HD95, FID_RADIMAGENET, "
            "Age; mean absolute error (years), False lesions, Sex; Brier score",
        ),
        (
            "higher",
            "rFID, FID_ratio, FID_RADIMAGENET_ratio, IS, Inception score, SSIM, MS-SSIM, PSNR, "
            "PSNR (dB), PSNR (dB) T1, Dice, Dice; brain stem, AUC, F1, Volume r; cortex, accuracy",
        ),
    ],
)
def test_standard_metrics_have_their_direction(direction, names):
    assert {name: direction_of(name) for name in names.split(", ")} == dict.fromkeys(
        names.split(", "), direction
    )


@pytest.mark.parametrize("name", ["Zeal", "fiddle", "Risk", "Dicey"])
def test_other_names_have_none(name):
    assert direction_of(name) is None


def test_lower_is_better_comes_first_for_fid():
    ranked = rank([fid("b", 20), fid("c", 5.5), fid("a", 100)], "fid")
    assert [(r.entry.id, r.score) for r in ranked] == [("c", 5.5), ("b", 20), ("a", 100)]
    assert {(r.direction, r.comparable, r.notes, r.metric) for r in ranked} == {
        ("lower", True, (), "FID")
    }


def test_higher_is_better_comes_first_for_rfid_by_any_of_its_names():
    models = [
        make_entry(id="a", metrics=[metric("rFID", 0.2, "higher")]),
        make_entry(id="b", metrics=[metric("FID_ratio", 0.9, "higher")]),
    ]
    assert [r.entry.id for r in rank(models, "RFID")] == ["b", "a"]
    assert [r.entry.id for r in rank(models, "fid ratio")] == ["b", "a"]


def test_models_without_the_metric_come_last_and_it_is_said():
    ranked = rank([make_entry(id="none"), make_entry(id="also"), fid("b", 3)], "FID")
    assert [(r.entry.id, r.score) for r in ranked] == [("b", 3), ("also", None), ("none", None)]
    assert ranked[1].notes == ("its card gives no FID",)
    assert ranked[1].as_dict()["score"] is None


def test_a_card_that_contradicts_is_told_and_not_believed():
    ranked = rank([fid("good", 1, direction="higher"), fid("bad", 9, direction="lower")], "FID")
    assert [r.entry.id for r in ranked] == ["good", "bad"]
    assert "says that higher is better, but lower is" in ranked[0].notes[0]
    assert ranked[1].notes == ()


def test_the_direction_of_an_unknown_metric_is_that_of_most_cards():
    models = [
        make_entry(id=i, metrics=[metric("Zeal", value, direction)])
        for i, value, direction in (("a", 1, "lower"), ("b", 2, "lower"), ("c", 3, "higher"))
    ]
    ranked = rank(models, "zeal")
    assert [r.entry.id for r in ranked] == ["a", "b", "c"]
    assert "says that higher is better" in ranked[2].notes[0]


def test_another_data_set_or_network_is_not_directly_comparable():
    ranked = rank(
        [
            fid("a", 10),
            fid("b", 20),
            fid("c", 5, data_set="elsewhere"),
            fid("d", 6, extractor="RadImageNet"),
        ],
        "FID",
    )
    assert [(r.entry.id, r.comparable) for r in ranked] == [
        ("c", False), ("d", False), ("a", True), ("b", True),
    ]  # fmt: skip
    assert ranked[0].notes == ("not directly comparable: measured on elsewhere",)
    assert ranked[1].notes == ("not directly comparable: measured through RadImageNet",)


def test_of_several_figures_the_comparable_one_is_taken_and_the_others_are_told():
    several = make_entry(
        id="several",
        metrics=[
            metric("FID", 1, data_set="elsewhere"),
            metric("FID", 7, note="slow"),
            metric("FID", 2),
        ],
    )
    ranked = rank([several, fid("a", 5), fid("b", 6)], "FID")
    assert [(r.entry.id, r.score) for r in ranked] == [("a", 5), ("b", 6), ("several", 7)]
    assert ranked[2].notes == ("the first of 2 figures on its card: slow",)


def test_of_several_networks_the_usual_one_is_taken_on_whatever_data():
    several = make_entry(
        id="several",
        metrics=[
            metric("FID", 1, data_set="elsewhere", extractor="RadImageNet"),
            metric("FID", 70, data_set="elsewhere", extractor="Inception"),
        ],
    )
    ranked = rank([several, *(fid(i, 5, extractor="inception") for i in "ab")], "FID")
    assert [(r.entry.id, r.score) for r in ranked] == [("a", 5), ("b", 5), ("several", 70)]
    assert ranked[2].notes == ("not directly comparable: measured on elsewhere",)


def test_units_and_separators_may_be_left_out():
    entry = make_entry(metrics=[metric("PSNR (dB) T1", 25, "higher")])
    assert rank([entry], "psnr_t1")[0].score == 25
    assert rank([entry], "PSNR (dB) T1")[0].metric == "PSNR (dB) T1"


def test_an_unknown_metric_is_refused_with_the_known_ones():
    models = [fid("a", 1), make_entry(id="b"), Entry("torn", Path("/torn"), "user", reason="torn")]
    with pytest.raises(UnusableModel, match=r"no metric 'KID'; known metrics: FID; PSNR$"):
        rank(models, "KID")
    with pytest.raises(UnusableModel, match="known metrics: none"):
        rank([], "KID")


def test_a_metric_that_only_others_have_is_not_unknown():
    ranked = rank([make_entry(id="b")], "FID", among=[fid("a", 1), make_entry(id="b")])
    assert [(r.entry.id, r.score, r.direction) for r in ranked] == [("b", None, "lower")]


def test_broken_packages_are_not_ranked():
    torn = Entry("torn", Path("/torn"), "user", reason="torn")
    assert [r.entry.id for r in rank([torn, fid("a", 1)], "FID")] == ["a"]


def test_names_are_listed_once_whatever_their_capitals():
    models = [fid("a", 1), make_entry(id="b", metrics=[metric("fid", 1), metric("AUC", 1)])]
    assert metric_names(models) == ["AUC", "FID"]


def test_a_metric_that_is_near_is_suggested_without_its_unit():
    entries = [make_entry(metrics=[metric("PSNR (dB)", 30.0, "higher")])]
    with pytest.raises(UnusableModel, match="no metric 'psnrr'; did you mean PSNR"):
        rank(entries, "psnrr")
