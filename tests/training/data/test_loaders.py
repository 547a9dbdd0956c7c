from __future__ import annotations

import nibabel
import numpy as np
import pytest
import torch
from tests.training.data._made import AFFINE, COARSE, COARSE_AFFINE, SHAPE, ball, save
from training.data.grids import GRID_ORIGIN, GRID_SHAPE, MODALITIES, model_affine
from training.data.healthy import load_healthy
from training.data.label_maps import load_label_maps
from training.data.masks import load_lesion_masks
from training.data.multimodal import load_visits, normalise
from training.data.released import SharedFolder

from napari_medsyn.errors import UnusableFile


@pytest.fixture(scope="module")
def visits(made, cache):
    return {v.name: v for v in load_visits(made, parts=("validation", "test"), cache=cache)}


@pytest.fixture(scope="module")
def healthy(made, cache):
    return load_healthy(made, cache=cache)


def test_visits_are_those_of_the_people_in_the_parts(visits, made):
    assert sorted(visits) == ["ms-07", "msv-12_visit1", "msv-12_visit2"]
    assert visits["msv-12_visit2"].person == "msv-12"
    assert [v.name for v in load_visits(made, parts=("test",))] == ["ms-07"]


def test_a_modality_that_is_missing_is_zeros(visits):
    assert visits["ms-07"].present.tolist() == [True] * 4
    assert visits["msv-12_visit1"].present.tolist() == [True, False, True, True]
    assert not visits["msv-12_visit1"].images[MODALITIES.index("T1c")].any()


def test_intensities_are_normalised_in_the_brain(visits):
    visit = visits["ms-07"]
    assert visit.images.shape == (4, GRID_SHAPE[2], *GRID_SHAPE[:2])
    assert visit.images.dtype == torch.float16
    assert not visit.images[:, ~visit.mask].any()
    for image in visit.images:
        assert np.percentile(image[visit.mask].numpy(), 99.5) == pytest.approx(1, abs=2e-3)


def test_all_lesions_and_changes_are_kept_apart(visits):
    assert visits["ms-07"].lesion_change is None
    assert visits["msv-12_visit1"].lesions is None
    lesions = visits["ms-07"].lesions
    assert lesions.sum() == visits["msv-12_visit1"].lesion_change.sum() == 3 * 2 * 4
    # The first voxel drawn, by way of the world, in (Z, X, Y).
    world = nibabel.affines.apply_affine(AFFINE, (18, 20, 15))
    x, y, z = nibabel.affines.apply_affine(np.linalg.inv(model_affine()), world).astype(int)
    assert lesions[z, x, y]


def test_a_prepared_scan_is_read_from_the_cache(made, tmp_path):
    volume = np.full(GRID_SHAPE, 333, np.int16)
    (made / "glioma" / "case00001").mkdir(parents=True, exist_ok=True)
    stored = dict.fromkeys(MODALITIES, volume)
    np.savez(tmp_path / "glioma-case00001.npz", brain=volume > 0, **stored)
    arrays = SharedFolder(made, tmp_path).record("visits/glioma-00001")
    assert set(arrays) == {*MODALITIES, "brain"}
    assert np.unique(arrays["T1"]) == [333]


def test_the_folder_gives_the_released_voxels(made, cache):
    image = nibabel.load(made / "ms" / "patient07" / "FLAIR.nii.gz")
    released = np.asarray(nibabel.as_closest_canonical(image).dataobj)
    # AFFINE puts the made volume's corner at (-19, -30, -10) mm, the model's is GRID_ORIGIN.
    x, y, z = np.array((-19, -30, -10)) - GRID_ORIGIN
    box = tuple(slice(int(a), int(a) + n) for a, n in zip((x, y, z), SHAPE, strict=True))
    record = SharedFolder(made, cache).record("visits/ms-07")
    assert np.array_equal(record["FLAIR"][box], released)
    # Not a multiple of what a packed file rounds to, and not masked.
    assert (released % 16 != 0).any()
    assert released[0, 0, 0] != 0
    with np.load(made / "healthy_t1" / "ixi_t1_mni2mm.npz") as z:
        t1 = z["t1_zyx"][1].transpose(2, 1, 0)
    assert np.array_equal(SharedFolder(made, cache).record("healthy")["t1"][1], t1[::-1])
    assert (t1 % 4 != 0).any()


def test_normalise_by_hand():
    mask = np.zeros((10, 10, 11), bool)
    mask[..., :10] = True
    volume = np.full(mask.shape, 1e6)
    volume[mask] = np.arange(1000)
    out = normalise(volume, mask)
    # The 99.5th percentile of 0 … 999 is 0.995 × 999.
    assert out[0, 5, 0] == pytest.approx(50 / 994.005)
    assert not out[~mask].any()


def test_healthy_people_by_part_and_by_name(made, cache, healthy):
    assert healthy.ids == ("ixi-012", "ixi-013", "ixi-034")
    assert load_healthy(made, parts=("train",), cache=cache).ids == ("ixi-012", "ixi-013")
    two = load_healthy(made, people=("ixi-034", "ixi-012"), cache=cache)
    assert two.ids == ("ixi-034", "ixi-012")
    assert two.age.tolist() == pytest.approx([34.24, 38.78])
    assert two.sex.tolist() == ["F", "M"]
    assert np.array_equal(two.t1[1], healthy.t1[0])
    with pytest.raises(KeyError, match="ixi-034 is not among the healthy people"):
        load_healthy(made, parts=("train",), people=("ixi-034",), cache=cache)
    assert len(load_healthy(made, parts=("validation",), cache=cache)) == 0


def test_healthy_volumes_lie_where_they_lay(made, healthy):
    with np.load(made / "healthy_t1" / "ixi_labels_mni2mm.npz") as z:
        image = nibabel.Nifti1Image(z["dlmuse_zyx"][1].transpose(2, 1, 0), COARSE_AFFINE)
    turned = nibabel.as_closest_canonical(image)
    assert np.array_equal(healthy.labels[1], np.asarray(turned.dataobj))
    assert np.array_equal(healthy.affine, turned.affine)


def test_ventricles_in_ml_on_the_grid_and_in_the_head(made, cache, healthy):
    by_hand = ball(COARSE, 3).sum() * 8 / 1000
    assert healthy.ventricle_ml == pytest.approx(by_hand)
    listed = SharedFolder(made, cache).record("healthy")["ventricle_ml"]
    assert healthy.native_ventricle_ml == pytest.approx(listed)


def test_a_healthy_volume_is_normalised(healthy):
    volume = healthy.volume(0)
    assert volume.dtype == np.float32
    assert np.percentile(volume[healthy.brain[0]], 99.5) == pytest.approx(1, abs=1e-3)
    assert not volume[~healthy.brain[0]].any()


def test_label_maps_by_part(made):
    maps = load_label_maps(made, parts=("train",))
    assert maps.ids == ("synthseg-01", "synthseg-02")
    # Turned from right-to-left to left-to-right.
    assert maps.head(0)[SHAPE[0] - 1 - 5, 6, 7] == 2
    assert maps.affine[0, 0] == 1
    assert len(load_label_maps(made, parts=("test",))) == 0


def test_lesion_masks_by_part(made):
    masks = load_lesion_masks(made, parts=("train",))
    assert masks.person == ("ms-01", "ms-02")
    assert masks.age.tolist() == [30, 31]
    assert masks.sex.tolist() == ["F", "M"]
    assert masks.volume_ml == pytest.approx([0.006, 0.012])
    assert load_lesion_masks(made, parts=("test",)).person == ("ms-07",)


def test_a_missing_visit_is_named(made):
    with pytest.raises(UnusableFile, match=r"ms_visits/patient01: no folder of msv-01's scans"):
        load_visits(made, parts=("train",))


def test_a_missing_or_damaged_scan_is_named(tmp_path):
    folder = tmp_path / "ms" / "patient07"
    folder.mkdir(parents=True)
    with pytest.raises(UnusableFile, match=r"patient07: none of T1, T1c, T2, FLAIR is here"):
        load_visits(tmp_path, parts=("test",))
    save(folder / "T1.nii.gz", np.ones(SHAPE, np.int16), np.diag([2.0, 2, 2, 1]))
    with pytest.raises(UnusableFile, match=r"T1\.nii\.gz: not a scan on MNI's 1 mm grid"):
        load_visits(tmp_path, parts=("test",))
    (folder / "T1.nii.gz").write_bytes(b"\x1f\x8b no")
    with pytest.raises(UnusableFile, match=r"T1\.nii\.gz: .*copy it anew"):
        load_visits(tmp_path, parts=("test",))


@pytest.mark.parametrize("load", [load_healthy, load_label_maps, load_lesion_masks])
def test_a_missing_set_is_named(load, tmp_path):
    with pytest.raises(UnusableFile, match="there is no such file; is --data the shared folder"):
        load(tmp_path)
