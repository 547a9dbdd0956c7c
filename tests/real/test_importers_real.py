"""The published checkpoint of `../shared/reference`, imported, computes what it should."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_medsyn.models.families import load_family
from napari_medsyn.registry.importers.mmhvae_checkpoint import import_checkpoint
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
    record_property("largest_absolute_difference", largest)
    assert largest <= 1e-4
