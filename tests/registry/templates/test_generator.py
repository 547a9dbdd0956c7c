from __future__ import annotations

import numpy as np
import pytest

from napari_medsyn.registry.templates.generator import generate
from napari_medsyn.registry.templating import waves


@pytest.fixture
def weights(tmp_path):
    np.save(tmp_path / "weights.npy", waves())
    return str(tmp_path / "weights.npy")


def picture(weights, **arguments):
    z = np.zeros((1, 8, 1, 1), np.float32)
    given = {"input_latent_vector": z, **arguments}
    return generate(weights, 1, "nowhere", False, **given)[0]


def test_a_disc_is_brighter_than_what_is_around_it(weights):
    image = picture(weights, radius=10.0)
    assert (image.shape, image.dtype) == ((64, 64), np.uint8)
    # 0.35 and 0.75 of 255; the centre of 64 pixels is at 31.5.
    assert (image[31, 31], image[31, 41], image[31, 42], image[0, 0]) == (191, 191, 89, 89)


def test_a_ring_is_open_in_the_middle(weights):
    image = picture(weights, condition="ring", radius=10.0)
    assert (image[31, 31], image[31, 37], image[31, 38]) == (89, 89, 191)


def test_every_number_of_the_latent_shows(weights):
    at_rest = picture(weights)
    for number in range(8):
        z = np.zeros((1, 8, 1, 1), np.float32)
        z[0, number] = 1
        assert not np.array_equal(picture(weights, input_latent_vector=z), at_rest)


def test_without_a_latent_one_is_drawn(weights):
    one, other = generate(weights, 2, "nowhere", False)
    assert not np.array_equal(one, other)


def test_images_are_saved_where_it_is_asked(weights, tmp_path):
    (tmp_path / "out").mkdir()
    assert generate(weights, 2, str(tmp_path / "out"), True) is None
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["00000.npy", "00001.npy"]
