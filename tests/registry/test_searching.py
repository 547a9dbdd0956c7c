from __future__ import annotations

from pathlib import Path

import pytest
from tests.registry._cards import make_entry

from napari_medsyn.errors import MedsynError
from napari_medsyn.registry.entries import Entry
from napari_medsyn.registry.searching import refuse_unknown_fields, search

CONTROL = {
    "kind": "continuous", "name": "age", "label": "Age at scan", "unit": "years",
    "minimum": 0, "maximum": 99, "default": 50, "step": 1,
}  # fmt: skip

EVERYTHING = make_entry(
    id="everything",
    name="Whole Name",
    summary="A summary of it.",
    task="counterfactual",
    anatomy=["pancreas"],
    tags=["calcification"],
    year=1999,
    inputs=["T1"],
    outputs=["T1", "FLAIR"],
    min_inputs=1,
    grid={"shape": [128, 64, 9], "space": "Talairach", "dim": "3D"},
    controls=[
        CONTROL,
        {
            "kind": "categorical", "name": "sex", "label": "Sex", "default": 0,
            "categories": [{"value": 0, "label": "Female"}, {"value": 1, "label": "Male"}],
        },
    ],
    legends={"FLAIR": [{"code": 1, "name": "oedema"}]},
    metrics=[
        {
            "name": "FID", "value": 1, "direction": "lower", "data_set": "Testset",
            "extractor": "RadImageNet", "note": "in a hurry",
        }
    ],
    training_data=[{"name": "CBIS-DDSM", "licence": "CC-BY-3.0", "citation": "Lee 2017"}],
    licence="GPL-3.0-only",
    authors=["Ada Lovelace"],
    citation="Lovelace 1843",
    intended_use="Used for notes.",
    limitations=["Knows only Bernoulli numbers."],
    provenance={"source": {"registry": ["Engine Room"]}, "hash": "abcdef0123456789" * 4},
    architecture={"type": "Progressive"},
    requires={"extra": "monai", "note": "a steam engine"},
    doi=["10.1234/Note-G"],
    links=["https://example.org/Engine"],
)  # fmt: skip
OTHER = make_entry(id="other")
BROKEN = Entry("torn", Path("/models/torn"), "user", reason="torn: card.json is missing")
ALL = [EVERYTHING, OTHER, BROKEN]


def ids(
    words: str | list[str], operator: str = "and", entries: list[Entry] | None = None
) -> list[str]:
    typed = [words] if isinstance(words, str) else words
    return [entry.id for entry in search(entries or ALL, typed, operator)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "word",
    [
        "EVERYTHING", "whole name", "SUMMARY", "counterfact", "pancrea", "Calcification", "1999",
        "Age at scan", "years", "female", "oedema", "talairach", "128x64x9", "testset",
        "radimagenet", "hurry", "cbis-ddsm", "Lee 2017", "cc-by-3.0", "gpl-3", "lovelace",
        "1843", "notes", "bernoulli", "engine room", "progressive", "monai", "steam",
        "10.1234/note-g", "example.org", "3d",
    ],
)  # fmt: skip
def test_every_field_is_searched_in_capitals_or_not_and_in_parts(word):
    assert ids(word) == ["everything"]


def test_a_word_is_not_found_in_names_of_fields_or_in_hashes():
    for word in ("limitation", "synonym", "abcdef"):
        assert ids(word) == []


def test_words_do_not_run_over_from_one_value_to_the_next():
    assert ids("everything 1.2.0") == []


@pytest.mark.parametrize(
    ("operator", "expected"),
    [("and", []), ("or", ["everything", "other"]), ("xor", ["everything", "other"])],
)
def test_operators_on_words_of_two_models(operator, expected):
    assert ids(["pancreas", "other"], operator) == expected


def test_xor_is_exactly_one_of_three_not_parity():
    # "fake" is the family of both; only one is BSD. Three of three is odd, but not one.
    assert ids(["fake", "other", "bsd"], "xor") == ["everything"]
    assert ids(["fake", "other", "bsd"], "and") == ["other"]


def test_an_unknown_operator_is_refused():
    with pytest.raises(MedsynError, match="operator 'not' is not one of and, or, xor"):
        search(ALL, ["a"], "not")  # type: ignore[arg-type]


@pytest.mark.parametrize("words", [[], [""], ["  "]])
def test_without_words_everything_is_found(words):
    assert ids(words, "or") == ["everything", "other", "torn"]


def test_a_broken_package_is_found_by_its_id():
    assert ids("TORN") == ["torn"]
    assert ids("id:torn") == ["torn"]


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ({"tags": ["MMG"]}, "mammography"),
        ({"tags": ["Mammography"]}, "MG"),
        ({"tags": ["T1w"]}, "t1-weighted"),
        ({"tags": ["chest X-ray"]}, "CXR"),
        ({"tags": ["MR"]}, "magnetic resonance"),
        ({"tags": ["magnetic resonance"]}, "MRI"),
        ({"outputs": ["FLAIR"]}, "MRI"),  # what nobody writes on the card of a FLAIR
        ({"outputs": ["MG"], "inputs": []}, "x-ray"),
    ],
)
def test_synonyms_are_found(said, typed):
    plain = {"inputs": [], "outputs": ["CT"], "min_inputs": 0, "controls": []}
    assert ids(typed, entries=[make_entry(**plain)]) == []
    assert ids(typed, entries=[make_entry(**{**plain, **said})]) == ["fake-brain"]


def test_a_synonym_within_another_word_does_not_count():
    # "mr" is a synonym of "mri", and "ms" of "multiple sclerosis".
    plain = {"inputs": [], "outputs": ["CT"], "min_inputs": 0, "controls": []}
    entry = make_entry(**plain, tags=["amrx", "systems"])
    assert ids("mri", entries=[entry]) == []
    assert ids("multiple sclerosis", entries=[entry]) == []


def test_a_field_may_be_named():
    assert ids("TAG:calci") == ["everything"]
    assert ids("anatomy:calci") == []
    assert ids("modality:flair") == ["everything", "other"]
    assert ids("limitation:bernoulli numbers") == ["everything"]
    assert ids("nofield:calci") == []


def test_entries_without_a_digest_are_searched_just_so():
    assert ids("lovelace", entries=[make_entry(digested=False, authors=["Ada Lovelace"])]) == [
        "fake-brain"
    ]


def test_a_card_cannot_pretend_to_have_a_field():
    entry = make_entry(name="x\x01TAG brain\x01", tags=["liver"])
    assert ids("tag:brain", entries=[entry]) == []


def test_a_field_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(MedsynError, match="no field 'colour' to search; fields are id, version,"):
        refuse_unknown_fields(["brain", "colour:red"])
    with pytest.raises(MedsynError, match="no field 'license' to search; did you mean licence"):
        refuse_unknown_fields(["license:MIT"])


@pytest.mark.parametrize(
    "word",
    ["tag:brain", "10.1000/x:y", "12:30", "https://doi.org/10.1", "arxiv:2410.19378", "note: a",
     "T1:x", "brain:", ":", "colour"],
)  # fmt: skip
def test_other_words_with_a_colon_are_searched_as_they_are(word):
    refuse_unknown_fields([word])
