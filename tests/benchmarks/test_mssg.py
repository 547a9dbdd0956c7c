"""What the benchmarks of MSSG share, with the generator made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.mssg import Maker, catalogue_with, name_of, prepared_crop, requests
from tests.models.mssg import _generators as made

from napari_medsyn.evaluation.crop_lesions import ORIGIN, SPACING
from napari_medsyn.evaluation.crops import LOW, SHAPE
from napari_medsyn.registry.card import read_card

#: Where the crop's first voxel lies, mm.
FIRST = [o + SPACING * low for o, low in zip(ORIGIN, LOW, strict=True)]
ON_THE_CROP = {
    "shape": list(SHAPE),
    "spacing_mm": [2.0, 2.0, 2.0],
    "origin_mm": FIRST,
    "space": "MNI152",
    "dim": "3D",
}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return made.package(tmp_path_factory.mktemp("mssg") / "made", id="made", grid=ON_THE_CROP)


@pytest.fixture(scope="module")
def maker(package):
    return Maker(str(package))


def test_a_package_is_found_by_its_folder_and_by_no_other_name(package):
    assert name_of(str(package)) == "made"
    assert name_of("mssg-brain-t1") == "mssg-brain-t1"
    assert catalogue_with([str(package)]).get("made").package == package


def test_people_are_what_the_model_gives_on_its_own_grid(maker):
    asked = {"age": 50.0, "sex": "M", "ventricles": 30.0, "lesions": 5.0, "cohort": "ms"}
    people = maker.make([asked], [3], ("T1", "FLAIR", "T2"))
    assert list(people.volumes) == ["T1", "FLAIR"]  # it gives no T2
    values = {**maker.values(asked, 3), "targets": ("T1",)}
    rendered = maker.subject(asked, 3).render()
    np.testing.assert_allclose(people.volumes["T1"][0], rendered.mean["T1"], atol=1e-6)
    assert values["age"] == 50
    assert {name: v[0] for name, v in people.requested.items()} == {
        "age": 50,
        "sex": 1,
        "ventricles": 30,
        "lesions": 5,
        "cohort": 1,
    }


def test_the_models_own_load_is_counted_in_the_person(maker):
    asked = [{**made.PERSON, "lesions": ml} for ml in (0.0, 10.0)]
    people = maker.make(asked, [0, 0])
    assert people.lesions[0] == 0
    # The head meets the load on its lattice of 4 mm: on 2 mm it is about the same.
    assert people.lesions[1] == pytest.approx(10, rel=0.25)


def test_what_is_beyond_a_control_is_brought_to_its_end(maker):
    people = maker.make([{**made.PERSON, "lesions": 100.0, "age": 10.0}], [0])
    assert (people.requested["lesions"][0], people.requested["age"][0]) == (60, 20)


def test_what_a_card_does_not_ask_is_not_requested(package):
    card = read_card(package)
    fewer = card.model_copy(update={"controls": [c for c in card.controls if c.name != "lesions"]})
    asked = [{"age": 40.0, "lesions": 3.0}, {"age": None}]
    assert requests(asked, "age", card)[0] == 40
    assert np.isnan(requests(asked, "age", card)[1])
    assert np.isnan(requests(asked, "lesions", fewer)).all()


def test_another_grid_is_brought_to_the_crop(tmp_path, maker):
    maker_of = Maker(str(made.package(tmp_path / "moved", id="moved", grid={
        **ON_THE_CROP, "origin_mm": [FIRST[0] + 4, FIRST[1], FIRST[2] - 2]
    })))  # fmt: skip
    here = maker.make([made.PERSON], [1]).volumes["T1"][0]
    there = maker_of.make([made.PERSON], [1]).volumes["T1"][0]
    # 4 mm to the right is two voxels up in X; 2 mm down is one voxel down in Z.
    np.testing.assert_allclose(there[2:, :, :-1], here[:-2, :, 1:], atol=1e-5)


def test_a_crop_is_a_study_on_its_own_grid():
    t1 = np.zeros(SHAPE, np.float32)
    study = prepared_crop(t1, t1 == 0)
    np.testing.assert_allclose(study.grid.affine[:3, 3], FIRST)
    assert study.content_hash != prepared_crop(t1 + 1, t1 == 0).content_hash
