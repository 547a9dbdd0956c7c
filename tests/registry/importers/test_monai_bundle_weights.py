"""Where the weights of a bundle's networks are."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_medsyn.errors import UnusableFile
from napari_medsyn.registry.importers.monai_bundle_weights import find_weights

EXPRESSION = {"ckpt_path": "$@bundle_root + '/models/model.pt'"}


def put(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"weights")
    return folder


def test_the_most_telling_name_is_taken(tmp_path: Path) -> None:
    put(tmp_path, "models/model.pt", "models/diffusion_model.pth", "models/model_autoencoder.pt")
    assert find_weights(tmp_path, "unet", EXPRESSION).name == "diffusion_model.pth"
    assert find_weights(tmp_path, "autoencoder", {}).name == "model_autoencoder.pt"
    assert find_weights(tmp_path, "generator", EXPRESSION).name == "model.pt"


def test_safetensors_go_before_pickles(tmp_path: Path) -> None:
    put(tmp_path, "models/model.pt", "models/model.safetensors")
    assert find_weights(tmp_path, "unet", {}).suffix == ".safetensors"
    # One file may hold all networks.
    assert find_weights(tmp_path, "autoencoder", {}).name == "model.safetensors"


def test_a_path_that_is_written_out_is_taken(tmp_path: Path) -> None:
    put(tmp_path, "models/model.pt", "models/final/epoch_9.pt")
    tree = {"ckpt_path": "models/final/epoch_9.pt"}
    assert find_weights(tmp_path, "unet", tree) == tmp_path / "models/final/epoch_9.pt"


@pytest.mark.parametrize(
    "written",
    ["../outside.pt", "models/../../outside.pt", "/etc/outside.pt", "..\\outside.pt", "C:\\o.pt"],
)
def test_a_path_out_of_the_bundle_is_refused(tmp_path: Path, written: str) -> None:
    put(tmp_path, "outside.pt", "bundle/models/model.pt")
    with pytest.raises(UnusableFile, match="leads out of the bundle"):
        find_weights(tmp_path / "bundle", "unet", {"ckpt_path": written})


def test_links_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "outside.pt", "bundle/models/other.pt")
    (tmp_path / "bundle/models/model.pt").symlink_to(tmp_path / "outside.pt")
    with pytest.raises(UnusableFile, match="is a link"):
        find_weights(tmp_path / "bundle", "unet", EXPRESSION)
    put(tmp_path, "deep/outside.pt")
    (tmp_path / "bundle/away").symlink_to(tmp_path)
    for written in ("away/outside.pt", "away/deep/outside.pt"):
        with pytest.raises(UnusableFile, match="is a link"):
            find_weights(tmp_path / "bundle", "unet", {"ckpt_path": written})


def test_a_linked_folder_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "elsewhere/model.pt")
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/models").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnusableFile, match="is a link"):
        find_weights(tmp_path / "bundle", "unet", EXPRESSION)


def test_torchscript_is_refused_with_the_reason(tmp_path: Path) -> None:
    put(tmp_path, "models/model.ts")
    with pytest.raises(UnusableFile, match=r"TorchScript .* is a program; get the file \.pt"):
        find_weights(tmp_path, "unet", EXPRESSION)
    with pytest.raises(UnusableFile, match="is not one of"):
        find_weights(tmp_path, "unet", {"ckpt_path": "models/model.ts"})


def test_missing_weights_say_what_to_get(tmp_path: Path) -> None:
    with pytest.raises(UnusableFile, match=r"large_files\.yml"):
        find_weights(tmp_path, "autoencoder", {})
