"""What is taken from a bundle's configuration, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.registry.importers._monai_configs import (
    BRAIN,
    BRAIN_METADATA,
    BRAIN_UNET,
    GAN,
    GAN_METADATA,
    HANDS,
    HANDS_METADATA,
    SLICES,
    SLICES_METADATA,
)

from napari_medsyn.errors import UnusableFile
from napari_medsyn.registry.importers.monai_bundle import read_bundle
from napari_medsyn.registry.importers.monai_bundle_description import Bundle


def put(
    folder: Path, config: dict[str, Any] | None, metadata: dict[str, Any], *weights: str
) -> Path:
    """A bundle whose weights are nothing: they are found, and not opened."""
    for name in ("configs", "models"):
        (folder / name).mkdir()
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    if config is not None:
        (folder / "configs" / "inference.json").write_text(json.dumps(config))
    for name in weights:
        (folder / "models" / name).write_bytes(b"weights")
    return folder


def brain(folder: Path, **changes: Any) -> Bundle:
    names = ("autoencoder.pth", "diffusion_model.pth")
    return read_bundle(put(folder, {**BRAIN, **changes}, BRAIN_METADATA, *names))


def test_the_brain_bundle_is_understood(tmp_path: Path) -> None:
    read = brain(tmp_path)
    assert set(read.networks) == {"autoencoder", "unet"}
    assert read.networks["unet"].is_legacy
    assert read.networks["unet"].arguments["channels"] == [4, 8, 8]
    assert read.networks["unet"].weights.name == "diffusion_model.pth"
    assert (read.shape, read.noise) == ((3, 4, 8, 4), "normal")
    assert read.covariates == (
        ("gender", 0.0),
        ("age", 0.1),
        ("ventricular_vol", 0.2),
        ("brain_vol", 0.4),
    )
    sampling = read.sampling
    assert sampling is not None
    assert (sampling.sampler, sampling.spacing, sampling.steps) == ("ddim", "leading", 6)
    assert sampling.arguments["schedule"] == "scaled_linear_beta"
    assert read.listed == ""


def test_references_and_a_list_of_sizes_are_followed(tmp_path: Path) -> None:
    read = read_bundle(put(tmp_path, SLICES, SLICES_METADATA, "model.pt", "model_autoencoder.pt"))
    assert read.shape == (1, 8, 4)
    assert read.networks["autoencoder"].arguments["include_fc"] is False
    assert not read.networks["autoencoder"].is_legacy


@pytest.mark.parametrize(
    ("version", "spacing"), [("1.4.0", "leading"), ("1.5.2", "leading"), ("1.6.0", "even")]
)
def test_the_steps_are_those_of_the_monai_it_was_made_for(
    tmp_path: Path, version: str, spacing: str
) -> None:
    metadata = {**SLICES_METADATA, "monai_version": version}
    read = read_bundle(put(tmp_path, SLICES, metadata, "model.pt", "model_autoencoder.pt"))
    assert read.sampling is not None
    assert read.sampling.spacing == spacing


def test_pixels_and_uniform_noise_are_understood(tmp_path: Path) -> None:
    read = read_bundle(put(tmp_path, HANDS, HANDS_METADATA, "model.pt"))
    assert set(read.networks) == {"unet"}
    assert (read.shape, read.noise, read.covariates) == ((1, 8, 8), "uniform", ())
    assert read.sampling is not None
    assert (read.sampling.sampler, read.sampling.steps) == ("ddpm", 12)


def test_yaml_in_two_files_is_read_as_one(tmp_path: Path) -> None:
    put(tmp_path, None, HANDS_METADATA, "model.pt")
    common = {key: HANDS[key] for key in HANDS if key not in ("noise", "sample")}
    (tmp_path / "configs" / "common.yaml").write_text(json.dumps(common))
    (tmp_path / "configs" / "infer.yaml").write_text(
        "noise: $torch.rand(1,1,@image_dim,@image_dim)  # every time another\n"
    )
    assert read_bundle(tmp_path).shape == (1, 8, 8)


def test_a_generator_is_understood(tmp_path: Path) -> None:
    read = read_bundle(put(tmp_path, GAN, GAN_METADATA, "model.pt"))
    assert set(read.networks) == {"generator"}
    assert (read.shape, read.noise, read.sigmoid, read.notes) == ((6,), "uniform", True, ())


def test_a_prior_that_is_not_said_is_noted(tmp_path: Path) -> None:
    config = {**GAN, "dataset": {"data": "$something_else()"}, "postprocessing": {}}
    read = read_bundle(put(tmp_path, config, GAN_METADATA, "model.pt"))
    assert (read.noise, read.sigmoid) == ("normal", False)
    assert "does not say plainly what its latent is drawn from" in read.notes[0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"diffusion_def": {**BRAIN_UNET, "_target_": "os.system"}}, "'os.system' is not one of"),
        (
            {"diffusion_def": {**BRAIN_UNET, "_target_": "evil.DiffusionModelUNet"}},
            "is not one of",
        ),
        ({"diffusion_def": {**BRAIN_UNET, "evil": 1}}, "evil is not an argument"),
        (
            {"diffusion_def": {**BRAIN_UNET, "in_channels": "$7"}},
            r"diffusion_def\.in_channels is the Python expression '\$7', .* write the value",
        ),
        ({"diffusion_def": {**BRAIN_UNET, "in_channels": "%a.json::b"}}, "macro"),
        (
            {"diffusion_def": {**BRAIN_UNET, "in_channels": "@x"}, "x": "@y", "y": "@x"},
            "leads back to itself",
        ),
        ({"diffusion_def": {**BRAIN_UNET, "_disabled_": True}}, "_disabled_"),
        ({"diffusion_def": {**BRAIN_UNET, "_mode_": "callable"}}, "_mode_"),
        ({"unet_def": BRAIN_UNET}, "second unet"),
        ({"scheduler": {"_target_": "monai.x.PNDMScheduler"}}, "is not one of DDIMScheduler"),
        ({"scheduler": "$evil()"}, "has no scheduler"),
        ({"noise": "$torch.randn((1, 3, 4, 8, __import__('os').system('true')))"}, "is not run"),
        ({"noise": "$torch.randn((1, 3, 4, 8, 4)) + evil()"}, "is not run; write its size"),
        ({"noise": "$torch.randn((2, 3, 4, 8, 4))"}, "more than one image"),
        ({"noise": "$torch.randn((1, 3, 4, 8))"}, "does not fit a network of 3 dimensions"),
        ({"noise": "$torch.randn((1, 5, 4, 8, 4))"}, "does not fit noise of 5 channels"),
        ({"conditioning": "$evil([[@gender]])"}, "write the covariates as a list"),
        ({"text_encoder": "$evil()"}, "conditioned on text"),
        ({"conditioning": ["@gender", "@age"]}, "2 covariates for a network that reads 4"),
        ({"age": "$0.1 * evil()"}, "age is the Python expression"),
        ({"set_timesteps": "$evil(50)"}, "write num_inference_steps"),
        ({"scale_factor": "$1 / evil()"}, "scale_factor is the Python expression"),
        ({"scale_factor": 0}, "positive number"),
    ],
)
def test_what_cannot_be_read_as_data_is_refused(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UnusableFile, match=reason):
        brain(tmp_path, **changes)


def test_what_is_not_needed_is_left_alone(tmp_path: Path) -> None:
    read = brain(
        tmp_path,
        saver={"_target_": "os.system", "command": "$evil()"},
        imports=["$evil()"],
        run="$evil()",
        load_diffusion="$evil()",
    )
    assert "unet" in read.networks


def test_the_size_of_the_noise_may_be_written_out(tmp_path: Path) -> None:
    read = brain(
        tmp_path,
        noise="$my_own_noise()",
        latent_shape=[3, 4, 8, 4],
        conditioning=["@gender", "@age", "@ventricular_vol", "@brain_vol"],
        set_timesteps=9,
        scale_factor=0.5,
    )
    assert read.shape == (3, 4, 8, 4)
    assert read.sampling is not None
    assert (read.sampling.steps, read.sampling.scale_factor) == (9, 0.5)


def test_maisi_is_listed_with_what_it_needs(tmp_path: Path) -> None:
    metadata = {"supported_apps": {"maisi-nim": ""}, "task": "CT image synthesis"}
    read = read_bundle(put(tmp_path, None, metadata))
    assert "58 GB" in read.listed
    assert "NCLS v1" in read.listed
    assert read.networks == {}


def test_maisi_is_known_by_its_networks_too(tmp_path: Path) -> None:
    target = "monai.apps.generation.maisi.networks.autoencoderkl_maisi.AutoencoderKlMaisi"
    config = {"autoencoder_def": {"_target_": target, "x": "$evil()"}}
    assert read_bundle(put(tmp_path, config, {})).listed


def test_a_folder_that_is_no_generative_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableFile, match="not a MONAI bundle"):
        read_bundle(tmp_path / "nothing")
    with pytest.raises(UnusableFile, match="cannot be read"):
        read_bundle(tmp_path)
    put(tmp_path, {"network": "$evil()"}, {})
    with pytest.raises(UnusableFile, match="neither a Generator nor a DiffusionModelUNet"):
        read_bundle(tmp_path)
    (tmp_path / "configs" / "inference.json").unlink()
    with pytest.raises(UnusableFile, match=r"holds no inference\.json"):
        read_bundle(tmp_path)
