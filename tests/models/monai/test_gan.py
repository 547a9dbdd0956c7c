"""An imported generator gives what MONAI's gives, and every number of its latent is reachable."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.models.monai._bundles import network, plain
from tests.registry.importers._monai_configs import GAN

from napari_medsyn.errors import UnusableModel
from napari_medsyn.exploration.engines.in_process import InProcessEngine
from napari_medsyn.exploration.session import Session
from napari_medsyn.models.families import load_family
from napari_medsyn.models.monai.gan import MonaiGAN
from napari_medsyn.registry.card import read_card
from napari_medsyn.registry.catalogue import Catalogue
from napari_medsyn.scans.pictures import to_picture


def loaded(package: Path) -> MonaiGAN:
    family = load_family(package, read_card(package), "cpu")
    assert isinstance(family, MonaiGAN)
    return family


@torch.no_grad()
def picture_of(z: torch.Tensor) -> np.ndarray[Any, Any]:
    """What MONAI's generator and the sigmoid make of a latent, as MONAI saves pictures."""
    net = network(plain(GAN, "network_def"), 3)
    return net(z[None]).sigmoid()[0, 0].numpy().T


def test_it_draws_what_monais_generator_draws(gan_package: Path) -> None:
    z = torch.rand(6, generator=torch.Generator().manual_seed(5))
    drawn = loaded(gan_package).draw([{"seed": 5, "latent": ()}])[0]["XR"]
    assert drawn.shape == (8, 8, 1)
    np.testing.assert_allclose(to_picture(drawn), picture_of(z), atol=1e-5, rtol=0)


def test_every_number_of_the_latent_is_reachable(gan_package: Path) -> None:
    family = loaded(gan_package)
    z = torch.rand(6, generator=torch.Generator().manual_seed(5))
    for place in range(6):
        offsets = [0.0] * 6
        offsets[place] = 0.25
        moved = z.clone()
        moved[place] = min(1.0, float(moved[place]) + 0.25)
        drawn = family.draw([{"seed": 5, "latent": tuple(offsets)}])[0]["XR"]
        np.testing.assert_allclose(to_picture(drawn), picture_of(moved), atol=1e-5, rtol=0)


def test_several_are_drawn_in_one_batch(gan_package: Path) -> None:
    family = loaded(gan_package)
    both = family.draw([{"seed": 1}, {"seed": 2}])
    one = family.draw([{"seed": 2}])[0]
    np.testing.assert_allclose(both[1]["XR"], one["XR"], atol=1e-6, rtol=0)
    assert not np.array_equal(both[0]["XR"], both[1]["XR"])


def changed(package: Path, folder: Path, **changes: Any) -> Path:
    shutil.copytree(package, folder)
    card = json.loads((folder / "card.json").read_text())
    card["architecture"] |= changes
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def test_without_a_sigmoid_the_range_is_brought_to_0_to_1(
    gan_package: Path, tmp_path: Path
) -> None:
    package = changed(gan_package, tmp_path / "p", sigmoid=False, output_range=[-2.0, 2.0])
    z = torch.rand(6, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        raw = network(plain(GAN, "network_def"), 3)(z[None])[0, 0].numpy()
    drawn = loaded(package).draw([{"seed": 5}])[0]["XR"]
    expected = np.clip((raw.T + 2) / 4, 0, 1)
    np.testing.assert_allclose(to_picture(drawn), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"generator": None}, "describes no generator"),
        ({"orientation": "no"}, "three letters"),
        ({"output_range": [1, 1]}, "does not rise"),
        ({"generator": {"_target_": "os.system"}}, "latent_shape is missing"),
        ({"generator": {**plain(GAN, "network_def"), "strides": [2, 1, 1]}}, "makes .* the card"),
        ({"generator": {**plain(GAN, "network_def"), "latent_shape": 7}}, "has the shape"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(
    gan_package: Path, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UnusableModel, match=reason):
        loaded(changed(gan_package, tmp_path / "p", **changes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"directions": [f"z{n}" for n in range(7)]}, "at most 6 directions"),
        ({"kind": "boolean"}, "must be of kind latent"),
    ],
)
def test_sliders_without_a_number_to_move_are_refused(
    gan_package: Path, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    package = changed(gan_package, tmp_path / "p")
    card = json.loads((package / "card.json").read_text())
    card["controls"] = [{"kind": "latent", "name": "latent", "label": "Latent", **changes}]
    (package / "card.json").write_text(json.dumps(card))
    with pytest.raises(UnusableModel, match=reason):
        loaded(package)


def test_a_session_runs_it(gan_package: Path) -> None:
    session = Session(InProcessEngine(), Catalogue([(gan_package.parent, "user")]))
    session.choose_model("bundle")
    session.set_control("seed", 5)
    session.set_control("latent", (0.0, 0.25, 0.0, 0.0, 0.0, 0.0))
    session.impute()
    results = session.results
    assert session.failure is None
    assert results is not None
    z = torch.rand(6, generator=torch.Generator().manual_seed(5))
    z[1] = min(1.0, float(z[1]) + 0.25)
    shown = to_picture(np.asarray(results.arrays["generated_XR"]))
    np.testing.assert_allclose(shown, picture_of(z), atol=1e-5, rtol=0)
    assert results.provenance["seed"] == 5
    session.close()
