from __future__ import annotations

import numpy as np
from training.judges.tissue.classes import TISSUES, UNLABELLED, tissues_of


def test_each_label_has_one_tissue_and_codes_are_in_order():
    labels = [label for tissue in TISSUES for label in tissue.labels]
    assert len(labels) == len(set(labels))
    assert [tissue.code for tissue in TISSUES] == list(range(1, len(TISSUES) + 1))


def test_labels_become_the_tissues_of_their_anatomy():
    # Left lateral ventricle, third ventricle, frontal white matter, a cortical area,
    # thalamus, cerebellum (grey, white), brain stem, fluid, none.
    dlmuse = np.array([52, 4, 81, 143, 59, 38, 40, 35, 46, 0], np.uint8)
    keys = ["ventricles", "ventricles", "white_matter", "cortex", "deep_grey",
            "cerebellar_cortex", "cerebellar_white", "brain_stem", "external_fluid"]  # fmt: skip
    codes = {tissue.key: tissue.code for tissue in TISSUES}
    assert tissues_of(dlmuse).tolist() == [*(codes[key] for key in keys), UNLABELLED]
