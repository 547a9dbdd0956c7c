from __future__ import annotations

import json

import numpy as np
import pytest

from napari_medsyn.errors import UnusableFile, UnusableModel
from napari_medsyn.registry.packages import verify
from napari_medsyn.registry.templating import (
    FAMILIES,
    architecture_of,
    create_package,
    unfilled,
    waves,
)


def create(folder, family="dcgan", **changes):
    from safetensors.numpy import save

    weights = save({"none": np.zeros(1)}) if family == "mmhvae" else None
    given = {"model_id": "mine", "name": "My model", "weights": weights, **changes}
    return create_package(folder, family, **given)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_template_is_a_valid_package_with_steps(tmp_path, family):
    card = create(tmp_path / "mine", family)
    assert verify(tmp_path / "mine") == card
    assert (card.id, card.name, card.version, card.family) == ("mine", "My model", "0.1", family)
    steps = (tmp_path / "mine" / "README.md").read_text()
    assert steps.startswith("# My model\n")
    assert "medsyn models seal mine" in steps
    assert "$" not in steps
    assert ("--trust" in steps) == (family == "python")
    assert not any(file.name == "README.md" for file in card.files)


def test_the_steps_can_be_typed_whatever_the_folder_is_called(tmp_path):
    create(tmp_path / "my model")
    steps = (tmp_path / "my model" / "README.md").read_text()
    assert "`medsyn models seal 'my model'`" in steps


@pytest.mark.parametrize("family", FAMILIES)
def test_what_an_author_must_say_is_marked(tmp_path, family):
    card = create(tmp_path / "mine", family)
    places = set(unfilled(card.model_dump(mode="json")))
    assert {
        "summary",
        "training_data[0].name",
        "training_data[0].licence",
        "licence",
        "authors[0]",
        "intended_use",
        "limitations[0]",
        "provenance.training",
    } <= places
    assert "name" not in places


def test_marks_are_found_wherever_they_are():
    fields = {"a": "FILL IN: this", "b": [{"c": "is FILL-IN"}, "x"], "d": 3, "e": {"f": None}}
    assert list(unfilled(fields)) == ["a", "b[0].c"]


def test_the_same_template_has_the_same_weights(tmp_path):
    one, other = create(tmp_path / "one"), create(tmp_path / "other", name="Other")
    assert one.weights.sha256 == other.weights.sha256


def test_random_weights_fit_the_architecture_and_keep_the_contrast(tmp_path):
    from napari_medsyn.models.families import load_family

    card = create(tmp_path / "mine")
    family = load_family(tmp_path / "mine", card, "cpu")
    classes = [category.value for category in card.controls[1].categories]
    drawn = family.draw([{"seed": seed, "class": classes[seed % 2]} for seed in range(8)])
    images = np.stack([images["MG"] for images in drawn])
    assert images.shape == (8, 64, 64, 1)
    assert images.std() > 0.1  # of a range of 1: something can be seen
    assert 0.3 < images.mean() < 0.7


def test_waves_differ_and_stay_within_one():
    patterns = waves()
    assert patterns.dtype == np.float32
    assert np.abs(patterns).max() <= 1
    flat = patterns.reshape(len(patterns), -1)
    correlation = np.corrcoef(flat) - np.eye(len(flat))
    assert np.abs(correlation).max() < 0.9


def test_an_id_that_is_none_is_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(UnusableModel, match="id: "):
        create(tmp_path / "mine", model_id="My Model!")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UnusableFile, match="is not empty"):
        create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_card_is_written_for_people(tmp_path):
    create(tmp_path / "mine")
    text = (tmp_path / "mine" / "card.json").read_text()
    assert text.startswith('{\n  "id": "mine",\n  "name": "My model",\n')
    assert json.loads(text)["architecture"] == architecture_of("dcgan")
