"""The benchmark's package: made, brought in as medigan's are, and equal to its formula."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks import medigan_slider
from torch.nn import functional as F

from napari_medsyn.models.families import load_family
from napari_medsyn.models.isolated.family import IsolatedFamily
from napari_medsyn.models.latents import latent
from napari_medsyn.registry.consent import give_consent
from napari_medsyn.registry.importers.medigan import import_registry
from napari_medsyn.registry.packages import verify
from napari_medsyn.scans.pictures import to_picture

WIDTH, SIZE = 2, 10
ID = "00000_DCGAN"


def by_formula(weights: Path, z: torch.Tensor) -> np.ndarray:
    """The same network from functions: Radford et al. 2016, transposed convolutions."""
    w = torch.load(weights, weights_only=True)  # noqa: TID251 - what the package brings
    x = z.reshape(1, -1, 1, 1)
    for step in range(5):
        stride, padding = (2, 1) if step else (1, 0)
        x = F.conv_transpose2d(x, w[f"layers.{3 * step}.weight"], None, stride, padding)
        place = f"layers.{3 * step + 1}"
        names = ("running_mean", "running_var", "weight", "bias")
        x = F.batch_norm(x, *(w[f"{place}.{name}"] for name in names)).relu()
    x = torch.tanh(F.conv_transpose2d(x, w["layers.15.weight"], w["layers.15.bias"], 2, 1))
    return np.round(127.5 * (x[0, 0].numpy() + 1))


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The package as medigan has it, imported, trusted and loaded."""
    folder = tmp_path_factory.mktemp("slider")
    medigan_slider.make_package(folder / "made", WIDTH, SIZE)
    shutil.copytree(folder / "made" / "code", folder / ID)
    entry = {
        "execution": {
            "package_name": ID, "package_link": "https://zenodo.org/record/0/files/x.zip",
            "model_name": "weights", "extension": ".pt", "image_size": [128, 128],
            "dependencies": ["numpy", "torch"],
            "generate_method": {
                "name": "generate", "args": {"custom": {}}, "input_latent_vector_size": SIZE,
            },
        },
        "selection": {"modality": ["MMG"], "dataset": ["none"], "license": "MIT", "year": 2026},
        "description": {"title": "A DCGAN", "version": "1.0", "doi": []},
    }  # fmt: skip
    (folder / "global.json").write_text(json.dumps({ID: entry}))
    import_registry(folder / "global.json", folder / "out", packages=[folder / ID])
    (package,) = (folder / "out").iterdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDSYN_HOME", str(folder / "home"))
        patch.setenv("OMP_NUM_THREADS", "1")
        card = verify(package)
        give_consent(package, card)
        family = load_family(package, card, "cpu")
        yield family, folder / ID / "weights.pt"
        family.close()  # type: ignore[attr-defined]


def test_its_networks_stay_in_memory(imported: tuple[IsolatedFamily, Path]) -> None:
    family, _ = imported

    assert family.is_resident
    assert not [note for note in family.notes if "memory" in note]


@pytest.mark.parametrize("moved", [0.0, 2.0])
def test_pictures_equal_the_formula(imported: tuple[IsolatedFamily, Path], moved: float) -> None:
    family, weights = imported
    offsets = (0.0,) * (SIZE - 1) + (moved,)

    given = family.draw([{"seed": 4, "latent": offsets}])[0]["MG"]

    expected = by_formula(weights, latent(4, SIZE, offsets))
    assert expected.std() > 1
    # One grey value: rounding may fall either way.
    np.testing.assert_allclose(to_picture(given) * 255, expected, atol=1.01)


def test_ratios_are_those_of_each_turn() -> None:
    """One turn in which the machine was busy changes none of them."""
    row = medigan_slider._summary(
        {"bare": [0.1, 1.0, 0.1], "slider": [0.11, 1.1, 0.11], "generate": [0.3, 3.0, 0.3]}
    )

    assert row["slider / bare"] == pytest.approx(1.1)
    assert row["reload / bare"] == pytest.approx(3.0)
    assert row["overhead ms"] == pytest.approx(10)
