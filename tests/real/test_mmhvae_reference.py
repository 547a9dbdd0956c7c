"""Our forward pass equals the published one (`../shared/reference/mmhvae`)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.models._nets import PUBLISHED

from napari_medsyn.models.mmhvae import MMHVAE

pytestmark = pytest.mark.real

ORDER = ("us", "t2", "cet1", "flair")
#: The sets of inputs in the reference; the first one's background is that of all outputs.
SUBSETS = ("t2", "t2_flair", "flair_cet1", "us_t2_cet1_flair")


@pytest.fixture(scope="module")
def reference(shared):
    folder = shared / "reference" / "mmhvae"
    if not folder.is_dir():
        pytest.skip(f"no reference arrays in {folder}")
    # A plain state dict of the authors' class; `weights_only` refuses anything else.
    state = torch.load(folder / "mmhvae_small.pth", weights_only=True)  # noqa: TID251
    net = MMHVAE(PUBLISHED)
    net.load_state_dict(state, strict=True)
    with np.load(folder / "mmhvae_small_io.npz") as arrays:
        return net.eval(), {name: arrays[name] for name in arrays}


def test_every_subset_of_the_reference_is_compared(reference):
    _, arrays = reference
    assert sorted(name for name in arrays if name.startswith("y_")) == sorted(
        f"y_{subset}" for subset in SUBSETS
    )


@pytest.mark.parametrize("subset", SUBSETS)
@torch.inference_mode()
def test_outputs_equal_the_published_ones(reference, subset):
    net, arrays = reference
    images = {m: torch.from_numpy(arrays[f"x_{m}"]) for m in subset.split("_")}
    out = net(images)
    ours = torch.cat([out[m] for m in ORDER], dim=1).numpy()
    assert ours.shape == arrays[f"y_{subset}"].shape
    np.testing.assert_allclose(ours, arrays[f"y_{subset}"], atol=1e-4, rtol=0)
