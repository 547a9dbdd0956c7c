"""Directions are named after what they go with, and only if they do."""

from __future__ import annotations

import numpy as np
import torch
from tests.models.mssg._generators import generator
from training.mssg.directions import extents, named_directions, names


def test_the_strongest_names_a_direction_and_its_sign() -> None:
    rows = np.array([[0.1, -0.9], [0.6, 0.2], [0.3, -0.3]])
    titles = [("older", "younger"), ("wider", "narrower")]
    given = names(rows, titles)
    assert given == ["1 · narrower (r 0.9)", "2 · older (r 0.6)", "Direction 3"]


def test_a_direction_along_the_ventricles_is_found() -> None:
    torch.manual_seed(0)
    pool = torch.randn(60, 5)
    first = named_directions(generator(), pool)[0]
    assert "ventricles (r" in first


def test_a_longer_brain_is_longer() -> None:
    net = generator()
    still = extents(net, torch.zeros(1, net.sizes.shapes))
    stretched = net.head.volume(net.head.edge)
    stretched[:, :, :, :40] = 0
    net.head.edge.copy_(stretched[0, 0][net.head.brain])
    shorter = extents(net, torch.zeros(1, net.sizes.shapes))
    assert float(shorter[0, 1]) < float(still[0, 1])
    assert abs(float(shorter[0, 0] - still[0, 0])) < 0.5
