from __future__ import annotations

from itertools import chain

import pytest
from training.simulator.tissues import LESION, NAMES, TISSUES, code_table

#: FreeSurfer's names (FreeSurferColorLUT) of labels that SynthSeg's maps have within the brain.
FREESURFER = {
    "white": (2, 41),
    "cortex": (3, 42),
    "cerebellar white": (7, 46),
    "cerebellar cortex": (8, 47),
    "thalamus": (10, 49),
    "caudate": (11, 50),
    "putamen": (12, 51),
    "pallidum": (13, 52),
    "hippocampus": (17, 53),
    "stem": (16, 28, 60),
    "ventricle": (4, 5, 14, 15, 43, 44),
    "fluid": (24,),
}
#: MUSE's names of DLMUSE labels, right and left.
DLMUSE = {
    "white": (81, 82, 83, 84, 85, 86, 87, 88, 95),
    "cortex": (100, 121, 166, 207),
    "cerebellar white": (40, 41),
    "cerebellar cortex": (38, 39, 71, 72, 73),
    "thalamus": (59, 60),
    "caudate": (36, 37),
    "putamen": (57, 58),
    "pallidum": (55, 56),
    "hippocampus": (47, 48),
    "stem": (35,),
    "ventricle": (4, 11, 49, 50, 51, 52),
    "fluid": (46,),
}


@pytest.mark.parametrize(("scheme", "expected"), [("freesurfer", FREESURFER), ("dlmuse", DLMUSE)])
def test_labels_come_to_the_tissue_that_their_name_says(scheme, expected):
    table = code_table(scheme, 256)
    assert table[0] == 0
    assert tuple(expected) == NAMES
    for name, labels in expected.items():
        assert {NAMES[table[label] - 1] for label in labels} == {name}


@pytest.mark.parametrize("scheme", ["freesurfer", "dlmuse"])
def test_no_label_belongs_to_two_tissues(scheme):
    labels = list(chain.from_iterable(getattr(tissue, scheme) for tissue in TISSUES))
    assert len(labels) == len(set(labels))


def test_codes_are_places_in_the_table_and_lesions_come_after_them():
    assert [tissue.code for tissue in TISSUES] == list(range(1, 13))
    assert LESION == 13


def test_labels_outside_the_brain_are_background():
    assert not code_table("freesurfer", 600)[[502, 506, 509, 530]].any()
