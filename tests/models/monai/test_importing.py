"""Bundles become packages, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tests.models.monai._bundles import (
    network,
    old_spelling,
    plain,
    write_brain,
    write_bundle,
    write_gan,
)
from tests.registry.importers._monai_configs import (
    BRAIN,
    BRAIN_AUTOENCODER,
    BRAIN_METADATA,
    BRAIN_UNET,
    GAN,
    GAN_METADATA,
)

from napari_medsyn.errors import UnusableFile, UnusableModel
from napari_medsyn.models.monai.importing import import_bundle
from napari_medsyn.registry.packages import verify


def test_the_brain_becomes_one_safetensors_file_in_the_present_spelling(
    brain_package: Path,
) -> None:
    card = verify(brain_package)
    assert sorted(path.name for path in brain_package.iterdir()) == [
        "card.json",
        "golden.npy",
        "weights.safetensors",
    ]
    tensors = load_file(brain_package / "weights.safetensors")
    expected = {
        f"{kind}.{name}": tensor.numpy()
        for kind, net in (
            ("autoencoder", network(BRAIN_AUTOENCODER, 1)),
            ("unet", network(BRAIN_UNET, 2)),
        )
        for name, tensor in net.state_dict().items()
    }
    assert tensors.keys() == expected.keys()
    assert all(np.array_equal(tensors[name], expected[name]) for name in expected)
    assert card.architecture["unet"]["include_fc"] is True
    assert card.architecture["unet"]["channels"] == [4, 8, 8]
    assert card.grid.shape == (8, 16, 8)
    assert card.id == "bundle"


def test_one_safetensors_file_may_hold_all_networks(tmp_path: Path, brain_package: Path) -> None:
    state: dict[str, torch.Tensor] = {}
    for kind, part, seed in (("autoencoder", BRAIN_AUTOENCODER, 1), ("unet", BRAIN_UNET, 2)):
        old = old_spelling(network(part, seed))
        state |= {f"{kind}.{name}": tensor for name, tensor in old.items()}
    bundle = write_bundle(tmp_path / "b", BRAIN, BRAIN_METADATA, {"model.safetensors": state})
    import_bundle(bundle, tmp_path / "package")
    same = load_file(brain_package / "weights.safetensors")
    ours = load_file(tmp_path / "package" / "weights.safetensors")
    assert all(np.array_equal(ours[name], same[name]) for name in same)


def test_id_licence_and_texts_are_taken_over(tmp_path: Path) -> None:
    bundle = write_gan(tmp_path / "bundle")
    (bundle / "LICENSE").write_text("Some terms.")
    (bundle / "docs").mkdir()
    (bundle / "docs" / "data_license.txt").write_text("Other terms.")
    notes = import_bundle(bundle, tmp_path / "p", model_id="hands", licence="Apache-2.0")
    card = verify(tmp_path / "p")
    assert (card.id, card.licence) == ("hands", "Apache-2.0")
    assert (tmp_path / "p" / "LICENSE.txt").read_text() == "Some terms."
    assert (tmp_path / "p" / "data_license.txt").read_text() == "Other terms."
    assert not any("licence" in note for note in notes)


def test_maisi_becomes_a_card_without_weights(tmp_path: Path) -> None:
    metadata = {"supported_apps": {"maisi-nim": ""}, "task": "CT image synthesis"}
    notes = import_bundle(write_bundle(tmp_path / "maisi", {}, metadata, {}), tmp_path / "package")
    card = verify(tmp_path / "package")
    assert (card.execution, card.files) == ("none", ())
    assert "58 GB" in notes[0]


class Runs:
    """A checkpoint that would make a file if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def hostile(case: str, folder: Path, mark: Path) -> Path:
    """A bundle that makes the file `mark` if anything in it is run, or that lies."""
    run = f"$__import__('pathlib').Path({str(mark)!r}).touch()"
    net = network(plain(GAN, "network_def"), 3)
    part: dict[str, Any] = dict(GAN["network_def"])
    changes: dict[str, Any] = {
        "target": {"network_def": {**part, "_target_": "pathlib.Path.touch", "self": str(mark)}},
        "expression": {"network_def": {**part, "bias": run}},
        "referenced": {"latent_size": run},
        "cycle": {"latent_size": "@a", "a": "@latent_size"},
        "macro": {"latent_size": "%configs/metadata.json::version"},
        "outside": {"ckpt_path": "../stolen.pt"},
    }
    bundle = write_bundle(
        folder, {**GAN, **changes.get(case, {})}, GAN_METADATA, {"model.pt": net.state_dict()}
    )
    model = bundle / "models" / "model.pt"
    if case == "outside":
        model.rename(folder.parent / "stolen.pt")
    elif case == "link":
        model.rename(folder.parent / "stolen.pt")
        model.symlink_to(folder.parent / "stolen.pt")
    elif case == "pickle":
        torch.save({**net.state_dict(), "x": Runs(mark)}, model)  # noqa: TID251 - the attack
    elif case == "large":
        text = json.dumps({**GAN, "x": "y" * 2**21})
        (bundle / "configs" / "inference.json").write_text(text)
    elif case == "shapes":
        torch.save({**net.state_dict(), "linear.bias": torch.zeros(3)}, model)  # noqa: TID251
    elif case == "huge":
        text = json.dumps({**GAN, "latent_size": 10**30})
        (bundle / "configs" / "inference.json").write_text(text)
    return bundle


@pytest.mark.parametrize(
    "case",
    [
        "target", "expression", "referenced", "cycle", "macro", "outside", "link", "pickle",
        "large", "shapes", "huge",
    ],
)  # fmt: skip
def test_hostile_bundles_are_refused_and_nothing_is_run_or_written(
    tmp_path: Path, case: str
) -> None:
    mark = tmp_path / "ran"
    bundle = hostile(case, tmp_path / "bundle", mark)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UnusableFile):
        import_bundle(bundle, tmp_path / "package")
    assert not mark.exists()
    assert sorted(tmp_path.rglob("*")) == before


def test_the_same_bundle_without_malice_is_taken(tmp_path: Path) -> None:
    import_bundle(hostile("none", tmp_path / "bundle", tmp_path / "ran"), tmp_path / "package")


def test_expressions_that_are_not_needed_are_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    run = f"$__import__('pathlib').Path({str(mark)!r}).touch()"
    bundle = write_brain(
        tmp_path / "bundle",
        imports=[run],
        device=run,
        load_autoencoder=run,
        saver={"_target_": "os.system", "command": run},
        run=[run],
    )
    import_bundle(bundle, tmp_path / "package")
    assert not mark.exists()


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "mine.txt").write_text("mine")
    with pytest.raises(UnusableFile, match="not empty"):
        import_bundle(tmp_path / "nothing", tmp_path / "package")


def test_an_impossible_id_or_licence_is_refused(tmp_path: Path) -> None:
    bundle = write_gan(tmp_path / "bundle")
    for wrong in ({"model_id": "../x"}, {"licence": "see the file"}):
        with pytest.raises(UnusableModel, match=r"cannot be an id|no SPDX"):
            import_bundle(bundle, tmp_path / "package", **wrong)
    assert not (tmp_path / "package").exists()


def test_a_large_model_is_imported_without_making_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_medsyn.models.monai.importing.MOST_GOLDEN_GB", 0.1)
    notes = import_bundle(write_gan(tmp_path / "bundle"), tmp_path / "package")
    assert verify(tmp_path / "package").golden is None
    assert any("No output was recorded" in note for note in notes)
