"""The loaders on the real files, few people each: they are large."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage
from training.data.coding import decode, encode
from training.data.grids import MODALITIES, to_model_grid
from training.data.healthy import WHITE_MATTER, load_healthy
from training.data.masks import load_lesion_masks
from training.data.multimodal import load_visits
from training.data.packing import STEPS
from training.data.released import SharedFolder
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


def test_the_folder_gives_the_released_voxels(data):
    record = open_source(data).record("visits/ms-07")
    # Nothing of the brain lies outside the model's grid, so no value of it is lost or new.
    brain = np.asarray(nib.load(data / "ms/patient07/brain.nii.gz").dataobj) > 0
    for modality in MODALITIES:
        image = nib.load(data / "ms/patient07" / f"{modality}.nii.gz")
        # As slices from below, rows from behind, each from left to right: the model's order.
        turned = np.asarray(nib.as_closest_canonical(image).dataobj)
        released = turned[brain[::-1]]
        assert np.array_equal(record[modality][record["brain"]], released)
        assert (released % STEPS[modality]).any()


def test_a_visit_without_t1(data):
    arrays = open_source(data).record("visits/msv-03_visit1")
    assert {"T2", "FLAIR", "brain", "lesion_change"} == set(arrays)


def test_a_real_scan_comes_back_from_the_packed_form(data, few):
    arrays = open_source(data).record("visits/msv-03_visit1")
    middle = np.s_[:, :, 70:90]
    volume, brain = arrays["T2"][middle] // STEPS["T2"], arrays["brain"][middle]
    assert np.array_equal(decode(encode(volume, brain), brain), volume)
    coarse = few.t1[0] // STEPS["t1"]
    coded = encode(coarse, few.brain[0])
    assert np.array_equal(decode(coded, few.brain[0]), coarse)
    assert len(coded) < 0.6 * few.brain[0].sum()


def test_a_packed_file_is_the_folder_rounded(data):
    """Where somebody has packed: `python -m training.data.pack … --out runs/pack.zip`."""
    from training.data.sources import CACHE

    packed = CACHE.parent / "pack.zip"
    if not packed.exists():
        pytest.skip(f"nothing packed at {packed}")
    assert packed.stat().st_size <= 50e6
    folder, file = open_source(data), open_source(packed)
    assert file.data_hash() == folder.data_hash()
    chosen = ("ixi-034", "ixi-012")
    for name, people_of_it in (("visits/msv-01_visit1", None), ("healthy", chosen)):
        ours, theirs = folder.record(name, people_of_it), file.record(name, people_of_it)
        for key, released in ours.items():
            if key not in STEPS:
                assert np.array_equal(released, theirs[key]), key
                continue
            error = (theirs[key].astype(float) - released)[ours["brain"]]
            assert np.abs(error).max() == STEPS[key] / 2
            bright = np.percentile(released[ours["brain"]], 99.5)
            assert 0.003 < np.sqrt((error**2).mean()) / bright < 0.007
    here, there = (load_healthy(source, people=chosen) for source in (data, packed))
    assert np.array_equal(here.fields.coefficients, there.fields.coefficients)
