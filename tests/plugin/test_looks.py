"""How results look: maps of signed values, and limits beside the patient's own."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medsyn.plugin.looks import IMAGES, LOOKS, colours_of_difference, diverging


def test_no_change_is_fully_transparent_and_the_ends_are_opaque() -> None:
    shown = diverging().map(np.array([0.5, 0.0, 1.0]))
    np.testing.assert_allclose(shown[:, 3], (0, 1, 1))
    blue, orange = shown[1], shown[2]
    assert blue[2] > blue[0]
    assert orange[0] > orange[2]


def test_both_signs_fade_in_alike() -> None:
    alpha = colours_of_difference()[:, 3]
    np.testing.assert_array_equal(alpha, alpha[::-1])
    assert (np.diff(alpha[: alpha.size // 2 + 1]) <= 0).all()
    assert np.count_nonzero(alpha == 0) == 1


@pytest.mark.parametrize(
    ("role", "limits"),
    [("counterfactual", (100, 500)), ("difference", (-200, 200)), ("jacobian", (-0.693, 0.693))],
)
def test_limits_follow_the_window_of_the_patients_own_layer(
    role: str, limits: tuple[float, float]
) -> None:
    assert LOOKS[role].limits_in((100, 500)) == pytest.approx(limits)


def test_every_layer_says_that_it_is_synthetic() -> None:
    assert all(look.title.startswith("SYNTHETIC ") for look in LOOKS.values())
    assert set(IMAGES) < set(LOOKS)
