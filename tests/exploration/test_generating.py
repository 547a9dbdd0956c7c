"""Samples in memory: seeds, batches, posterior draws, refusals."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest
from tests import _fakes
from tests._fakes import ORIGIN, answer_of, make_package, make_scan
from tests.exploration import _people
from tests.exploration._painting import FAMILIES, SHAPE, Painter, make_painter, painted
from tests.exploration._people import make_people

from napari_medsyn.errors import DeviceOutOfMemory, EngineError, UnusableModel, UnusableStudy
from napari_medsyn.exploration.generating import generate, generate_arrays, generate_to, sampler
from napari_medsyn.scans.study import Study


@pytest.fixture(autouse=True)
def _table(monkeypatch):
    monkeypatch.setattr("napari_medsyn.models.families.TABLE", {**FAMILIES, **_people.FAMILIES})
    monkeypatch.setattr("napari_medsyn.scans.preparation.prepare", _fakes.prepare)
    monkeypatch.setattr(Painter, "sizes", [])


@pytest.fixture
def painter(tmp_path):
    return make_painter(tmp_path / "painter")


@pytest.fixture
def brain(tmp_path):
    return make_package(tmp_path / "fake")


@pytest.fixture
def study():
    return Study((make_scan("T1"), make_scan("T2")))


def test_sample_i_has_the_seed_plus_i(painter):
    samples = list(generate(painter, 3, seed=40, device="cpu"))
    assert [sample.seed for sample in samples] == [40, 41, 42]
    for sample in samples:
        np.testing.assert_array_equal(sample.images["MG"], painted(sample.seed))
        assert sample.controls["seed"] == sample.seed


@pytest.mark.parametrize("batch", [1, 2, 3, 8, 100])
def test_a_sample_is_the_same_alone_and_in_a_batch(painter, batch):
    arrays = generate_arrays(painter, 10, seed=5, device="cpu", batch=batch)["MG"]
    for number in range(10):
        (alone,) = generate(painter, 1, seed=5 + number, device="cpu")
        np.testing.assert_array_equal(arrays[number], alone.images["MG"])


def test_batches_are_used(painter):
    list(generate(painter, 20, device="cpu", batch=8))
    # One batch, its two ends again to try whether they are the same, one more batch, and
    # the rest one by one.
    assert Painter.sizes == [8, 1, 1, 8, 1, 1, 1, 1]


def test_batches_that_give_other_numbers_are_not_used(painter):
    arrays = generate_arrays(painter, 9, 0, {"mood": "uneven"}, device="cpu", batch=4)["MG"]
    np.testing.assert_array_equal(arrays[1], painted(1))
    assert max(Painter.sizes[3:]) == 1


def test_where_memory_is_short_for_a_batch_samples_are_made_one_by_one(painter):
    arrays = generate_arrays(painter, 9, 0, {"mood": "short"}, device="cpu", batch=4)["MG"]
    np.testing.assert_array_equal(arrays[8], painted(8))


def test_memory_that_does_not_suffice_for_one_is_a_sentence(painter):
    with pytest.raises(DeviceOutOfMemory, match="memory does not suffice"):
        list(generate(painter, 1, controls={"mood": "full"}, device="cpu"))


@pytest.mark.parametrize("to_files", [False, True])
def test_memory_stays_flat_as_n_grows(tmp_path, to_files):
    painter = make_painter(
        tmp_path / "large", grid={"shape": [128, 128, 1], "space": "none", "dim": "2D"}
    )

    def peak(n: int) -> int:
        tracemalloc.start()
        if to_files:
            generate_to(tmp_path / f"{n}", painter, n, device="cpu", format="npy", overwrite=True)
        else:
            # The last one is kept, as any user would.
            sample = None
            for sample in generate(painter, n, device="cpu"):
                assert sample.images["MG"].nbytes == 4 * 128 * 128
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(20)
    few, many = peak(20), peak(150)
    # 130 more images would be 8.5 MB.
    assert many < few + 200_000


def test_controls_reach_the_model_and_the_provenance(painter):
    controls = {"brightness": 0.5, "latent": [0.25, 0, 0]}
    (sample,) = generate(painter, 1, 7, controls, device="cpu")
    np.testing.assert_array_equal(sample.images["MG"], painted(7, 0.5, 0.25))
    record = sample.provenance()
    assert record["SYNTHETIC"] is True
    assert record["controls"]["brightness"] == 0.5
    assert record["controls"]["latent"] == [0.25, 0, 0]
    assert (record["model"], record["seed"], record["device"]) == ("painter", 7, "cpu")
    json.dumps(record)


def test_every_sample_has_its_own_provenance(painter):
    first, second = (sample.provenance() for sample in generate(painter, 2, 7, device="cpu"))
    assert (first["seed"], second["seed"]) == (7, 8)
    assert (first["controls"]["seed"], second["controls"]["seed"]) == (7, 8)
    assert first["weights_sha256"] == second["weights_sha256"]


def test_scans_of_a_sample_are_synthetic_and_on_its_grid(painter):
    (sample,) = generate(painter, 1, 7, device="cpu")
    (scan,) = sample.as_scans()
    assert scan.is_synthetic
    assert scan.modality == "MG"
    assert scan.voxels.shape == SHAPE
    np.testing.assert_array_equal(scan.affine, sample.affine)
    assert scan.facts["provenance"]["seed"] == 7


def test_posterior_samples_are_one_draw_each_on_the_patients_grid(brain, study):
    samples = list(generate(brain, 2, 3, {"temperature": 0.3}, study, device="cpu"))
    assert [sample.seed for sample in samples] == [3, 4]
    for sample in samples:
        assert sample.controls["samples"] == 1
        assert list(sample.images) == ["FLAIR"]
        expected = np.where(study.reference.voxels > 0, answer_of("FLAIR", 7, 0.3), 0)
        np.testing.assert_allclose(
            sample.images["FLAIR"][:, :, 7], expected[:, :, 7].astype(np.float32)
        )
        np.testing.assert_array_equal(sample.affine[:3, 3], ORIGIN)
        assert sample.as_scans()[0].modality == "FLAIR"
        assert set(sample.provenance()["sources"]) == {"T1", "T2"}


def test_a_study_is_prepared_once_for_all_samples(brain, study, monkeypatch):
    asked = []

    def prepare(*arguments, **hooks):
        asked.append(arguments)
        return _fakes.prepare(*arguments, **hooks)

    monkeypatch.setattr("napari_medsyn.scans.preparation.prepare", prepare)
    list(generate(brain, 3, study=study, device="cpu"))
    assert len(asked) == 1


def test_targets_may_be_chosen(brain, study):
    alone = Study(study.scans[:1])
    (sample,) = generate(brain, 1, controls={"targets": ["T2"]}, study=alone, device="cpu")
    assert list(sample.images) == ["T2"]


def test_a_loaded_scan_may_be_played_at_missing(brain, study):
    (sample,) = generate(brain, 1, controls={"present": ["T1"]}, study=study, device="cpu")
    assert sample.controls["present"] == ("T1",)
    assert list(sample.images) == ["T2", "FLAIR"]


@pytest.mark.parametrize("name", ["brain", "painter"])
def test_progress_ends_with_all_samples(name, request, study):
    told = []

    def tell(*now):
        told.append(now)

    given = study if name == "brain" else None
    list(generate(request.getfixturevalue(name), 3, study=given, device="cpu", tell=tell))
    assert told[0][:2] == (0, 3)
    assert told[-1][:2] == (3, 3)
    assert [now[0] for now in told] == sorted(now[0] for now in told)


def test_a_model_that_works_in_steps_tells_of_each(tmp_path):
    package = make_painter(tmp_path / "stepper", family="stepper")
    told = []

    def tell(*now):
        told.append(now)

    samples = list(generate(package, 2, 8, device="cpu", tell=tell))
    for sample in samples:
        np.testing.assert_array_equal(sample.images["MG"], painted(sample.seed))
    phases = [phase for _, _, phase in told]
    assert phases.count("Denoising 2 of 3") == 2
    # Two steps of three and one plane: half of the second sample.
    assert (1.5, 2, "Denoising 3 of 3") in told


def test_a_sampler_keeps_the_weights_and_its_values(painter, monkeypatch):
    from napari_medsyn.models import families

    loaded = []
    load = families.load_family
    monkeypatch.setattr(families, "load_family", lambda *a: loaded.append(a) or load(*a))
    draw = sampler(painter, device="cpu", brightness=0.5)
    np.testing.assert_array_equal(draw(seed=3)["MG"], painted(3, 0.5))
    np.testing.assert_array_equal(draw(seed=3, brightness=1.0)["MG"], painted(3))
    # What one call was given does not stick.
    np.testing.assert_array_equal(draw(seed=3)["MG"], painted(3, 0.5))
    assert len(loaded) == 1


def test_a_sampler_of_a_study_gives_posterior_draws(brain, study):
    draw = sampler(brain, study=study, device="cpu")
    assert draw(seed=1, temperature=0.2)["FLAIR"][5, 5, 5] == pytest.approx(
        answer_of("FLAIR", 5, 0.2)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "ask for one at least"),
        ({"n": 2, "seed": 2**32 - 1}, "outside 0 to 4294967295"),
        ({"n": 1, "seed": -1}, "outside 0"),
        ({"n": 1, "controls": {"size": 1}}, "no control 'size'"),
        ({"n": 1, "controls": {"brightness": 9}}, "outside 0 to 2"),
        ({"n": 1, "controls": {"targets": ["CT"]}}, "does not give CT; it gives MG"),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is_loaded(painter, arguments, message):
    with pytest.raises(UnusableModel, match=message):
        generate(painter, **arguments)


def test_a_model_without_a_seed_makes_one_sample_only(tmp_path):
    package = make_painter(tmp_path / "still", controls=[])
    with pytest.raises(UnusableModel, match="all its samples are the same"):
        generate(package, 2)


def test_a_model_that_reads_scans_needs_some(brain):
    with pytest.raises(UnusableStudy, match="reads scans: give it at least one of T1, T2, FLAIR"):
        generate(brain, 1)


def test_a_model_that_is_only_listed_is_refused_with_the_reason(tmp_path):
    package = make_painter(
        tmp_path / "listed", execution="none", files=[], requires={"note": "needs 80 GB"}
    )
    with pytest.raises(UnusableModel, match="cannot be run: needs 80 GB"):
        generate(package, 1)


def test_a_defect_of_a_model_is_a_sentence_with_its_cause(painter):
    with pytest.raises(EngineError, match=r"The model failed \(ZeroDivisionError") as caught:
        list(generate(painter, 1, controls={"mood": "bug"}, device="cpu"))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_unknown_id_names_the_known_ones(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDSYN_HOME", str(tmp_path))
    with pytest.raises(UnusableModel, match="there is no model 'nonsense'"):
        generate("nonsense", 1)


def test_a_seed_among_the_controls_is_refused_and_not_forgotten(painter):
    with pytest.raises(UnusableModel, match="give the seed as seed="):
        generate(painter, 1, controls={"seed": 5}, device="cpu")


def test_a_sampler_without_memory_says_so_in_a_sentence(painter):
    draw = sampler(painter, device="cpu", mood="full")
    with pytest.raises(DeviceOutOfMemory, match="memory does not suffice"):
        draw(seed=1)


def test_covariates_may_be_unknown_and_people_of_nobody_have_no_values_of_their_own(tmp_path):
    package = make_people(tmp_path / "people")
    (known,) = generate(package, 1, controls={"age": 70, "sex": None}, device="cpu")
    np.testing.assert_allclose(known.images["T1"], 0.7, rtol=1e-6)
    told = known.results.provenance["controls"]
    assert (told["age"], told["sex"], told["task"]) == (70, None, "generate")
    assert "own" not in told
    (unknown,) = generate(package, 1, controls={"age": None}, device="cpu")
    assert not unknown.images["T1"].any()


def test_a_model_of_counterfactuals_generates_without_a_scan_only(tmp_path, study):
    package = make_people(tmp_path / "people")
    with pytest.raises(UnusableModel, match="ask for a counterfactual"):
        generate(package, 1, study=study, device="cpu")


def test_people_beyond_the_training_data_are_told_in_the_notes(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "napari_medsyn.exploration.generating_files.unsupported",
        lambda *_: ("Nobody is like this.",),
    )
    made = generate_to(
        tmp_path / "out", make_people(tmp_path / "people"), 1, format="npy", device="cpu"
    )
    assert "Nobody is like this." in made.notes
