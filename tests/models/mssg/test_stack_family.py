"""MSSG-mini packages, loaded and drawn from slice by slice."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save
from tests._fakes import card_values

from napari_medsyn.errors import UnusableModel
from napari_medsyn.models.families import load_family
from napari_medsyn.models.family import Region
from napari_medsyn.models.latents import latent
from napari_medsyn.models.mssg.labels import LabelModel
from napari_medsyn.models.mssg.stack import LABELS, positions, stack
from napari_medsyn.models.mssg.stack_family import TOGETHER, StackFamily
from napari_medsyn.models.stylegan2.network import Generator, Layout
from napari_medsyn.registry.building import build_package
from napari_medsyn.registry.card import read_card

LAYOUT = Layout(z=4, c=LABELS, w=6, channels=1, layers=2, features=(6, 5), rate=0.1)
SLICES = 30
VALUES = {"age": 50.0, "sex": "F", "ventricles": 20.0, "lesions": 5.0, "cohort": "ms", "seed": 4}


@pytest.fixture(scope="module")
def labels() -> LabelModel:
    rng = np.random.default_rng(0)
    people = []
    for name, volume in (("ixi", "ventricles"), ("ms", "lesions")):
        age = rng.uniform(20, 80, 12)
        recorded = {
            "age": age,
            "sex": rng.integers(0, 2, 12).astype(float),
            volume: np.exp(1 + age / 40 + rng.normal(0, 0.3, 12)),
        }
        people.append(SimpleNamespace(name=name, labels=recorded))
    return LabelModel.fit(people)


def network(layout: Layout = LAYOUT) -> Generator:
    torch.manual_seed(0)
    return Generator(layout).eval()


def package(folder: Path, labels: LabelModel, net: Generator, **changes: Any) -> Path:
    fields = card_values(
        family="mssg-stack",
        inputs=[],
        outputs=["T1"],
        min_inputs=0,
        grid={"shape": [8, 8, SLICES], "space": "MNI152", "dim": "2D axial"},
        controls=[{"kind": "seed", "name": "seed", "label": "Seed"}],
        architecture={"mapping_rate": 0.1},
        label_model=labels.to_json(),
    )
    content = {"weights.safetensors": save(dict(net.state_dict()))}
    build_package(folder, {**fields, **changes}, content)
    return folder


def family(folder: Path) -> StackFamily:
    loaded = load_family(folder, read_card(folder), "cpu")
    assert isinstance(loaded, StackFamily)
    return loaded


def test_slices_are_those_of_the_network(tmp_path: Path, labels: LabelModel) -> None:
    net = network()
    made = family(package(tmp_path / "p", labels, net))
    rendered = made.render(None, {**VALUES, "truncation": 0.7}, Region((3, 20)))

    encoded = torch.tensor(np.asarray(labels.encode(VALUES), np.float32))
    where = positions(torch.tensor([3.0, 20.0]), SLICES)
    expected = stack(net, latent(4, 4), encoded, where, 0.7).permute(1, 2, 0).numpy()
    image = rendered.mean["T1"]
    assert image.shape == (8, 8, 2)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, expected, atol=1e-6)


def test_only_the_slices_of_the_region_are_drawn(tmp_path: Path, labels: LabelModel) -> None:
    made = family(package(tmp_path / "p", labels, network()))
    counts: list[int] = []
    made.net.synthesis.register_forward_hook(lambda _, given, __: counts.append(len(given[0])))
    made.render(None, VALUES, Region((3, 20)))
    assert counts == [2]


def test_what_is_on_screen_comes_first_and_everything_comes_once(
    tmp_path: Path, labels: LabelModel
) -> None:
    made = family(package(tmp_path / "p", labels, network()))
    regions = made.plan([12], range(SLICES), VALUES)
    assert regions[0].slices == (12,)
    assert sorted(k for region in regions for k in region.slices) == list(range(SLICES))
    assert max(len(region.slices) for region in regions) == TOGETHER
    assert set(regions[1].slices[:2]) == {11, 13}


def test_what_is_not_known_is_drawn_by_the_seed(tmp_path: Path, labels: LabelModel) -> None:
    made = family(package(tmp_path / "p", labels, network()))
    unknown = {**VALUES, "lesions": None, "ventricles": None}

    def drawn(values: dict[str, Any]) -> Any:
        return made.render(None, values, Region((9,))).mean["T1"]

    np.testing.assert_array_equal(drawn(unknown), drawn(unknown))
    completed = labels.complete(unknown, np.random.default_rng(4))
    np.testing.assert_array_equal(drawn(unknown), drawn({**VALUES, **completed}))
    assert np.abs(drawn(unknown) - drawn(VALUES)).max() > 1e-5


def broken(net: Generator) -> Generator:
    with torch.no_grad():
        net.synthesis.get_parameter("b4.const")[0, 0, 0] = float("nan")
    return net


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"grid": {"shape": [16, 16, 30], "space": "MNI152", "dim": "2D axial"}}, "8 × 8"),
        ({"inputs": ["T1"], "min_inputs": 1}, "reads no scan"),
        ({"outputs": ["T1", "T2"]}, "2 outputs"),
        ({"label_model": None}, "label model cannot be used"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(
    tmp_path: Path, labels: LabelModel, changes: dict[str, Any], reason: str
) -> None:
    folder = package(tmp_path / "p", labels, network(), **changes)
    with pytest.raises(UnusableModel, match=reason):
        family(folder)


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (network(Layout(z=4, c=3, w=6, channels=1, layers=2, features=(6, 5))), "3 labels"),
        (broken(network()), "not finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    tmp_path: Path, labels: LabelModel, net: Generator, reason: str
) -> None:
    with pytest.raises(UnusableModel, match=reason):
        family(package(tmp_path / "p", labels, net))


def test_a_tensor_too_many_is_named(tmp_path: Path, labels: LabelModel) -> None:
    net = network()
    net.synthesis.register_buffer("stranger", torch.zeros(1))
    with pytest.raises(UnusableModel, match=r"synthesis\.stranger"):
        family(package(tmp_path / "p", labels, net))
