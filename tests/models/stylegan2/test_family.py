"""StyleGAN2 packages, loaded and drawn from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save
from tests._fakes import card_values

from napari_medsyn.errors import UnusableModel
from napari_medsyn.models.families import load_family
from napari_medsyn.models.latents import latent
from napari_medsyn.models.stylegan2.family import StyleGAN2Family, label_vector
from napari_medsyn.models.stylegan2.network import Generator, Layout
from napari_medsyn.registry.building import build_package
from napari_medsyn.registry.card import read_card
from napari_medsyn.scans.pictures import to_picture

LAYOUT = Layout(z=5, c=3, w=6, channels=1, layers=2, features=(8, 6))
LABELS = [
    {"name": "age", "kind": "number", "normalise": {"subtract": 20, "divide_by": 60}},
    {"name": "sex", "kind": "one-hot", "values": ["F", "M"]},
]
CONTROLS = [
    {"kind": "continuous", "name": "age", "label": "Age", "minimum": 20, "maximum": 80,
     "step": 1, "default": 50},
    {"kind": "categorical", "name": "sex", "label": "Sex", "default": "F",
     "categories": [{"value": "F", "label": "female"}, {"value": "M", "label": "male"}]},
    {"kind": "continuous", "name": "truncation", "label": "Truncation", "minimum": 0,
     "maximum": 1, "step": 0.05, "default": 1.0},
    {"kind": "seed", "name": "seed", "label": "Seed"},
]  # fmt: skip
BY_0 = {"divide_by": 0}
LOG_OF_0 = {"log": True, "add": -20}  # at the least age, 20
VALUES = {"age": 50.0, "sex": "F", "truncation": 1.0, "seed": 4}


def network(layout: Layout = LAYOUT) -> Generator:
    torch.manual_seed(0)
    return Generator(layout).eval()


def package(folder: Path, net: Generator, **changes: Any) -> Path:
    fields = card_values(
        family="stylegan2",
        inputs=[],
        outputs=["T1"],
        min_inputs=0,
        intensity={"rule": "unit"},
        grid={"shape": [8, 8, 1], "space": "picture", "dim": "2D"},
        controls=CONTROLS,
        architecture={"labels": LABELS, "synthesis_kwargs": {"conv_clamp": None}},
    )
    build_package(
        folder, {**fields, **changes}, {"weights.safetensors": save(dict(net.state_dict()))}
    )
    return folder


def family(folder: Path) -> StyleGAN2Family:
    loaded = load_family(folder, read_card(folder), "cpu")
    assert isinstance(loaded, StyleGAN2Family)
    return loaded


def test_the_picture_is_that_of_the_network(tmp_path: Path) -> None:
    net = network()
    drawn = family(package(tmp_path / "p", net)).draw([VALUES])[0]["T1"]

    with torch.inference_mode():
        picture = net(latent(4, 5).unsqueeze(0), torch.tensor([[0.5, 1.0, 0.0]]))
    expected = ((picture[0, 0] + 1) / 2).clamp(0, 1).numpy()
    np.testing.assert_allclose(to_picture(drawn), expected, atol=1e-6)


def test_every_control_changes_the_picture(tmp_path: Path) -> None:
    loaded = family(package(tmp_path / "p", network()))
    changes: list[dict[str, Any]] = [{"age": 80.0}, {"sex": "M"}, {"truncation": 0.5}, {"seed": 5}]
    drawn = loaded.draw([VALUES, *({**VALUES, **change} for change in changes)])
    first = drawn[0]["T1"]
    assert all(not np.array_equal(first, other["T1"]) for other in drawn[1:])


def test_colours_become_brightness(tmp_path: Path) -> None:
    colour = Layout(z=5, c=3, w=6, channels=3, layers=2, features=(8, 6))
    net = network(colour)
    with torch.no_grad():
        net.synthesis.b8.torgb.bias.copy_(torch.tensor([100.0, -100.0, -100.0]))
    drawn = family(package(tmp_path / "p", net)).draw([VALUES])[0]["T1"]
    # Red alone at +100, the rest at -100: 0.299 * 100 - 0.701 * 100 is far below black.
    assert drawn.max() == 0


def test_labels_become_numbers_as_the_card_says() -> None:
    rule = {"log": True, "add": 1.0, "subtract": 0.5, "divide_by": 2.0}
    labels = [
        {"name": "volume", "kind": "number", "normalise": rule},
        {"name": "ill", "kind": "number"},
        {"name": "site", "kind": "one-hot", "values": ["a", "b", "c"]},
    ]
    vector = label_vector(labels, {"volume": 9.0, "ill": True, "site": "b"})
    assert vector == pytest.approx([(math.log(10) - 0.5) / 2, 1.0, 0.0, 1.0, 0.0])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"grid": {"shape": [16, 16, 1], "space": "picture", "dim": "2D"}}, "8 × 8"),
        ({"architecture": {"labels": LABELS[:1]}}, "describes 1 labels, the network reads 3"),
        (
            {"architecture": {"labels": LABELS, "synthesis_kwargs": {"architecture": "resnet"}}},
            "architecture 'resnet' cannot be run",
        ),
        ({"inputs": ["T1"], "min_inputs": 1}, "read no scan"),
        (
            {"architecture": {"labels": [{**LABELS[0], "normalise": BY_0}, LABELS[1]]}},
            "division by zero",
        ),
        (
            {"architecture": {"labels": [{**LABELS[0], "normalise": LOG_OF_0}, LABELS[1]]}},
            "cannot be run as StyleGAN2",
        ),
        (
            {"architecture": {"labels": [LABELS[0], {**LABELS[1], "values": ["F", "X"]}]}},
            "sex M has no place among the labels",
        ),
    ],
)
def test_a_card_that_contradicts_the_network_is_refused(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    folder = package(tmp_path / "p", network(), **changes)
    with pytest.raises(UnusableModel, match=reason):
        family(folder)


def test_a_tensor_too_many_is_refused(tmp_path: Path) -> None:
    net = network()
    net.register_buffer("backdoor", torch.zeros(3))
    with pytest.raises(UnusableModel, match=r"backdoor has shape \(3,\), not none"):
        family(package(tmp_path / "p", net))


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    package(folder, torch.nn.Linear(2, 2))  # type: ignore[arg-type]
    with pytest.raises(UnusableModel, match=r"mapping\.fc0\.weight' is missing"):
        family(folder)
