"""Published networks of `../shared/reference`, imported."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.registry.importers._snapshots import pickled, snapshot
from tests.registry.importers._streams import FORMATS

from napari_medsyn.models.families import load_family
from napari_medsyn.registry.importers.mmhvae_checkpoint import import_checkpoint
from napari_medsyn.registry.importers.stylegan_snapshot import import_snapshot
from napari_medsyn.registry.packages import verify

pytestmark = pytest.mark.real

ORDER = ("us", "t2", "cet1", "flair")
OURS = {"us": "US", "t2": "T2", "cet1": "T1c", "flair": "FLAIR"}


def test_the_imported_checkpoint_equals_the_published_arrays(shared, tmp_path, record_property):
    folder = shared / "reference" / "mmhvae"
    if not folder.is_dir():
        pytest.skip(f"no reference arrays in {folder}")
    import_checkpoint(folder / "mmhvae_small.pth", tmp_path / "package")
    family = load_family(tmp_path / "package", verify(tmp_path / "package"), "cpu")

    largest = 0.0
    with np.load(folder / "mmhvae_small_io.npz") as arrays, torch.inference_mode():
        subsets = [name[2:] for name in arrays if name.startswith("y_")]
        assert len(subsets) == 4
        for subset in subsets:
            images = {OURS[m]: torch.from_numpy(arrays[f"x_{m}"]) for m in subset.split("_")}
            made = family.net(images)
            ours = np.concatenate([made[OURS[m]].numpy() for m in ORDER], axis=1)
            largest = max(largest, float(np.abs(ours - arrays[f"y_{subset}"]).max()))
    assert largest <= 1e-4


@pytest.mark.parametrize("form", FORMATS)
def test_a_snapshot_with_the_published_generator_gives_its_weights_and_images(
    shared, tmp_path, form
):
    reference = shared / "reference" / "stylegan2" / "stylegan2_small.safetensors"
    if not reference.is_file():
        pytest.skip(f"no {reference}")
    expected = load_file(reference)
    settings = {"z_dim": 16, "c_dim": 3, "w_dim": 16, "img_resolution": 32, "img_channels": 1}
    (tmp_path / "a.pkl").write_bytes(pickled(snapshot(expected, **settings), FORMATS[form]))
    ages = [
        {"name": f"c{i}", "label": f"c{i}", "kind": "continuous", "minimum": 0, "maximum": 1,
         "default": 0}
        for i in range(3)
    ]  # fmt: skip
    (tmp_path / "spec.json").write_text(json.dumps({"labels": ages}))

    import_snapshot(tmp_path / "a.pkl", tmp_path / "spec.json", tmp_path / "package")

    made = load_file(tmp_path / "package" / "weights.safetensors")
    assert set(made) == set(expected)
    for name, value in expected.items():
        assert torch.equal(made[name], value), name
    family = load_family(tmp_path / "package", verify(tmp_path / "package"), "cpu")
    with np.load(reference.with_name("stylegan2_small_io.npz")) as arrays, torch.inference_mode():
        images = family.net(*(torch.from_numpy(arrays[name]) for name in ("z", "c")))
        np.testing.assert_allclose(images.numpy(), arrays["image"], atol=1e-4)
