"""What is known of published bundles."""

from __future__ import annotations

import pytest

from napari_medsyn.registry.importers.monai_bundle_known import guess_modality, known


def test_a_bundle_is_known_by_its_task() -> None:
    facts = known({"task": "Brain image synthesis"})
    assert facts is not None
    assert (facts.modality, facts.orientation, facts.patients) == ("T1", "LAS", 31_740)
    assert known({"task": "something else"}) is None
    assert known({}) is None


@pytest.mark.parametrize(
    ("words", "modality"),
    [
        ("Flair brain MRI with 1.1x1.1x1.1 mm voxel size", "FLAIR"),
        ("T1w head MRI", "T1"),
        ("T1ce and T2w MRI", "T1c"),
        ("CT image synthesis", "CT"),
        ("hand xray images", "XR"),
        ("a picture of an actor", "image"),
    ],
)
def test_a_modality_is_guessed_from_words(words: str, modality: str) -> None:
    assert guess_modality(words) == modality
