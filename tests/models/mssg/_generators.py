"""A generator made by hand, whose covariates do what their names say; on the real grid.

The style is the label vector and three numbers of z, nearly: w[2] widens the ventricles, w[0]
darkens the brain, w[5] and w[6] bend it, w[7] shades it.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from tests._fakes import card_values
from torch import Tensor

from napari_medsyn.models.families import load_family
from napari_medsyn.models.mssg.family import MSSGFamily
from napari_medsyn.models.mssg.generator import MultiSourceGenerator, Sizes
from napari_medsyn.models.mssg.inversion import Patient
from napari_medsyn.models.mssg.lattice import LATTICE, SHAPE, fit_controls
from napari_medsyn.registry.building import build_package
from napari_medsyn.registry.card import read_card
from napari_medsyn.scans.geometry import Grid
from napari_medsyn.scans.preparation import PreparedStudy
from napari_medsyn.scans.preparation.intensity import IntensityScale

Z, W, CENTRE = 4, 8, (40.0, 50.0, 42.0)
#: Bias of the mapping's layer, which keeps it where leaky ReLU is linear.
LEVEL = 4.0

#: A complete set of covariates, as controls have them.
PERSON: dict[str, Any] = {
    "age": 50.0, "sex": "F", "ventricles": 20.0, "lesions": 0.0, "cohort": "ixi",
}  # fmt: skip
CONTROLS: list[dict[str, Any]] = [
    {"kind": "continuous", "name": "age", "label": "Age", "minimum": 20, "maximum": 80,
     "step": 1, "default": 50, "unknown": True},
    {"kind": "categorical", "name": "sex", "label": "Sex", "default": "F", "unknown": True,
     "categories": [{"value": "F", "label": "female"}, {"value": "M", "label": "male"}]},
    {"kind": "continuous", "name": "ventricles", "label": "Ventricles", "minimum": 5,
     "maximum": 80, "step": 0.1, "default": 20, "unknown": True},
    {"kind": "continuous", "name": "lesions", "label": "Lesions", "minimum": 0,
     "maximum": 60, "step": 0.1, "default": 0, "unknown": True},
    {"kind": "categorical", "name": "cohort", "label": "Cohort", "default": "ixi",
     "categories": [{"value": "ixi", "label": "IXI"}, {"value": "ms", "label": "MS"}]},
    {"kind": "latent", "name": "directions", "label": "Directions", "directions": ["a", "b"]},
    {"kind": "seed", "name": "seed", "label": "Seed"},
]  # fmt: skip


def radius(shape: tuple[int, int, int], radii: tuple[float, float, float]) -> Tensor:
    """(*shape) distance from the brain's centre in units of `radii` (2 mm voxels)."""
    axes = [
        (torch.linspace(0, n - 1, m) - c) / r
        for n, m, c, r in zip(SHAPE, shape, CENTRE, radii, strict=True)
    ]
    x, y, z = torch.meshgrid(*axes, indexing="ij")
    return (x**2 + y**2 + z**2).sqrt()


def towards_centre(width: float) -> Tensor:
    """(3, *LATTICE) a field towards the centre, about a voxel long at `width` from it."""
    axes = [torch.linspace(0, n - 1, m) - c for n, m, c in zip(SHAPE, LATTICE, CENTRE, strict=True)]
    away = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    return -away / width * torch.exp(-(away.square().sum(0) / (2 * width**2) - 0.5))


def generator() -> MultiSourceGenerator:
    """The network; always the same."""
    torch.manual_seed(0)
    brain = radius(SHAPE, (30.0, 38.0, 30.0)) < 1
    net = MultiSourceGenerator(Sizes(Z, W, 1, 33, 2, 2, int(brain.sum())), directions=2)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        _fill_mapping(net)
        _fill_head(net, brain)
    return net.eval().requires_grad_(False)


def _fill_mapping(net: MultiSourceGenerator) -> None:
    mapping = net.mapping
    mapping.embed.weight[:5] = torch.eye(5) * 5**0.5
    mapping.embed.bias[5:] = 4.0  # so that normalising changes little
    layer = mapping.fc0
    layer.bias.fill_(LEVEL / 0.1)
    for row in range(5):
        layer.weight[row, Z + row] = 12**0.5 / 0.1
    for row in range(3):
        layer.weight[5 + row, row] = 12**0.5 / 0.1
    mapping.w_avg.fill_(LEVEL * 2**0.5)
    net.directions[0, 2] = 0.5
    net.directions[1, 0] = 0.5
    shape, appearance = net.affines[0], net.affines[4]
    for coefficient, number in enumerate((2, 5, 6)):
        shape.weight[coefficient, number] = 1.0
        shape.bias[coefficient] = -LEVEL * 2**0.5
    for coefficient, number in enumerate((0, 7)):
        appearance.weight[coefficient, number] = 1.0
        appearance.bias[coefficient] = -LEVEL * 2**0.5


def _fill_head(net: MultiSourceGenerator, brain: Tensor) -> None:
    head = net.head
    depth = radius(SHAPE, (30.0, 38.0, 30.0))
    inner = torch.sigmoid((0.85 - depth) * 30)
    hole = torch.sigmoid((1 - radius(SHAPE, (8.0, 14.0, 8.0))) * 6)
    x, y, z = torch.meshgrid(*[torch.arange(n) for n in SHAPE], indexing="ij")
    texture = 0.1 * torch.cos(x / 3) * torch.cos(y / 4) * torch.cos(z / 3.5)
    head.brain.copy_(brain)
    white = inner * (1 - hole)
    head.t1[0] = (0.5 + 0.35 * white - 0.35 * hole + texture)[brain]
    head.flair[0] = (0.6 - 0.1 * white - 0.4 * hole)[brain]
    head.white.copy_(white[brain])
    head.ventricle.copy_(hole[brain])
    head.edge.fill_(1.0)
    fields = [towards_centre(9.0), torch.zeros(3, *LATTICE), torch.zeros(3, *LATTICE)]
    fields[1][1] = 2 * torch.exp(-(radius(LATTICE, (14.0, 14.0, 14.0)) ** 2))
    fields[2][0] = 2 * torch.exp(-(radius(LATTICE, (9.0, 20.0, 12.0)) ** 2))
    head.shape_basis[:3] = fit_controls(torch.stack(fields))
    head.appearance_basis[0] = -0.05 * head.white
    head.appearance_basis[1] = 0.05 * torch.cos(y / 12)[brain]
    head.lesion_mean.copy_(-4 * (radius(LATTICE, (20.0, 26.0, 16.0)) - 0.6).abs())
    head.lesion_contrast.copy_(torch.tensor([-0.25, 0.35]))


def label_model() -> dict[str, Any]:
    """JSON of a label model: ventricles 20 ml and lesions 7 ml in the middle, little known."""
    names = ("age", "sex", "ventricles", "lesions")
    sets = ["+".join(sorted(c)) for n in range(1, 5) for c in combinations(names, n)]
    spread = {who: {name: [-9.0, -3.0] for name in sets} for who in ("ixi", "ms", "any")}

    def source(name: str, volume: dict[str, Any]) -> dict[str, Any]:
        mixture = {
            "weights": [1.0],
            "means": [[0.0, 0.0]],
            "sex_shifts": [[0.0, 0.0]],
            "covariances": [[[0.3, 0.1], [0.1, 1.0]]],
        }
        return {
            "name": name,
            "people": 50,
            "age": {"low": 20.0, "high": 80.0, "alpha": 1.2, "beta": 1.2},
            "sex": {"intercept": 0.0, "slope": 0.0},
            "volumes": [volume],
            "given_age": True,
            "mixture": mixture,
        }

    ventricles = {"name": "ventricles", "transform": "log", "centre": 3.0, "scale": 0.5,
                  "low": 8.0, "high": 60.0}  # fmt: skip
    lesions = {"name": "lesions", "transform": "log1p", "centre": 2.0, "scale": 1.0,
               "low": 0.5, "high": 50.0}  # fmt: skip
    return {
        "schema_version": 1,
        "age": {"low": 20.0, "high": 80.0},
        "sources": [source("ixi", ventricles), source("ms", lesions)],
        "support": {"levels": [0.0, 100.0], "quantiles": spread},
    }


def package(folder: Path, tensors: dict[str, Tensor] | None = None, **changes: Any) -> Path:
    """A package of the generator; `tensors` in the place of its own."""
    fields = card_values(
        family="mssg",
        task="counterfactual",
        inputs=["T1"],
        outputs=["T1", "FLAIR"],
        min_inputs=0,
        grid={"shape": list(SHAPE), "spacing_mm": [2.0, 2.0, 2.0],
              "origin_mm": [-80.0, -116.0, -72.0], "space": "MNI152", "dim": "3D"},
        controls=CONTROLS,
        covariates=list(PERSON),
        label_model=label_model(),
        architecture={},
    )  # fmt: skip
    tensors = dict(generator().state_dict()) if tensors is None else tensors
    content = save({name: tensor.contiguous() for name, tensor in tensors.items()})
    build_package(folder, {**fields, **changes}, {"weights.safetensors": content})
    return folder


def family(folder: Path) -> MSSGFamily:
    """The package, loaded."""
    loaded = load_family(folder, read_card(folder), "cpu")
    assert isinstance(loaded, MSSGFamily)
    return loaded


def made_person(net: MultiSourceGenerator, z: Tensor, labels: Tensor) -> NDArray[np.float32]:
    """(*SHAPE) T1 of a person of a latent and labels."""
    with torch.no_grad():
        made = net.head.compose(net.coefficients(net.style(z, labels)), torch.zeros(len(z)))
        return net.head.images(made, range(SHAPE[2]))[0, 0].numpy()


def study(t1: NDArray[np.float32], content: str = "somebody") -> PreparedStudy:
    """A prepared study of a T1 that lies on the generator's grid already."""
    mask = t1 > 0.02
    grid = Grid(SHAPE, np.diag([2.0, 2.0, 2.0, 1.0]))
    return PreparedStudy(
        volumes={"T1": t1 * mask},
        mask=mask,
        grid=grid,
        reference=grid,
        reference_mask=mask,
        to_model=np.eye(4),
        scales={"T1": IntensityScale(0.0, 1.0)},
        reference_volumes={"T1": t1},
        steps=(),
        notes=(),
        content_hash=content,
    )


def patient(t1: NDArray[np.float32]) -> Patient:
    """A patient whose T1 lies on the generator's grid."""
    return Patient.from_study(study(t1), torch.device("cpu"))
