from __future__ import annotations

from napari_medsyn.registry.synonyms import implied, synonyms


def test_all_words_of_a_meaning_come_with_one_of_them():
    assert synonyms("a mammogram of a lung") == [
        "breast x-ray", "lung", "lungs", "mammogram", "mammograms", "mammography", "mg", "mmg",
        "pulmonary",
    ]  # fmt: skip


def test_the_longest_word_counts():
    # "t2-flair" is a FLAIR, not a T2.
    assert "t2w" not in synonyms("t2-flair")
    assert "flair" in synonyms("t2-flair")


def test_nothing_comes_of_nothing():
    assert synonyms("amrs, usb and others") == []


def test_modalities_of_mr_imply_it():
    assert implied(["T1", "FLAIR"]) == ["mr"]
    assert implied(["CT"]) == []
