"""The template head: loads are met, edges are sharp, foldings are only detail."""

from __future__ import annotations

import pytest
import torch
from tests.models.mssg._generators import generator

from napari_medsyn.models.mssg.head import Coefficients, blurred, sample
from napari_medsyn.models.mssg.lattice import SHAPE, warp

NET = generator()


def coefficients(*shape: float) -> Coefficients:
    values = torch.zeros(1, NET.sizes.shapes)
    values[0, : len(shape)] = torch.tensor(shape)
    return Coefficients(values, torch.zeros(1, 2), torch.zeros(1, 2))


@pytest.mark.parametrize("load_ml", [2.0, 12.0, 35.0])
@pytest.mark.parametrize("bend", [-1.0, 1.5])
def test_the_load_is_met_whatever_the_deformation(load_ml: float, bend: float) -> None:
    made = NET.head.compose(coefficients(bend), torch.tensor([load_ml]))
    found = float(warp(made.lesion, made.u).sum()) * 0.008
    assert abs(found - load_ml) < 0.1 * load_ml + 0.1


def test_no_load_is_no_lesion_at_all() -> None:
    made = NET.head.compose(coefficients(0.5), torch.tensor([0.0]))
    assert float(made.lesion.abs().max()) == 0


def test_lesions_darken_t1_and_brighten_flair() -> None:
    without = NET.head.compose(coefficients(), torch.tensor([0.0]))
    laden = NET.head.compose(coefficients(), torch.tensor([20.0]))
    inside = laden.lesion > 0.2
    assert int(inside.sum()) > 500
    assert float((laden.t1 - without.t1)[inside].max()) < 0
    assert float((laden.flair - without.flair)[inside].min()) > 0
    assert torch.equal(laden.t1[laden.lesion == 0], without.t1[laden.lesion == 0])


def test_ventricles_are_measured_in_the_person() -> None:
    for bend in (-1.0, 0.0, 1.0):
        u = NET.head.displacement(coefficients(bend).shape)
        fine = float(warp(NET.head.volume(NET.head.ventricle), u).sum()) * 0.008
        assert abs(float(NET.head.ventricle_ml(u)) - fine) < 0.02 * fine
    wide, narrow = (NET.head.ventricle_ml(NET.head.displacement(coefficients(b).shape))
                    for b in (1.0, -1.0))  # fmt: skip
    assert float(wide) != float(narrow)


def test_nothing_is_painted_outside_the_brain() -> None:
    made = NET.head.compose(coefficients(1.0), torch.tensor([5.0]))
    images = NET.head.images(made, range(SHAPE[2]))
    edge = warp(NET.head.volume(NET.head.edge), made.u) > 0.5
    assert images.shape == (1, 2, *SHAPE)
    assert float(images[(~edge).expand_as(images)].abs().max()) == 0
    inside = sample(made.t1, made.u, range(SHAPE[2]))
    assert torch.equal(images[:, :1][edge], inside[edge])
    assert float(images[:, :1][edge].min()) > 0


def test_the_mean_template_is_the_first_folding() -> None:
    painted = NET.head.painted(torch.zeros(1, 2))
    assert torch.equal(painted, NET.head.painted(torch.zeros(1, 2), torch.tensor([0])))


def test_thick_slices_blur_along_z_only() -> None:
    image = torch.zeros(1, 1, *SHAPE)
    image[0, 0, 40, 50, 42] = 1
    seen = blurred(image)
    assert abs(float(seen.sum()) - 1) < 1e-5
    assert float(seen[0, 0, 40, 50, 41]) > 0.1
    assert float(seen[0, 0, 41].abs().max()) == 0
    assert float(seen[0, 0, :, 51].abs().max()) == 0
    flat = torch.full((1, 1, *SHAPE), 0.7)
    assert torch.allclose(blurred(flat), flat)


def test_a_person_is_scanned_in_thick_slices_if_asked() -> None:
    made = coefficients(0.5), torch.tensor([4.0])
    thin, thick = NET.head.compose(*made), NET.head.compose(*made, thick=True)
    assert torch.equal(thin.u, thick.u)
    assert torch.allclose(thick.t1, blurred(thin.t1))
    assert float((thick.t1 - thin.t1).abs().max()) > 0.01
