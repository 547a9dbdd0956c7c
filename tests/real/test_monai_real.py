"""The real MedNIST GAN bundle, and the metadata of three more (`../shared/reference`)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.models.monai._bundles import write_slices

from napari_medsyn.exploration.engines.in_process import InProcessEngine
from napari_medsyn.exploration.session import Session
from napari_medsyn.models.families import load_family
from napari_medsyn.models.monai.gan import MonaiGAN
from napari_medsyn.models.monai.importing import import_bundle
from napari_medsyn.registry.card import ModelCard, read_card
from napari_medsyn.registry.catalogue import Catalogue
from napari_medsyn.registry.packages import verify
from napari_medsyn.scans.pictures import to_picture

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def bundles(shared: Path) -> Path:
    folder = shared / "reference" / "monai_bundle"
    if not folder.is_dir():
        pytest.skip(f"no bundles in {folder}")
    return folder


@pytest.fixture(scope="module")
def package(bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("user") / "hands"
    import_bundle(bundles / "mednist_gan", out, model_id="hands")
    return out


def loaded(package: Path) -> MonaiGAN:
    family = load_family(package, read_card(package), "cpu")
    assert isinstance(family, MonaiGAN)
    return family


@pytest.fixture(scope="module")
def reference(bundles: Path) -> dict[str, Any]:
    with np.load(bundles / "mednist_gan_io.npz") as arrays:
        return dict(arrays)


def test_the_card_is_that_of_the_bundle(package: Path) -> None:
    card = verify(package)
    assert (card.name, card.version, card.licence) == ("MedNIST GAN", "0.4.2", "Apache-2.0")
    assert (card.grid.shape, card.family) == ((64, 64, 1), "monai-gan")
    latent = card.controls[0]
    assert latent.kind == "latent"
    assert len(latent.directions) == 64
    assert (package / "data_license.txt").is_file()


def test_outputs_equal_the_published_ones(package: Path, reference: dict[str, Any]) -> None:
    with torch.inference_mode():
        ours = loaded(package).outputs(torch.from_numpy(reference["z"]))
    assert ours.shape == reference["image"].shape == (4, 1, 64, 64)
    np.testing.assert_allclose(ours.numpy(), reference["image"], atol=1e-4, rtol=0)


def test_the_reference_serves_as_golden_output(
    bundles: Path, tmp_path: Path, reference: dict[str, Any]
) -> None:
    shutil.copytree(bundles / "mednist_gan", tmp_path / "bundle")
    for path in [tmp_path / "bundle", *(tmp_path / "bundle").rglob("*")]:
        path.chmod(0o755)
    np.savez(tmp_path / "bundle" / "golden.npz", **reference)
    notes = import_bundle(tmp_path / "bundle", tmp_path / "package")
    assert any("equals the original's golden output" in note for note in notes)


def test_hands_stand_upright(package: Path) -> None:
    drawn = loaded(package).draw([{"seed": seed} for seed in range(8)])
    mean = np.mean([to_picture(images["XR"]) for images in drawn], axis=0)
    # Every wrist is at the middle of the lower edge, and no other edge is bright.
    assert mean[-6:, 24:40].mean() > 0.5
    assert max(mean[:6].mean(), mean[:, :6].mean(), mean[:, -6:].mean()) < 0.25


def test_a_session_draws_a_hand(package: Path) -> None:
    session = Session(InProcessEngine(), Catalogue([(package.parent, "user")]))
    session.choose_model("hands")
    session.set_control("seed", 3)
    session.set_control("latent", tuple([0.2] + [0.0] * 63))
    session.impute()
    assert session.failure is None
    assert session.results is not None
    ours = session.results.arrays["generated_XR"]
    offsets = (0.2, *[0.0] * 63)
    expected = loaded(package).draw([{"seed": 3, "latent": offsets}])[0]["XR"]
    np.testing.assert_allclose(ours, expected, atol=1e-6)
    session.close()


@pytest.mark.parametrize(
    ("name", "spacing", "patients"),
    [
        ("brats_mri_axial_slices_generative_diffusion", (1.0, 1.0, 1.0), None),
        ("brats_mri_generative_diffusion", (1.1, 1.1, 1.1), 388),
    ],
)
def test_real_metadata_makes_a_card(
    bundles: Path, tmp_path: Path, name: str, spacing: tuple[float, ...], patients: int | None
) -> None:
    # Small networks of our own; the metadata is the real one.
    bundle = write_slices(tmp_path / name)
    shutil.copy(bundles / name / "configs" / "metadata.json", bundle / "configs")
    import_bundle(bundle, tmp_path / "package", licence="Apache-2.0")
    card: ModelCard = verify(tmp_path / "package")
    assert card.outputs == ("FLAIR",)
    assert (card.grid.spacing_mm, card.version) == (spacing, "1.1.2")
    assert card.training_data[0].n == patients
    assert card.architecture["scheduler"]["spacing"] == "leading"


def test_maisi_is_listed(bundles: Path, tmp_path: Path) -> None:
    notes = import_bundle(bundles / "maisi_ct_generative", tmp_path / "maisi")
    card = verify(tmp_path / "maisi")
    assert card.execution == "none"
    assert "NCLS" in card.why_not_run
    assert card.version == "0.4.5"
    assert notes
    assert json.loads((tmp_path / "maisi" / "card.json").read_text())["requires"]["gpu"] is True
