"""The cards of imported bundles."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.registry.importers._monai_configs import (
    BRAIN,
    BRAIN_METADATA,
    GAN,
    GAN_METADATA,
    HANDS,
    HANDS_METADATA,
)
from tests.registry.importers.test_monai_bundle import put

from napari_medsyn.registry.card import ModelCard, parse_card
from napari_medsyn.registry.importers.monai_bundle import MAISI, read_bundle
from napari_medsyn.registry.importers.monai_bundle_card import Made, card_fields, orientation_of
from napari_medsyn.registry.importers.monai_bundle_description import Bundle

FILE = {"name": "weights.safetensors", "bytes": 1, "sha256": "0" * 64}


def made(bundle: Bundle, shape: tuple[int, int, int]) -> Made:
    arguments = {kind: network.arguments for kind, network in bundle.networks.items()}
    return Made(arguments, shape, 567_000_000, 11.07)


def card_of(
    bundle: Bundle, shape: tuple[int, int, int], **options: Any
) -> tuple[ModelCard, list[str]]:
    fields, notes = card_fields(
        bundle, made(bundle, shape), **{"model_id": None, "licence": None, **options}
    )
    return parse_card(json.dumps({**fields, "files": [FILE]})), notes


@pytest.fixture
def brain(tmp_path: Path) -> Bundle:
    folder = tmp_path / "Brain_LDM v1"
    folder.mkdir()
    names = ("autoencoder.pth", "diffusion_model.pth")
    return read_bundle(put(folder, BRAIN, BRAIN_METADATA, *names))


def test_the_brain_has_four_covariates_steps_and_a_seed(brain: Bundle) -> None:
    card, _ = card_of(brain, (8, 16, 8))
    controls = {control.name: control for control in card.controls}
    assert list(controls) == ["sex", "age", "ventricular_vol", "brain_vol", "steps", "seed"]
    sex = controls["sex"]
    assert sex.kind == "categorical"
    # The bundle does not say which is which, so neither does the card.
    assert [(c.value, c.label) for c in sex.categories] == [(0, "0"), (1, "1")]
    assert sex.default == 0
    volume = controls["ventricular_vol"]
    assert volume.kind == "continuous"
    assert volume.label == "Ventricular volume (normalised)"
    assert (volume.minimum, volume.maximum, volume.default) == (0.0, 1.0, 0.2)
    assert volume.support == (0.0, 1.0)
    steps = controls["steps"]
    assert steps.kind == "integer"
    assert (steps.minimum, steps.maximum, steps.default) == (5, 50, 6)
    assert not any(control.live for control in card.controls)


def test_the_card_says_what_the_metadata_says(brain: Bundle) -> None:
    card, notes = card_of(brain, (8, 16, 8), licence="Apache-2.0")
    assert card.id == "brain_ldm-v1"
    assert (card.family, card.purpose, card.outputs) == ("monai-diffusion", "conditional", ("T1",))
    assert (card.grid.dim, card.grid.spacing_mm) == ("3D", (1.0, 1.0, 1.0))
    assert card.authors == ("Ada Example", "Ben Example", "Cy Example")
    assert card.training_data[0].n == 31_740
    assert [(m.name, m.value, m.direction) for m in card.metrics] == [("FID", 0.0076, "lower")]
    assert card.licence == "Apache-2.0"
    assert card.requires.extra == "monai"
    assert card.requires.memory_gb == 11.1
    assert card.requires.note == "567 million weights; without a GPU an image takes minutes"
    assert card.architecture["covariates"] == ["sex", "age", "ventricular_vol", "brain_vol"]
    assert card.architecture["orientation"] == "LAS"
    assert notes == ["Metrics without a known direction were left out: msssim."]


def test_a_generator_has_a_slider_for_every_number_of_its_latent(tmp_path: Path) -> None:
    card, notes = card_of(read_bundle(put(tmp_path, GAN, GAN_METADATA, "model.pt")), (8, 8, 1))
    latent, seed = card.controls
    assert latent.kind == "latent"
    assert len(latent.directions) == 6
    assert (latent.minimum, latent.maximum) == (-1.0, 1.0)
    assert seed.live
    assert (card.grid.dim, card.outputs, card.inputs) == ("2D", ("XR",), ())
    assert card.architecture["prior"] == "uniform"
    assert card.architecture["sigmoid"] is True
    assert any("how large a voxel is" in note for note in notes)
    assert any("licence" in note for note in notes)
    assert card.licence == "NOASSERTION"


def test_a_ddpm_offers_all_its_steps(tmp_path: Path) -> None:
    config = {**HANDS, "num_train_timesteps": 1000}
    card, _ = card_of(read_bundle(put(tmp_path, config, HANDS_METADATA, "model.pt")), (8, 8, 1))
    steps = next(control for control in card.controls if control.kind == "integer")
    assert (steps.minimum, steps.maximum, steps.default) == (5, 1000, 50)
    assert "DDIM" in steps.help
    assert any("uniform noise" in limit for limit in card.limitations)


@pytest.mark.parametrize(
    ("text", "spdx"),
    [
        ("\n                Apache License\n           Version 2.0, January 2004\n", "Apache-2.0"),
        ("MIT License\n\nCopyright", "MIT"),
        ("All rights reserved", "NOASSERTION"),
    ],
)
def test_the_licence_is_read_from_its_text(tmp_path: Path, text: str, spdx: str) -> None:
    put(tmp_path, GAN, GAN_METADATA, "model.pt")
    (tmp_path / "LICENSE").write_text(text)
    card, _ = card_of(read_bundle(tmp_path), (8, 8, 1))
    assert card.licence == spdx


def test_maisi_is_a_card_that_nothing_runs(tmp_path: Path) -> None:
    bundle = Bundle(tmp_path, tmp_path / "x", {"task": "CT image synthesis"}, listed=MAISI)
    fields, _ = card_fields(bundle, None, model_id="maisi", licence=None)
    card = parse_card(json.dumps({**fields, "files": []}))
    assert card.execution == "none"
    assert "58 GB" in card.why_not_run
    assert card.requires.gpu
    assert card.licence == "LicenseRef-NCLS-v1"


def test_an_unknown_bundle_says_that_left_and_right_are_assumed(brain: Bundle) -> None:
    other = replace(brain, metadata={**BRAIN_METADATA, "task": "Other", "version": "one"})
    card, notes = card_of(other, (8, 16, 8))
    assert orientation_of(other) == "RAS"
    assert any("Compare left and right" in note for note in notes)
    assert card.version == "0"
    assert any("version" in note for note in notes)
    pictures = replace(other, metadata={"data_type": "jpeg"})
    assert orientation_of(pictures) == "LPS"


@pytest.mark.parametrize(
    ("words", "spacing"),
    [
        ("with 1.1x1.1x1.1 mm voxel size", (1.1, 1.1, 1.1)),
        ("axial slices with 1x0.5 mm pixels", (1.0, 0.5, 1.0)),
        ("with 0x0 mm", None),
        ("of somebody", None),
    ],
)
def test_the_voxel_size_is_read_from_words(
    brain: Bundle, words: str, spacing: tuple[float, ...] | None
) -> None:
    card, _ = card_of(replace(brain, metadata={"image_classes": words}), (8, 16, 8))
    assert card.grid.spacing_mm == spacing


def test_metadata_of_the_wrong_kind_does_no_harm(brain: Bundle) -> None:
    strange = {
        "name": ["a"],
        "task": 3,
        "authors": {"a": 1},
        "eval_metrics": [1],
        "network_data_format": {"inputs": 1, "outputs": {"pred": 2}},
        "supported_apps": 5,
    }
    card, _ = card_of(replace(brain, metadata=strange), (8, 16, 8))
    assert card.authors == ("not stated",)
    assert card.controls[1].label == "Age (normalised)"
