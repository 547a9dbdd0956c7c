from __future__ import annotations

import json

import numpy as np
import pytest
from tests._fakes import card_values

from napari_medsyn.errors import UnusableModel
from napari_medsyn.registry.card import MAX_CARD_BYTES, json_schema, parse_card, read_card

AGE = {"name": "age", "label": "Age", "unit": "years"}


def refusal(**changes: object) -> str:
    with pytest.raises(UnusableModel) as caught:
        parse_card(json.dumps(card_values(**changes)))
    return str(caught.value)


def test_a_valid_card_survives_the_way_to_json_and_back():
    card = parse_card(json.dumps(card_values()))
    assert parse_card(card.model_dump_json()) == card
    assert card.weights.name == "weights.safetensors"


def test_the_grid_has_the_origin_and_spacing_of_the_card():
    values = card_values()
    values["grid"].update(shape=[160, 192, 160], spacing_mm=[1, 1, 2], origin_mm=[-80, -115, -74])
    grid = parse_card(json.dumps(values)).grid.grid()
    assert grid.shape == (160, 192, 160)
    expected = [[1, 0, 0, -80], [0, 1, 0, -115], [0, 0, 2, -74], [0, 0, 0, 1]]
    np.testing.assert_array_equal(grid.affine, expected)


def test_modalities_are_inputs_then_the_other_outputs():
    card = parse_card(json.dumps(card_values(inputs=["FLAIR", "T1"], outputs=["T1", "T2"])))
    assert card.modalities == ("FLAIR", "T1", "T2")


def test_a_judge_may_give_readings_only():
    values = card_values(kind="judge", outputs=[], readings=[AGE], controls=[])
    card = parse_card(json.dumps(values))
    assert (card.is_judge, card.outputs, card.readings[0].unit) == (True, (), "years")


@pytest.mark.parametrize(
    ("changes", "place", "reason"),
    [
        ({"surprise": 1}, "surprise", "is not a known key"),
        ({"schema_version": 2}, "schema_version", "should be 1"),
        ({"id": "../evil"}, "id", "match pattern"),
        ({"version": "new"}, "version", "match pattern"),
        ({"licence": "do what you want"}, "licence", "match pattern"),
        ({"outputs": []}, "card", "outputs is empty, so this generator gives nothing"),
        ({"kind": "oracle"}, "kind", "should be 'generator' or 'judge'"),
        ({"readings": [AGE]}, "card", "readings are for judges"),
        ({"kind": "judge"}, "card", "this judge measures nothing"),
        ({"kind": "judge", "readings": [AGE, AGE]}, "card", "readings lists age more than once"),
        ({"legends": {"CT": []}}, "card", "legends explains CT, which is not one of the outputs"),
        (
            {"legends": {"T1": [{"code": 2, "name": "a"}, {"code": 2, "name": "b"}]}},
            "card",
            "gives a code of T1 more than one name",
        ),
        ({"legends": {"T1": [{"code": 0, "name": "a"}]}}, "legends.T1[0].code", "greater than"),
        ({"inputs": ["T1", "T1"]}, "card", "inputs lists T1 more than once"),
        ({"min_inputs": 4}, "card", "min_inputs 4 exceeds the 3 inputs"),
        ({"training_data": []}, "training_data", "at least 1 item"),
        ({"limitations": []}, "limitations", "at least 1 item"),
        ({"intended_use": " "}, "intended_use", "at least 1 character"),
    ],
)
def test_each_broken_rule_is_named_with_its_place(changes, place, reason):
    message = refusal(**changes)
    assert f"{place}: " in message
    assert reason in message


@pytest.mark.parametrize(
    "name", ["../weights.safetensors", "/etc/passwd.safetensors", "a\\b.safetensors", ".hidden", ""]
)
def test_a_file_name_that_is_a_path_is_refused(name):
    message = refusal(files=[{"name": name, "bytes": 1, "sha256": "0" * 64}])
    assert "files[0].name: " in message


def test_two_weight_files_or_none_are_refused():
    file = {"bytes": 1, "sha256": "0" * 64}
    assert "exactly one .safetensors file, not 0" in refusal(files=[{**file, "name": "a.json"}])
    two = [{**file, "name": "a.safetensors"}, {**file, "name": "b.safetensors"}]
    assert "exactly one .safetensors file, not 2" in refusal(files=two)


def test_files_that_differ_only_in_case_are_refused():
    file = {"bytes": 1, "sha256": "0" * 64}
    two = [{**file, "name": "A.png"}, {**file, "name": "a.png"}]
    assert "files lists a.png more than once" in refusal(files=two)


def test_a_default_outside_its_range_names_the_control():
    control = {"kind": "integer", "name": "k", "label": "K", "minimum": 1, "maximum": 8}
    message = refusal(controls=[{**control, "default": 9}])
    assert message == "card.json: controls[0].integer: k 9 is outside 1 to 8"


def test_an_unknown_kind_of_control_is_refused_with_the_known_ones():
    message = refusal(controls=[{"kind": "knob", "name": "k", "label": "K"}])
    assert "controls[0]: " in message
    assert "'continuous', 'integer'" in message


def test_a_modality_set_may_offer_only_what_the_model_knows():
    control = {"kind": "modality_set", "name": "present", "label": "Present", "choices": ["CT"]}
    assert "control present offers CT, which is neither input nor output" in refusal(
        controls=[control]
    )


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"metrics": NaN}', "[" * 100_000])
def test_what_is_not_a_json_object_is_refused(text):
    with pytest.raises(UnusableModel, match=r"^here: "):
        parse_card(text, "here")


def test_infinity_hidden_in_an_exponent_is_refused():
    text = json.dumps(card_values()).replace("25.0", "1e999")
    with pytest.raises(UnusableModel, match="finite number"):
        parse_card(text)


def test_a_card_that_cannot_be_read_is_refused_with_its_path(tmp_path):
    with pytest.raises(UnusableModel, match=r"card\.json: cannot be read \(No such file"):
        read_card(tmp_path)
    card = tmp_path / "card.json"
    card.write_bytes(b"\xff\xfe")
    with pytest.raises(UnusableModel, match="is not UTF-8 text"):
        read_card(tmp_path)
    card.write_text(" " * (MAX_CARD_BYTES + 1))
    with pytest.raises(UnusableModel, match="so not a card"):
        read_card(tmp_path)


def test_the_schema_lists_every_field_and_control():
    schema = json_schema()
    assert set(card_values()) <= set(schema["properties"])
    kinds = schema["properties"]["controls"]["items"]["discriminator"]["mapping"]
    assert set(kinds) == {
        "continuous", "integer", "boolean", "categorical", "modality_set", "seed", "latent",
    }  # fmt: skip


def test_only_code_may_be_empty():
    file = {"name": "weights.safetensors", "bytes": 0, "sha256": "0" * 64}
    assert "weights.safetensors is empty" in refusal(files=[file])
    code = {"name": "code/__init__.py", "bytes": 0, "sha256": "0" * 64}
    weights = {"name": "code/w.pt", "bytes": 1, "sha256": "0" * 64}
    values = card_values(
        execution="isolated", architecture={"weights": "code/w.pt"}, files=[code, weights]
    )
    assert parse_card(json.dumps(values)).weights.name == "code/w.pt"
