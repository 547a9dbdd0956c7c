"""Badges and columns: a sentence for every way in which a model can be of no use."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests._fakes import make_package
from tests.plugin.models._made import (
    FREE,
    ISOLATED,
    LISTED,
    broken_entry,
    made_card,
    made_entry,
    metric,
    nobody_consents,
    rows_of,
    study_of,
)

from napari_medsyn.plugin.models.arranging import Query, arrange, facets_of
from napari_medsyn.plugin.models.rows import STATE_NAMES, compare_rows, list_rows
from napari_medsyn.registry.card import read_card
from napari_medsyn.registry.entries import Digest, Entry
from napari_medsyn.scans.study import Study


def badge(entry, *modalities: str, consent=nobody_consents):
    (row,) = rows_of(entry, study=study_of(*modalities), has_consent=consent)
    return row.badge


def test_a_model_fits_if_the_study_has_what_it_reads() -> None:
    found = badge(made_entry(), "T1", "CT")
    assert (found.state, found.sentence) == ("fits", "It reads T1 of the study.")


def test_a_model_that_lacks_inputs_says_what_it_expects_and_what_there_is() -> None:
    found = badge(made_entry(min_inputs=2), "T1", "CT")
    assert found.state == "fits not"
    assert found.sentence.startswith("Fake brain expects at least 2 of T1, T2, FLAIR.")
    assert "The study has T1, CT." in found.sentence


def test_a_scan_without_modality_is_what_is_missing() -> None:
    found = badge(made_entry(), "")
    assert found.state == "fits not"
    assert "Set the modality of" in found.sentence


def test_without_a_study_a_model_waits_for_a_scan() -> None:
    found = badge(made_entry())
    assert found.state == "no scan"
    assert found.sentence == ("Fake brain reads T1, T2, FLAIR. Open a scan, or try the sample.")


@pytest.mark.parametrize("modalities", [(), ("CT",)])
def test_a_model_that_reads_nothing_fits_always(modalities: tuple[str, ...]) -> None:
    found = badge(made_entry(**FREE), *modalities)
    assert (found.state, found.sentence) == ("fits", "It needs no scan.")


def test_a_model_that_may_read_a_scan_but_need_not_fits_without_one() -> None:
    entry = made_entry(min_inputs=0, task="conditional")
    assert badge(entry).state == "fits"


def test_a_judge_fits_though_it_makes_no_image() -> None:
    reading = {"name": "age", "label": "Age"}
    judge = made_entry(kind="judge", inputs=["T1"], outputs=[], controls=[], readings=[reading])
    assert badge(judge, "T1").state == "fits"
    assert badge(judge, "CT").state == "fits not"


def test_a_broken_package_says_why() -> None:
    found = badge(broken_entry(), "T1")
    assert (found.state, found.sentence) == ("broken", "torn: weights are missing")


def test_a_model_that_is_listed_only_says_why() -> None:
    found = badge(made_entry(**LISTED), "T1")
    assert (found.state, found.sentence) == (
        "listed only",
        "It cannot be run here: it is huge.",
    )


def test_code_needs_consent_before_anything_else_matters() -> None:
    entry = made_entry(**ISOLATED)
    assert badge(entry, "T1").state == "needs consent"
    assert badge(entry, "T1", consent=lambda *_: True).state == "fits"
    assert badge(entry, "CT", consent=lambda *_: True).state == "fits not"


def test_trusted_code_that_lacks_python_packages_says_which() -> None:
    entry = made_entry(**ISOLATED, requires={"packages": ["numpy", "no-such-thing>=2"]})
    found = badge(entry, "T1", consent=lambda *_: True)
    assert found.state == "needs packages"
    assert found.sentence == "It needs no-such-thing>=2, which are not here: press Set up…."
    assert badge(entry, "T1").state == "needs consent"


def test_consent_is_asked_for_packages_with_code_only() -> None:
    def refuse(*_: object) -> bool:
        raise AssertionError("asked")

    assert badge(made_entry(), "T1", consent=refuse).state == "fits"


def test_a_package_damaged_since_it_was_listed_is_broken(tmp_path: Path) -> None:
    package = make_package(tmp_path / "fake")
    entry = Entry("fake-brain", package, "user", digest=Digest.of(read_card(package)))
    (package / "weights.safetensors").write_bytes(b"torn")

    found = badge(entry, "T1")

    assert found.state == "broken"
    assert "weights.safetensors" in found.sentence


def test_before_the_comparison_nothing_is_claimed_but_what_needs_no_study() -> None:
    states = [
        row.badge.state for row in list_rows([made_entry(), broken_entry(), made_entry(**LISTED)])
    ]
    assert states == ["not checked", "broken", "listed only"]
    assert set(states) <= set(STATE_NAMES)


def test_columns_say_what_the_card_says() -> None:
    entry = made_entry(
        anatomy=["brain", "neck"],
        task="imputation",
        outputs=["T2", "CT"],
        licence="MIT",
        files=[
            {"name": "weights.safetensors", "bytes": 1000, "sha256": "0" * 64},
            {"name": "preview.png", "bytes": 24, "sha256": "0" * 64},
        ],
    )
    (row,) = rows_of(entry)
    assert row.name == "Fake brain"
    assert row.task == "imputation"
    assert row.modalities == ("T1", "T2", "FLAIR", "CT")
    assert row.organ == "brain, neck"
    assert row.covariates == "Temperature, Samples, Mood"  # the seed is none
    assert row.dim == "2D"
    assert row.size == 1024
    assert (row.licence, row.origin) == ("MIT", "installed")


@pytest.mark.parametrize(
    ("changes", "usable"),
    [({}, True), (LISTED, False), (ISOLATED, False)],
)
def test_only_a_model_that_can_run_now_is_usable(changes: dict, usable: bool) -> None:
    (row,) = rows_of(made_entry(**changes), study=study_of("T1"))
    assert row.is_usable is usable


def test_judges_are_not_for_a_session() -> None:
    judge = made_entry(
        kind="judge", inputs=["T1"], outputs=[], readings=[{"name": "age", "label": "Age"}]
    )
    (row,) = rows_of(judge, study=study_of("T1"))
    assert not row.is_usable


def test_a_row_for_every_entry_in_order() -> None:
    rows = rows_of(broken_entry(), made_entry(origin="embedded"))
    assert [(row.name, row.origin) for row in rows] == [
        ("torn", "installed"),
        ("Fake brain", "embedded"),
    ]


def test_what_an_importer_has_made_is_told_from_what_was_installed() -> None:
    entries = [
        made_entry("a", provenance={"command": "medsyn models import mmhvae"}),
        made_entry("b", provenance={"source": "medigan"}),
        made_entry("c", provenance={"command": "training/run.sh"}),
    ]
    rows = list_rows(entries)
    assert [row.origin for row in rows] == ["imported", "imported", "installed"]


def test_rows_of_listed_models_keep_neither_cards_nor_facts() -> None:
    card = made_card(metrics=[metric("FID", 9.5)])
    entry = Entry("a", Path("/models/a"), "user", card, digest=Digest.of(card))
    rows = compare_rows(list_rows([entry]), Study(), nobody_consents)
    arranged = arrange(rows, Query(metric="FID", sort="metric"))
    facets_of(rows)
    kept = arranged.rows[0].entry
    assert arranged.figures["/models/a"].value == 9.5
    assert kept.given is None
    assert not {"facts", "card"} & set(vars(kept))


def test_a_model_whose_library_is_missing_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "napari_medsyn.registry.entries.why_missing", lambda extra: f"needs {extra}, which is not"
    )
    found = badge(made_entry(requires={"extra": "monai"}), "T1")
    assert found.state == "listed only"
    assert found.sentence == "It needs monai, which is not."
