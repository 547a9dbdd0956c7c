"""The extractor on made crops."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medsyn.evaluation.crops import SHAPE
from napari_medsyn.evaluation.features import FeatureExtractor


@pytest.fixture(scope="module")
def extractor():
    return FeatureExtractor()


@pytest.fixture(scope="module")
def crops():
    crops = np.zeros((2, *SHAPE), np.float32)
    crops[:, 10:70, 10:90, 8:80] = 0.6
    crops[1, 30:50, 40:60, 30:50] = 0.2
    return crops


@pytest.fixture(scope="module")
def features(extractor, crops):
    return extractor.of(crops)


def test_the_extractor_says_what_it_is(extractor):
    version = extractor.card.version
    digest = extractor.card.weights.sha256[:8]
    assert extractor.name == (
        f"judge-tissue-t1 {version}, deepest layer (48 channels), sha256 {digest}"
    )


def test_one_row_a_brain_and_one_a_slab_with_brain(features):
    assert features.volume.shape == (2, 48)
    # Slabs are 4 slices of 2 mm: brain lies in the slices 8 to 80, slabs 2 to 19.
    assert features.position.tolist() == list(range(2, 20)) * 2
    assert features.owner.tolist() == [0] * 18 + [1] * 18
    assert features.slab.shape == (36, 48)


def test_slabs_that_are_alike_have_the_same_features_and_others_not(features):
    first, second = features.slab[:18], features.slab[18:]
    np.testing.assert_allclose(first[:1], second[:1], atol=1e-6)  # far below the difference
    assert np.abs(first[8] - second[8]).max() > 1e-3


def test_the_same_crop_has_the_same_features_in_any_company(extractor, crops, features):
    alone = extractor.of(crops[1:])
    np.testing.assert_array_equal(alone.volume[0], features.volume[1])
    np.testing.assert_array_equal(alone.slab, features.slab[18:])
