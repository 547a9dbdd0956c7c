"""Search, filters and order."""

from __future__ import annotations

import pytest
from tests.plugin.models._made import (
    FREE,
    LISTED,
    broken_entry,
    made_entry,
    metric,
    rows_of,
    study_of,
)

from napari_medsyn.plugin.models.arranging import Arranged, Query, arrange, facets_of

ENTRIES = (
    made_entry("a", name="alpha", summary="mammography", metrics=[metric("FID", 60.0)]),
    made_entry("b", name="Beta", summary="chest", metrics=[metric("FID", 9.5)], **FREE),
    made_entry(
        "c",
        name="gamma",
        summary="mammography of the chest",
        metrics=[metric("PSNR", 25.0, "higher")],
        grid={"shape": [8, 8, 8], "space": "scanner", "dim": "3D"},
        inputs=["CT"],
        outputs=["CT"],
    ),
    made_entry("d", name="delta", metrics=[], **LISTED),
    broken_entry("e"),
)
ROWS = rows_of(*ENTRIES, study=study_of("T1"))


def ids(arranged: Arranged) -> str:
    return "".join(row.entry.id for row in arranged.rows)


def asked(**changes: object) -> str:
    return ids(arrange(ROWS, Query(**{"sort": "name", **changes})))


@pytest.mark.parametrize(("operator", "expected"), [("and", "c"), ("or", "abc"), ("xor", "ab")])
def test_words_are_joined_by_the_operator(operator: str, expected: str) -> None:
    assert asked(words=("MAMMO", "chest"), operator=operator) == expected


def test_without_words_everything_is_there_by_name() -> None:
    assert asked() == "abdec"  # alpha, Beta, delta, e, gamma


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"task": "unconditional"}, "b"),
        ({"modality": "CT"}, "c"),
        ({"dim": "3D"}, "c"),
        ({"fits": True}, "ab"),
        ({"can_run": True}, "abc"),
        ({"fits": True, "task": "unconditional"}, "b"),
    ],
)
def test_filters_leave_what_passes_all_of_them(changes: dict[str, object], expected: str) -> None:
    assert asked(**changes) == expected


def test_the_best_of_a_metric_comes_first_and_those_without_it_last() -> None:
    lower = arrange(ROWS, Query(metric="FID", sort="metric"))
    assert ids(lower) == "badec"
    assert lower.figures["/models/b"].value == 9.5
    assert lower.figures["/models/b"].direction == "lower"
    worst_first = arrange(ROWS, Query(metric="FID", sort="metric", descending=True))
    assert ids(worst_first) == "abdec"


def test_a_higher_metric_is_sorted_the_other_way() -> None:
    rows = rows_of(
        made_entry("low", metrics=[metric("PSNR", 20.0, "higher")]),
        made_entry("high", metrics=[metric("PSNR", 30.0, "higher")]),
        study=study_of("T1"),
    )
    found = arrange(rows, Query(metric="PSNR", sort="metric"))
    assert [row.entry.id for row in found.rows] == ["high", "low"]


def test_a_metric_that_nobody_has_after_filtering_is_no_error() -> None:
    assert asked(metric="FID", sort="metric", modality="CT") == "c"


def test_sizes_are_sorted_by_number_and_unknown_ones_come_last() -> None:
    entries = [
        made_entry(name, files=[{"name": "w.safetensors", "bytes": n, "sha256": "0" * 64}])
        for name, n in (("x", 900), ("y", 10_000))
    ]
    rows = rows_of(*entries, broken_entry("z"))
    up = arrange(rows, Query(sort="size"))
    down = arrange(rows, Query(sort="size", descending=True))
    assert (ids(up), ids(down)) == ("xyz", "yxz")


def test_by_state_the_usable_come_first_and_the_broken_last() -> None:
    assert ids(arrange(ROWS, Query())) == "abcde"  # fits, fits, fits not, listed only, broken


def test_facets_are_the_values_that_occur() -> None:
    facets = facets_of(ROWS)
    assert facets.tasks == ("imputation", "unconditional")
    assert facets.modalities == ("CT", "FLAIR", "T1", "T2")
    assert facets.dims == ("2D", "3D")
    assert facets.metrics == ("FID", "PSNR")


def test_a_figure_measured_otherwise_than_most_is_marked() -> None:
    other = {**metric("FID", 7.0), "data_set": "elsewhere"}
    entries = [
        made_entry("a", metrics=[metric("FID", 60.0)]),
        made_entry("b", metrics=[metric("FID", 50.0)]),
        made_entry("c", metrics=[other]),
    ]
    rows = rows_of(*entries, study=study_of("T1"))
    figures = arrange(rows, Query(metric="FID", sort="metric")).figures
    assert {key[-1]: figure.is_comparable for key, figure in figures.items()} == {
        "a": True,
        "b": True,
        "c": False,
    }
    assert "elsewhere" in figures["/models/c"].notes[0]
