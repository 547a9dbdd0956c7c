"""What a person reads who has made a mistake in a card."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests._fakes import card_values

from napari_medsyn.errors import UnusableModel
from napari_medsyn.registry.card import parse_card

CONTROL = {"kind": "integer", "name": "n", "label": "N", "minimum": 0, "maximum": 9, "default": 1}


def told(text: str) -> str:
    with pytest.raises(UnusableModel) as caught:
        parse_card(text)
    return str(caught.value)


def told_of(**changes: Any) -> str:
    return told(json.dumps({**card_values(), **changes}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n"a": 1,\n}', "line 2: a comma too many, since no entry follows it"),
        ('{"a": [\n1,\n\n]}', "line 2: a comma too many, since no entry follows it"),
        ('{\n"a": 1,,\n"b": 2}', "line 2: a comma too many, since no entry follows it"),
        ('{\n"a": 1\n"b": 2}', "line 3: expected a comma or a closing bracket before this"),
        ("{\nid: 1}", "line 2: expected a key in double quotes"),
        ('{"a" 1}', "line 1: expected a colon after the key"),
        ('{"a":\n}', "line 2: expected a value"),
        ('{"a": "x\ny"}', "line 1: a text in quotes runs over the end of its line"),
        ('{"a": "x', "line 1: a text in quotes is not closed"),
        ('{"a": 1}\n}', "line 2: something follows after the last closing brace"),
        ('{"a": [1', "it ends too early: something is not closed"),
        ("", "it ends too early: something is not closed"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_the_line_and_what_was_expected_are_told(text, said):
    assert told(text).startswith(f"card.json: is not JSON ({said}")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sumary": "x"}, "sumary: is not a known key (did you mean summary?)"),
        ({"surprise": 1}, "surprise: is not a known key"),
        (
            {"controls": [{**CONTROL, "maximun": 9}]},
            "controls[0].integer.maximun: is not a known key (did you mean maximum?)",
        ),
        (
            {"golden": {"file": "g.npy", "output": "T1", "slices": [0], "tolerence": 1}},
            "golden.tolerence: is not a known key (did you mean tolerance?)",
        ),
    ],
)
def test_an_unknown_key_is_told_with_the_one_that_is_near_at_its_place(changes, said):
    assert told_of(**changes) == f"card.json: {said}"


def test_a_key_of_another_part_is_not_suggested():
    assert told_of(units="x") == "card.json: units: is not a known key"


def test_five_problems_are_told_and_the_others_counted():
    message = told_of(**{f"surprise{number}": 1 for number in range(8)})
    assert message.count("is not a known key") == 5
    assert message.endswith("; and 3 more")
    assert "more" not in told_of(**{f"surprise{number}": 1 for number in range(5)})
