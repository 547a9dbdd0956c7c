"""What is read off a T1 is linear in its shares of tissue."""

from __future__ import annotations

import torch

from napari_medsyn.models.mssg.reading import BORDERS, Reading, features, sensible


def test_features_are_shares_of_tissue() -> None:
    levels = [BORDERS[0][0] - 0.25, (BORDERS[0][0] + BORDERS[1][0]) / 2, BORDERS[1][0] + 0.2]
    for tissue, level in enumerate(levels):
        image = torch.full((1, 1, 12, 12, 12), level)
        shares = features(image, pool=3).view(3, 4, 4, 4)[:, 1:3, 1:3, 1:3]
        assert shares[tissue].min() > 0.85
        assert shares.sum(0).max() < 1.01
    assert features(torch.zeros(1, 1, 12, 12, 12)).abs().max() < 0.05


def test_a_reading_is_linear_around_its_mean() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 1, 8, 8, 8)
    rows = features(images)
    reading = Reading(rows.shape[1])
    reading.mean.copy_(rows[0])
    reading.maps.normal_()
    reading.offset.copy_(torch.arange(5.0))
    said = reading(images)
    assert torch.allclose(said[0], torch.arange(5.0), atol=1e-5)
    assert torch.allclose(said[1] - said[0], reading.maps @ (rows[1] - rows[0]), atol=1e-4)


def test_nobody_reads_lesions_where_there_are_none() -> None:
    assert sensible({"age": 40.0, "lesions": 7.0, "cohort": "ixi"})["lesions"] == 0
    assert sensible({"age": 40.0, "lesions": 7.0, "cohort": "ms"})["lesions"] == 7
    assert sensible({}) == {}
