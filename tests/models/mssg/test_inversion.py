"""Inversion on a generator made by hand, of people whom it has made itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.models.mssg._generators import patient

from napari_medsyn.models.mssg import inversion
from napari_medsyn.models.mssg.generator import MultiSourceGenerator
from napari_medsyn.models.mssg.inversion import (
    DEPTH,
    Effort,
    Found,
    Inversion,
    faded,
    psnr_db,
    to_patient,
    usual_styles,
)
from napari_medsyn.models.mssg.lattice import SHAPE, exponential, velocity

T1 = NDArray[np.float32]
#: Of somebody with narrow ventricles, which the patient of these tests does not have.
LABELS = torch.tensor([[0.0, -1.0, -1.0, -1.0, -1.0]])
NO_LOAD = torch.zeros(1)


def inverted(
    net: MultiSourceGenerator, t1: T1, effort: Effort, start: torch.Tensor | None = None
) -> Found:
    return Inversion(net, patient(t1), LABELS, NO_LOAD, start, effort).finish()


@pytest.fixture(scope="module")
def found(net: MultiSourceGenerator, t1: T1) -> Found:
    return inverted(net, t1, Effort(12, 4, 2, 2))


def test_the_style_finds_a_made_person(net: MultiSourceGenerator, t1: T1, found: Found) -> None:
    at_first = inverted(net, t1, Effort(0, 0, 0, 0))
    assert at_first.psnr_style_db < 29
    assert found.psnr_style_db > at_first.psnr_style_db + 4
    # The first coefficient is the ventricles, which the label vector had too narrow.
    assert float(found.coefficients.shape[0, 0]) > float(at_first.coefficients.shape[0, 0]) + 0.2


def test_each_part_explains_more(found: Found, t1: T1) -> None:
    assert found.psnr_style_db < found.psnr_shape_db < found.psnr_db
    assert found.psnr_db > 30
    inside = t1 > 0.02
    error = np.square(found.image[0, 0].numpy() - t1)[inside].mean()
    assert found.psnr_db == pytest.approx(-10 * np.log10(error), abs=0.01)
    assert not found.image[0, 0][~torch.from_numpy(inside)].any()


def test_the_velocity_has_the_remainder_in_it(net: MultiSourceGenerator, found: Found) -> None:
    of_style = net.head.control_values(found.coefficients.shape)
    assert float((found.control_values - of_style).abs().max()) > 0.01
    torch.testing.assert_close(found.u, exponential(velocity(found.control_values)))
    # There and back again is nearly nothing, against displacements of about a voxel.
    assert float(found.u.abs().max()) > 1
    assert float(to_patient(found.u, found.back).abs().max()) < 0.1
    assert torch.equal(found.home, to_patient(found.u, found.back))


def test_a_good_start_is_a_short_way(net: MultiSourceGenerator, t1: T1) -> None:
    z, labels = torch.tensor([[1.0, -1.0, 0.5, 1.0]]), torch.tensor([[0.2, -1.0, 1.0, -1.0, -1.0]])
    start = net.style(z, labels)  # of the person itself
    assert inverted(net, t1, Effort(0, 0, 0, 0), start).psnr_style_db > 60
    assert inverted(net, t1, Effort(2, 0, 0, 0), start).psnr_style_db > 25


def test_steps_are_counted_and_can_be_left_off(net: MultiSourceGenerator, t1: T1) -> None:
    effort = Effort(1, 1, 1, 1)
    under_way = Inversion(net, patient(t1), LABELS, NO_LOAD, None, effort)
    lefts = []
    while under_way.left:
        lefts.append(under_way.left)
        under_way.advance()
    assert lefts == [4, 3, 2, 1]
    at_once = inverted(net, t1, effort)
    assert torch.equal(under_way.finish().image, at_once.image)
    assert under_way.finish() is under_way.finish()
    under_way.advance()  # nothing is left to do
    assert under_way.left == 0


def test_no_gradients_are_left_behind(found: Found) -> None:
    assert not found.image.requires_grad
    assert not found.control_values.requires_grad
    assert not found.coefficients.shape.requires_grad


def test_a_poor_reconstruction_is_told(net: MultiSourceGenerator, t1: T1, found: Found) -> None:
    assert found.warning == ""
    noise = np.random.default_rng(0).uniform(0.1, 1.0, SHAPE).astype(np.float32)
    poor = inverted(net, noise * (t1 > 0.02), Effort(0, 0, 0, 1))
    assert f"poorly ({poor.psnr_db:.1f} dB" in poor.warning


def test_psnr_counts_the_brain_only(t1: T1) -> None:
    somebody = patient(t1)
    image = somebody.t1 + 0.1 * somebody.mask + 0.7 * ~somebody.mask
    assert psnr_db(image, somebody) == pytest.approx(20.0, abs=1e-3)  # 10 log10(1 / 0.1^2)
    assert psnr_db(somebody.t1, somebody) == 99.0


def test_displacements_fade_towards_the_surface() -> None:
    mask = np.zeros((16, 17, 18), bool)
    mask[2:14, 2:15, 0:18] = True  # cut off by the grid along the last axis
    fade = faded(mask)
    assert not fade[~mask].any()
    s = 0.5 / DEPTH
    first = s**2 * (3 - 2 * s)
    assert fade[2, 8, 9] == pytest.approx(first)
    assert fade[8, 8, 0] == pytest.approx(first)
    assert fade[8, 8, 9] == 1.0
    # A displacement of 6 mm (3 voxels) ends within the brain at any depth.
    depth = np.arange(6) + 0.5
    assert (fade[2:8, 8, 9] * 3.0 <= depth).all()


def test_the_field_of_intensity_is_smooth_and_penalised() -> None:
    torch.manual_seed(0)
    x = torch.arange(SHAPE[0]).view(-1, 1, 1) / 6.0
    wave = (0.2 * torch.sin(x)).expand(SHAPE)
    noise = torch.where(torch.arange(SHAPE[1]).view(1, -1, 1) % 2 == 0, 0.2, -0.2).expand(SHAPE)
    inside = torch.ones(SHAPE)
    for image, kept in ((wave, (0.95, 1.01)), (noise, (0.0, 0.1))):
        fitted = _run(inversion._fit_intensity(image, inside, Effort(0, 0, 0, 4)))[0, 0]
        share = float((fitted * image).sum() / image.square().sum())
        assert kept[0] <= share <= kept[1]


def test_usual_styles_are_those_of_the_covariates(net: MultiSourceGenerator) -> None:
    few, many = (usual_styles(net, torch.tensor([[0.0, 0, v, 0, 0]]))[0] for v in (-1.0, 1.0))
    assert float(many[0, 2]) > float(few[0, 2]) + 0.5
    mean, spread = usual_styles(net, LABELS)
    assert mean.shape == spread.shape == (1, net.sizes.w)
    assert float(spread.min()) > 0


def _run(steps: object) -> torch.Tensor:
    """What a generator of steps returns in the end."""
    while True:
        try:
            next(steps)  # type: ignore[call-overload]
        except StopIteration as end:
            value: torch.Tensor = end.value
            return value
