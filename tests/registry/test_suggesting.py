from __future__ import annotations

from napari_medsyn.registry.suggesting import did_you_mean, near, some_of


def test_near_names_are_found_whatever_their_case():
    assert near("mmhvae-brian", ["judge", "MMHVAE-brain", "x"]) == ["MMHVAE-brain"]
    assert near("brain", ["mmhvae-brain-mr-1mm", "judge"]) == ["mmhvae-brain-mr-1mm"]
    assert near("zzz", ["judge", "mmhvae"]) == []


def test_at_most_three_are_suggested():
    assert len(near("model-0", [f"model-{n}" for n in range(9)])) == 3


def test_a_suggestion_is_a_question():
    assert did_you_mean("psnt", ["PSNR", "SSIM"]) == "; did you mean PSNR?"
    assert did_you_mean("beauty", ["PSNR", "SSIM"]) == ""


def test_a_long_list_is_cut_and_says_where_the_rest_is():
    names = [f"n{number}" for number in range(12)]
    assert some_of([]) == "none"
    assert some_of(names[:10]) == "n0, n1, n2, n3, n4, n5, n6, n7, n8, n9"
    assert some_of(names, separator="; ", rest="see list").endswith("n8; n9 … and 2 more; see list")
