"""The loaders on the real files, few people each: they are large."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from training.data.coding import decode, encode
from training.data.grids import MODALITIES, to_model_grid
from training.data.healthy import WHITE_MATTER, load_healthy
from training.data.masks import load_lesion_masks
from training.data.multimodal import load_visits
from training.data.released import VISIT_STEP, SharedFolder
from training.data.sources import open_source
from training.data.splits import main, people

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def data(shared):
    return shared / "data"


@pytest.fixture(scope="module")
def few(data, tmp_path_factory):
    """Six train people: the bias field was made for them, never for test."""
    chosen = people("ixi", "train")[::17]
    return load_healthy(data, people=chosen, cache=tmp_path_factory.mktemp("cache"))


def test_the_committed_split_is_what_its_recipe_makes(data):
    assert main(["--data", str(data), "--check"]) == 0


def test_ventricles_are_those_of_the_table(data, few):
    listed = SharedFolder(data, data).record("healthy", few.ids)["ventricle_ml"]
    # The table was made before the labels were resampled to MNI.
    assert few.native_ventricle_ml == pytest.approx(listed, rel=0.06)


def test_white_matter_becomes_even(few):
    before, after = [], []
    for i in range(len(few)):
        inside = ndimage.binary_erosion(np.isin(few.labels[i], WHITE_MATTER))
        for values, figures in ((few.t1[i], before), (few.volume(i), after)):
            white = values[inside].astype(float)
            figures.append(white.std() / white.mean())
    assert np.mean(before) > 0.08
    assert np.mean(after) < 0.5 * np.mean(before)


def test_the_visits_of_the_test_person(data):
    (visit,) = load_visits(data, parts=("test",))
    assert visit.person == "ms-07"
    assert visit.present.all()
    masks = load_lesion_masks(data, parts=("test",))
    row = masks.person.index("ms-07")
    # The same mask twice: with the scans and among the masks.
    assert visit.lesions.sum() / 1000 == pytest.approx(masks.volume_ml[row])
    turned = to_model_grid(masks.masks[row], masks.affine)
    assert np.array_equal(visit.lesions.numpy(), turned.transpose(2, 0, 1))
    lesions = visit.lesions & visit.mask
    flair = visit.images[MODALITIES.index("FLAIR")]
    assert flair[lesions].float().mean() > flair[visit.mask].float().mean()


def test_a_visit_without_t1(data):
    arrays = open_source(data).record("visits/msv-03_visit1")
    assert {"T2", "FLAIR", "brain", "lesion_change"} == set(arrays)


def test_a_real_scan_comes_back_from_the_packed_form(data, few):
    arrays = open_source(data).record("visits/msv-03_visit1")
    middle = np.s_[:, :, 70:90]
    volume, brain = arrays["T2"][middle] // VISIT_STEP, arrays["brain"][middle]
    assert np.array_equal(decode(encode(volume, brain), brain), volume)
    coded = encode(few.t1[0] // 4, few.brain[0])
    assert np.array_equal(decode(coded, few.brain[0]) * 4, few.t1[0])
    assert len(coded) < 0.6 * few.brain[0].sum()


def test_a_packed_file_gives_what_the_folder_gives(data):
    """Where somebody has packed: `python -m training.data.pack … --out runs/pack.zip`."""
    from training.data.sources import CACHE

    packed = CACHE.parent / "pack.zip"
    if not packed.exists():
        pytest.skip(f"nothing packed at {packed}")
    assert packed.stat().st_size <= 50e6
    assert open_source(packed).data_hash() == open_source(data).data_hash()
    (one,), (other,) = (load_visits(source, parts=("test",)) for source in (data, packed))
    assert torch.equal(one.images, other.images)
    assert torch.equal(one.lesions, other.lesions)
    chosen = ("ixi-034", "ixi-012")
    here, there = (load_healthy(source, people=chosen) for source in (data, packed))
    assert np.array_equal(here.t1, there.t1)
    assert np.array_equal(here.labels, there.labels)
    assert np.array_equal(here.volume(0), there.volume(0))
