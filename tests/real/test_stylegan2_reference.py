"""The StyleGAN2 generator against numbers of the published implementation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from napari_medsyn.models.stylegan2.network import Generator, Layout

pytestmark = pytest.mark.real

LAYOUT = Layout(z=16, c=3, w=16, channels=1, layers=2, features=(16, 16, 16, 16))


@pytest.fixture(scope="module")
def reference(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "reference" / "stylegan2" / "stylegan2_small_io.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def generator(shared: Path) -> Generator:
    weights = load_file(shared / "reference" / "stylegan2" / "stylegan2_small.safetensors")
    layout = Layout.from_shapes({name: tensor.shape for name, tensor in weights.items()})
    assert layout == LAYOUT
    net = Generator(layout)
    net.load_state_dict(weights, strict=True)
    return net.eval()


def given(reference: dict[str, np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(reference["z"]), torch.from_numpy(reference["c"])


@pytest.mark.parametrize(("psi", "name"), [(1.0, "w"), (0.7, "w_psi07")])
@torch.inference_mode()
def test_styles_are_those_of_the_published_mapping(generator, reference, psi, name) -> None:
    w = generator.mapping(*given(reference), psi)

    for own in range(generator.layout.styles):
        np.testing.assert_allclose(w.numpy(), reference[name][:, own], atol=1e-5)


@pytest.mark.parametrize(
    ("psi", "noise", "name"),
    [(1.0, "const", "image"), (0.7, "const", "image_psi07"), (1.0, "none", "image_no_noise")],
)
@torch.inference_mode()
def test_pictures_are_those_of_the_published_generator(
    generator, reference, psi, noise, name
) -> None:
    picture = generator(*given(reference), psi, noise)

    np.testing.assert_allclose(picture.numpy(), reference[name], atol=1e-4)
