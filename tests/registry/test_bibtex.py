from __future__ import annotations

from tests.registry._cards import make_card

from napari_medsyn.registry.bibtex import bibtex


def test_a_model_becomes_an_entry():
    card = make_card(
        name="MMHVAE & co_1",
        authors=["Ada Lovelace", "The developers"],
        year=2024,
        doi=["10.1000/a_b", "10.1000/c"],
        links=["https://example.org/a_b"],
        citation="Lovelace 1843, 100 % right.",
    )
    assert bibtex(card) == (
        "@misc{fake-brain-1.2.0,\n"
        "  author = {Ada Lovelace and {The developers}},\n"
        "  title = {{MMHVAE \\& co\\_1}},\n"
        "  year = {2024},\n"
        "  version = {1.2.0},\n"
        "  howpublished = {Model fake-brain, licence BSD-3-Clause},\n"
        "  doi = {10.1000/a_b},\n"
        "  url = {https://example.org/a_b},\n"
        "  note = {Lovelace 1843, 100 \\% right. See also 10.1000/c. SHA-256 " + "0" * 64 + ".},\n"
        "}\n"
    )


def test_a_citation_in_bibtex_follows_as_it_is():
    citation = "@article{lovelace1843,\n  title = {Note {G} & more}\n}"
    text = bibtex(make_card(citation=citation))
    assert text.endswith(f"}}\n\n{citation}\n")
    assert text.count("lovelace1843") == 1


def test_empty_fields_are_left_out():
    text = bibtex(make_card())
    for field in ("year", "doi", "url"):
        assert f"  {field} = " not in text


def test_a_model_that_is_only_listed_has_no_hash():
    card = make_card(execution="none", files=[], requires={"note": "lost"})
    assert "SHA-256" not in bibtex(card)


def test_nothing_in_a_card_breaks_out_of_its_field():
    card = make_card(name="a} } @evil{b, c={\\input", authors=["x and y"], citation="{{{")
    text = bibtex(card)
    # Every brace that is not escaped is ours, and they balance.
    bare = text.replace("\\{", "").replace("\\}", "").replace("\\textbackslash{}", "")
    assert bare.count("{") == bare.count("}")
    assert "\\} \\} @evil\\{b" in text
    assert "author = {{x and y}}" in text
