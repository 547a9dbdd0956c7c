from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests import _fakes
from tests._fakes import FAMILIES, SHAPE, answer_of, make_package, make_scan

from napari_medsyn.errors import UnusableModel
from napari_medsyn.exploration.caching import Caches
from napari_medsyn.exploration.requests import (
    Failed,
    Finished,
    Progress,
    Request,
    SlabReady,
    Stopped,
    Viewport,
)
from napari_medsyn.exploration.running import Hooks, answer, run
from napari_medsyn.registry.packages import sha256_of
from napari_medsyn.scans.study import Study

pytestmark = pytest.mark.usefixtures("fake_preparation")

INNER = (slice(2, -2),) * 3
OUTPUTS = ("imputed_FLAIR", "uncertainty_FLAIR", "reconstruction_T1", "residual_T1")


def make_request(study, package, **changes) -> Request:
    controls = {
        "present": ("T1", "T2"),
        "targets": ("T1", "FLAIR"),
        "temperature": 0.5,
        "samples": 8,
        "seed": 3,
    }
    request = Request(1, study, package, controls, OUTPUTS, Viewport(2, 6), device="cpu")
    mood = changes.pop("mood", None)
    if mood is not None:
        changes["controls"] = {**controls, "mood": mood}
    return replace(request, **changes)


def finished(request: Request, caches: Caches | None = None) -> Finished:
    events = list(run(request, caches or Caches(FAMILIES)))
    assert isinstance(events[-1], Finished)
    return events[-1]


def expected_plane(modality: str) -> np.ndarray:
    """What the fake model says along the slices that show brain."""
    return np.array([answer_of(modality, k) for k in range(2, SHAPE[2] - 2)], np.float32)


def test_outputs_are_what_the_model_says_inside_the_brain_and_zero_outside(study, package):
    arrays = finished(make_request(study, package)).arrays
    assert tuple(arrays) == OUTPUTS
    for name, modality in (("imputed_FLAIR", "FLAIR"), ("reconstruction_T1", "T1")):
        assert arrays[name].dtype == np.float32
        assert arrays[name].shape == SHAPE
        inner = np.broadcast_to(expected_plane(modality), [n - 4 for n in SHAPE])
        np.testing.assert_allclose(arrays[name][INNER], inner, rtol=1e-6)
        outside = np.ones(SHAPE, bool)
        outside[INNER] = False
        assert not arrays[name][outside].any()


def test_the_spread_is_the_models_and_the_residual_the_difference_to_the_scan(study, package):
    arrays = finished(make_request(study, package)).arrays
    np.testing.assert_allclose(arrays["uncertainty_FLAIR"][INNER], 0.25)
    scan = study.get("T1").voxels[INNER] / 100
    difference = np.abs(expected_plane("T1") - scan)
    np.testing.assert_allclose(arrays["residual_T1"][INNER], difference, rtol=1e-5)


def test_a_scan_that_shows_more_than_the_brain_leaves_no_residual_outside(study, package):
    whole_head = make_scan("T1", voxels=np.full(SHAPE, 50.0))
    study = Study((make_scan("T2"), whole_head))
    residual = finished(make_request(study, package)).arrays["residual_T1"]
    np.testing.assert_allclose(residual[3, 3, 6], abs(answer_of("T1", 6) - 0.5), rtol=1e-5)
    assert not residual[0].any()


def test_the_plane_on_screen_comes_before_all_others(study, package):
    events = list(run(make_request(study, package), Caches(FAMILIES)))
    slabs = [event for event in events if isinstance(event, SlabReady)]
    first = slabs[0]
    assert (first.axis, first.start, first.stop) == (2, 6, 7)
    assert first.arrays["imputed_FLAIR"].shape == (*SHAPE[:2], 1)
    np.testing.assert_allclose(first.arrays["imputed_FLAIR"][3, 3, 0], answer_of("FLAIR", 6))
    # Before it, one slice was rendered: the one it needs.
    progress = [event for event in events[: events.index(first)] if isinstance(event, Progress)]
    assert [p.done for p in progress if p.stage == "running"] == [0]


def test_slabs_put_together_are_the_whole(study, package):
    *events, whole = run(make_request(study, package), Caches(FAMILIES))
    pieces = {name: np.zeros(SHAPE, np.float32) for name in OUTPUTS}
    seen = np.zeros(SHAPE[2], int)
    for slab in (event for event in events if isinstance(event, SlabReady)):
        seen[slab.start : slab.stop] += 1
        for name, array in slab.arrays.items():
            pieces[name][:, :, slab.start : slab.stop] = array
    assert seen.max() == 1
    for name in OUTPUTS:
        np.testing.assert_array_equal(pieces[name], whole.arrays[name])


def test_looking_elsewhere_brings_that_plane_next(study, package):
    request = make_request(study, package)
    hooks = Hooks(newest=lambda: request, viewport=lambda: Viewport(2, 10))
    slabs = [e for e in run(request, Caches(FAMILIES), hooks) if isinstance(e, SlabReady)]
    assert slabs[0].start == 10


def test_progress_counts_slices_up_to_all(study, package):
    events = list(run(make_request(study, package), Caches(FAMILIES)))
    running = [e for e in events if isinstance(e, Progress) and e.stage == "running"]
    done = [event.done for event in running]
    assert done == sorted(done)
    assert (running[-1].done, running[-1].total) == (SHAPE[2] - 4, SHAPE[2] - 4)


def test_provenance_is_enough_to_make_it_again(study, package):
    answer_ = finished(make_request(study, package))
    provenance = answer_.provenance
    assert next(iter(provenance.items())) == ("SYNTHETIC", True)
    assert provenance["model"] == "fake-brain"
    assert provenance["model_version"] == "1.2.0"
    assert provenance["weights_sha256"] == sha256_of(package / "weights.safetensors")
    assert provenance["controls"]["temperature"] == 0.5
    assert provenance["controls"]["present"] == ["T1", "T2"]
    assert provenance["seed"] == 3
    assert provenance["sources"] == {scan.modality: scan.content_hash for scan in study}
    assert provenance["device"] == "cpu"
    assert provenance["steps"] == [{"step": "nothing"}]
    assert provenance["options"]["register"] == "auto"
    assert "numpy" in provenance["software"]
    assert provenance["grid"]["shape"] == list(SHAPE)
    assert answer_.notes == ("A fake preparation.",)


def test_a_slider_or_a_switch_prepares_and_loads_nothing_again(study, package, fake_preparation):
    caches = Caches(FAMILIES)
    request = make_request(study, package)
    finished(request, caches)
    family = caches.family(package, request_card(package), "cpu")
    finished(replace(request, controls={**request.controls, "temperature": 0.1}), caches)
    finished(replace(request, controls={**request.controls, "present": ("T1",)}), caches)
    assert len(fake_preparation) == 1
    assert caches.family(package, request_card(package), "cpu") is family
    assert family.conditioned == 3


def test_another_scan_or_option_prepares_again(study, package, fake_preparation):
    caches = Caches(FAMILIES)
    request = make_request(study, package)
    finished(request, caches)
    finished(replace(request, study=study.with_scan(make_scan("FLAIR"))), caches)
    finished(replace(request, options=replace(request.options, bias_field=True)), caches)
    assert len(fake_preparation) == 3


def test_a_changed_package_is_loaded_again(study, package):
    caches = Caches(FAMILIES)
    assert finished(make_request(study, package), caches).provenance["model_version"] == "1.2.0"
    make_package(package, version="1.3.0")
    assert finished(make_request(study, package), caches).provenance["model_version"] == "1.3.0"


def test_weights_that_do_not_fit_their_hash_are_not_loaded(study, package):
    weights = package / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\7")
    with pytest.raises(UnusableModel, match="SHA-256"):
        finished(make_request(study, package))


def test_a_family_outside_the_table_is_refused(study, package):
    with pytest.raises(UnusableModel, match=r"the family 'fake' is not one of .*mmhvae"):
        finished(make_request(study, package), Caches())


def test_short_memory_means_smaller_slabs_and_a_note(study, package):
    whole = finished(make_request(study, package))
    caches = Caches(FAMILIES)
    short = finished(make_request(study, package, mood="short"), caches)
    np.testing.assert_array_equal(whole.arrays["imputed_FLAIR"], short.arrays["imputed_FLAIR"])
    assert "smaller slabs" in short.notes[-1]
    assert short.provenance["notes"] == list(short.notes)
    rendered = caches.family(package, request_card(package), "cpu").rendered
    assert max(len(slices) for slices in rendered) == 2
    assert sorted(k for slices in rendered for k in slices) == list(range(2, SHAPE[2] - 2))


def test_no_memory_for_one_slice_on_the_cpu_is_a_failure_with_a_remedy(study, package):
    event = last(make_request(study, package, mood="full"))
    assert isinstance(event, Failed)
    assert event.cause == "engine"
    assert "ask for fewer samples" in event.message


def test_a_full_gpu_means_the_cpu_and_a_note(study, package, monkeypatch):
    """The family on "cuda" has no memory at all, that on the CPU has."""
    monkeypatch.setattr("napari_medsyn.exploration.rendering.resolve_device", lambda _: "cuda")
    families = {"fake": "tests.exploration.test_running:load_full_gpu"}
    caches = Caches(families)
    whole = finished(make_request(study, package, device="auto"), caches)
    assert whole.provenance["device"] == "cpu"
    assert not caches.has_family(package, request_card(package), "cuda")
    assert whole.notes[-1] == (
        "The GPU ran out of memory: the rest was computed on the CPU, which is slower."
    )
    np.testing.assert_allclose(whole.arrays["imputed_FLAIR"][3, 3, 6], answer_of("FLAIR", 6))


def load_full_gpu(card, weights, device):
    from tests._fakes import FakeFamily

    class FullGpu(FakeFamily):
        def render(self, conditioning, controls, region):
            if self.device == "cuda":
                raise MemoryError
            return super().render(conditioning, controls, region)

    return FullGpu(card, device)


def last(request: Request, caches: Caches | None = None, newest=None):
    hooks = Hooks(newest=newest or (lambda: request))
    events = list(answer(request, caches or Caches(FAMILIES), hooks))
    endings = [e for e in events if isinstance(e, Finished | Failed | Stopped)]
    assert endings == [events[-1]]
    return events[-1]


def test_a_defect_of_the_model_ends_in_a_sentence_and_a_traceback(study, package):
    event = last(make_request(study, package, mood="bug"))
    assert isinstance(event, Failed)
    assert "The model failed (ZeroDivisionError: a bug in the model)" in event.message
    assert "_misbehave" in event.detail
    assert event.cause == "engine"


def test_what_the_user_can_mend_is_told_apart(study, package):
    (package / "card.json").unlink()
    event = last(make_request(study, package))
    assert isinstance(event, Failed)
    assert event.cause == "input"


def test_what_cannot_run_is_refused_before_the_scans_are_prepared(
    study, package, fake_preparation, monkeypatch
):
    fake_preparation.clear()
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    event = last(make_request(study, package, device="cuda"))
    assert (event.cause, fake_preparation) == ("input", [])
    assert "torch has no device 'cuda'" in event.message
    weights = package / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\7")
    event = last(make_request(study, package))
    assert (event.cause, fake_preparation) == ("input", [])
    assert "SHA-256" in event.message


def test_the_provenance_says_modalities_where_the_notes_say_names(study, package, monkeypatch):
    """A file may be called after its patient."""
    scans = [replace(s, name=f"Smith_{s.modality}", source=Path("Smith.nii")) for s in study]
    named = Study(tuple(scans))

    def prepare(*args, **hooks):
        prepared = _fakes.prepare(*args, **hooks)
        prepared.notes = ("Smith_T2 was moved onto Smith_T1.",)
        return prepared

    monkeypatch.setattr("napari_medsyn.scans.preparation.prepare", prepare)
    whole = finished(make_request(named, package))
    assert whole.notes == ("Smith_T2 was moved onto Smith_T1.",)
    assert whole.provenance["notes"] == ["T2 was moved onto T1."]
    assert "Smith" not in json.dumps(dict(whole.provenance))


def test_the_provenance_knows_card_and_weights_by_their_hashes(study, package):
    told = finished(make_request(study, package)).provenance
    for key, name in (("card_sha256", "card.json"), ("weights_sha256", "weights.safetensors")):
        assert told[key] == hashlib.sha256((package / name).read_bytes()).hexdigest()


def test_a_newer_request_ends_it_before_the_next_region(study, package):
    request = make_request(study, package)
    newer = replace(request, generation=2)
    caches = Caches(FAMILIES)
    rendered = lambda: caches.family(package, request_card(package), "cpu").rendered  # noqa: E731
    heard = []

    def newest():
        return newer if any(isinstance(event, SlabReady) for event in heard) else request

    for event in answer(request, caches, Hooks(newest=newest)):
        heard.append(event)
    assert heard[-1] == Stopped(1)
    assert rendered() == [(6,)]


def test_a_newer_request_for_the_same_scans_lets_the_preparation_go_on(
    study, package, fake_preparation
):
    request = make_request(study, package)
    caches = Caches(FAMILIES)
    slider = replace(request, generation=2, controls={**request.controls, "temperature": 0.1})
    assert last(request, caches, newest=lambda: slider) == Stopped(1)
    finished(slider, caches)
    assert len(fake_preparation) <= 1


@pytest.mark.parametrize("kind", ["cancelled", "another study"])
def test_otherwise_the_preparation_gives_up(study, package, fake_preparation, kind):
    request = make_request(study, package)
    other = replace(request, study=study.with_scan(make_scan("FLAIR")))
    caches = Caches(FAMILIES)
    asked = iter([request, None if kind == "cancelled" else other])
    heard = list(answer(request, caches, Hooks(newest=lambda: next(asked, None))))
    assert heard[-1] == Stopped(1)
    assert not caches.has_prepared(study, request_card(package), request.options)


def request_card(package):
    from napari_medsyn.registry.card import read_card

    return read_card(package)
