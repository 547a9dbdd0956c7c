from __future__ import annotations

from dataclasses import replace

import pytest
from tests._fakes import make_scan

from napari_medsyn.errors import UnusableStudy
from napari_medsyn.exploration.requests import PreparationOptions, Request, Viewport
from napari_medsyn.exploration.resolving import (
    NotReady,
    Snapshot,
    readiness,
    request_or_refuse,
    resolve,
)
from napari_medsyn.scans.study import Study


@pytest.fixture
def snapshot(study, package) -> Snapshot:
    return Snapshot(study=study, package=package)


def request(snapshot: Snapshot, card) -> Request:
    resolved = resolve(snapshot, card, 7)
    assert isinstance(resolved, Request), resolved
    return resolved


def reason(snapshot: Snapshot, card) -> str:
    resolved = resolve(snapshot, card)
    assert isinstance(resolved, NotReady), resolved
    return resolved.reason


def test_what_is_missing_is_imputed_and_what_is_there_reconstructed(snapshot, card):
    resolved = request(snapshot, card)
    assert resolved.outputs == (
        "imputed_FLAIR",
        "uncertainty_FLAIR",
        "reconstruction_T1",
        "residual_T1",
        "reconstruction_T2",
        "residual_T2",
    )
    assert resolved.controls["present"] == ("T1", "T2")


def test_the_model_is_asked_for_every_modality_that_an_output_needs(snapshot, card):
    assert request(snapshot, card).controls["targets"] == ("T1", "T2", "FLAIR")
    imputed = replace(snapshot, kinds=("imputed",))
    assert request(imputed, card).controls["targets"] == ("FLAIR",)


def test_a_modality_that_is_switched_off_is_imputed_but_still_prepared(snapshot, card, study):
    resolved = request(replace(snapshot, switched_off=frozenset({"T2"})), card)
    assert resolved.controls["present"] == ("T1",)
    assert "imputed_T2" in resolved.outputs
    assert "reconstruction_T2" not in resolved.outputs
    # The same scans in the same order: the preparation is found in the cache.
    assert resolved.study.content_hash == study.content_hash


def test_everything_else_is_taken_over(snapshot, card, package):
    resolved = request(
        replace(
            snapshot,
            controls={"temperature": 0.25, "seed": 3},
            viewport=Viewport(2, 5),
            options=PreparationOptions(register="never"),
            device="cpu",
        ),
        card,
    )
    assert resolved.generation == 7
    assert resolved.package == package
    assert resolved.viewport == Viewport(2, 5)
    assert resolved.options.register == "never"
    assert resolved.device == "cpu"
    values = {name: resolved.controls[name] for name in ("temperature", "samples", "seed", "mood")}
    assert values == {"temperature": 0.25, "samples": 8, "seed": 3, "mood": "good"}


def test_only_wished_targets_are_imputed(snapshot, card):
    off = replace(snapshot, switched_off=frozenset({"T2"}), targets=("FLAIR",), kinds=("imputed",))
    assert request(off, card).outputs == ("imputed_FLAIR",)


def test_a_wished_target_that_the_model_reads_is_not_imputed(snapshot, card):
    wished = replace(snapshot, targets=("T1", "FLAIR"), kinds=("imputed",))
    assert request(wished, card).outputs == ("imputed_FLAIR",)
    assert "T1 is loaded and switched on, so it is not imputed." in readiness(wished, card).warnings


def test_the_kinds_that_are_asked_for_are_given_in_fixed_order(snapshot, card):
    some = replace(snapshot, kinds=("residual", "imputed"))
    assert request(some, card).outputs == ("imputed_FLAIR", "residual_T1", "residual_T2")


def test_scans_that_the_model_does_not_know_are_left_out_and_told_of(card, package):
    scans = (make_scan("CT", name="head"), make_scan("", name="what"), make_scan("T2"))
    snapshot = Snapshot(study=Study(scans), package=package)
    resolved = request(snapshot, card)
    assert resolved.study.modalities == ("T2",)
    assert readiness(snapshot, card).warnings == (
        "head is not read: Fake brain does not know CT.",
        "what is not read: its modality is not set.",
    )


def test_a_brain_mask_goes_along_behind_the_images(card, package):
    mask = make_scan("label", name="brain mask")
    snapshot = Snapshot(study=Study((mask, make_scan("T2"))), package=package)
    resolved = request(snapshot, card)
    assert resolved.study.modalities == ("T2", "label")
    assert resolved.controls["present"] == ("T2",)
    assert readiness(snapshot, card).warnings == ()
    only = replace(snapshot, study=Study((mask,)))
    assert reason(only, card).startswith("Fake brain expects one of T1, T2, FLAIR.")


def test_all_given_leaves_only_the_reconstructions(snapshot, card):
    whole = replace(snapshot, study=snapshot.study.with_scan(make_scan("FLAIR")))
    assert request(whole, card).outputs[0] == "reconstruction_T1"
    only_missing = replace(whole, kinds=("imputed", "uncertainty"))
    assert reason(only_missing, card) == ("Nothing is missing: switch a modality off to impute it.")


def test_without_a_scan_there_is_an_invitation(package, card):
    assert reason(Snapshot(package=package), card) == "Open a scan, or try the sample."


def test_without_a_model_one_is_to_be_chosen(snapshot, card):
    assert reason(snapshot, None) == "Choose a model."
    assert reason(replace(snapshot, package=None), card) == "Choose a model."


def test_a_study_of_another_modality_says_what_is_expected(package, card):
    snapshot = Snapshot(study=Study((make_scan("CT"),)), package=package)
    assert reason(snapshot, card) == (
        "Fake brain expects one of T1, T2, FLAIR. The study has CT. Choose another model, load "
        "another scan or set the modality by hand."
    )


def test_a_scan_without_modality_is_named(package, card):
    snapshot = Snapshot(study=Study((make_scan("", name="series 3"),)), package=package)
    assert reason(snapshot, card).endswith("Set the modality of series 3.")


def test_with_all_switched_off_one_is_to_be_switched_on(snapshot, card):
    off = replace(snapshot, switched_off=frozenset({"T1", "T2"}))
    assert reason(off, card) == "Fake brain expects one of T1, T2, FLAIR. Switch T1 or T2 on."


def test_a_model_that_needs_two_says_so(snapshot, card):
    one = replace(snapshot, switched_off=frozenset({"T2"}))
    needs_two = card.model_copy(update={"min_inputs": 2})
    assert reason(one, needs_two).startswith("Fake brain expects at least 2 of T1, T2, FLAIR.")


def test_a_target_that_the_model_does_not_give_is_refused(snapshot, card):
    assert reason(replace(snapshot, targets=("CT",)), card) == (
        "Fake brain cannot impute CT; it gives T1, T2, FLAIR."
    )


def test_a_value_that_the_card_does_not_take_is_refused(snapshot, card):
    bad = replace(snapshot, controls={"samples": 0})
    assert reason(bad, card) == "Fake brain: samples 0 is outside 1 to 32."


def test_resolving_changes_nothing(snapshot, card):
    before = dict(snapshot.controls)
    request(snapshot, card)
    assert snapshot.controls == before


def test_readiness_says_what_resolve_says(snapshot, card):
    assert readiness(snapshot, card).ok
    assert readiness(snapshot, None) == readiness(replace(snapshot, package=None), card)
    assert not readiness(snapshot, None).ok


def test_values_beyond_the_training_range_warn(snapshot, card):
    hot = replace(snapshot, controls={"temperature": 1.0})
    (warning,) = readiness(hot, card).warnings
    assert "beyond the training range" in warning


def test_a_refusal_becomes_an_error_on_request():
    with pytest.raises(UnusableStudy, match="because"):
        request_or_refuse(NotReady("because"))
