"""The guess of a modality, name by name."""

from __future__ import annotations

import pytest

from napari_medsyn.scans.modality import guess_modality
from napari_medsyn.scans.study import MODALITIES

NAMES = {
    "T1": "T1.nii.gz sub-01_T1w.nii sub-01_ses-post_T1w t1_mprage_sag anat-T1w BraTS_t1n 3DT1 "
          "sT1W_3D_TFE axT1 MPRAGE FSPGR_BRAVO T1_FLAIR T1_precontrast p_t1.nrrd reconstruction_T1 "
          "T1_brain T1_lesion_filled T1_restore t1w-gre synthstrip_T1w",
    "T1c": "T1c.nii.gz t1ce T1Gd T1_post T1-post-contrast t1_km T1w_ce sub-01_ce-gadolinium_T1w "
           "BraTS2021_00000_t1ce T1+C mprage_post_gad imputed_T1c T1CE.mha t1_contrast_enhanced",
    "T2": "T2.nii sub-1_T2w t2_tse_tra BraTS-GLI-t2w axT2 T2_FS eT2W_TSE T2.dcm",
    "FLAIR": "FLAIR.nii.gz t2_flair T2w_FLAIR sub-1_FLAIR t2_tirm_dark-fluid t2f-x BraTS-GLI-t2f "
             "imputed_FLAIR 3DFLAIR_sag flair_space CUBE_T2_FLAIR patient1_FLAIR",
    "PD": "PD.nii sub-1_PDw pd_tse proton_density",
    "DWI": "dwi.nii sub-1_dwi ep2d_diff_b1000 DTI_64",
    "CT": "CT.nii head_ct ncct_brain",
    "PET": "pet.nii sub-1_pet FDG",
    "label": "lesion.nii.gz brain.nii T1_mask brainmask sub-1_dseg FLAIR_lesion_mask seg labels "
             "lesion_change T2_label",
    "": "scan7.nii patient1.nii patient12 visit1 test1 T10 t2star T2_star_gre T1_map T1rho "
        "uncertainty_FLAIR residual_T1 localizer_T1 bold_rest swi image study2 part1 tof_3d ADC",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "modality"), [(n, m) for m, names in NAMES.items() for n in names.split()]
)
def test_names(name: str, modality: str) -> None:
    assert modality in (*MODALITIES, "")
    assert guess_modality(name) == modality
    assert guess_modality(f"/T2_study/{name}") == modality


@pytest.mark.parametrize(
    ("tags", "modality"),
    [
        ({"Modality": "CT", "SeriesDescription": "T1"}, "CT"),
        ({"Modality": "PT"}, "PET"),
        ({"Modality": "US"}, "US"),
        ({"Modality": "SEG"}, "label"),
        ({"SeriesDescription": "Ax T1 SE", "ContrastBolusAgent": "10 ml Dotarem"}, "T1c"),
        ({"SeriesDescription": "Ax T1 SE pre contrast", "ContrastBolusAgent": "Dotarem"}, "T1"),
        ({"SeriesDescription": "Ax T1 SE", "ContrastBolusAgent": "NONE"}, "T1"),
        ({"SeriesDescription": "Ax T2", "ContrastBolusAgent": "Dotarem"}, "T2"),
        ({"SeriesDescription": "series", "ProtocolName": "t2_flair_sag"}, "FLAIR"),
        ({"descrip": "FreeSurfer T1w conformed"}, "T1"),
        ({"EchoTime": 90.0, "RepetitionTime": 9000.0, "InversionTime": 2500.0}, "FLAIR"),
        ({"EchoTime": 3.0, "RepetitionTime": 2300.0, "InversionTime": 900.0}, "T1"),
        ({"EchoTime": 100.0, "RepetitionTime": 4000.0}, "T2"),
        ({"EchoTime": 15.0, "RepetitionTime": 3000.0}, "PD"),
        ({"EchoTime": 12.0, "RepetitionTime": 500.0, "ScanningSequence": "SE"}, "T1"),
        ({"EchoTime": 12.0, "RepetitionTime": 500.0, "ScanningSequence": "GR"}, ""),
        ({"EchoTime": 100.0, "RepetitionTime": 4000.0, "ScanningSequence": "EP"}, ""),
        ({"EchoTime": "odd", "RepetitionTime": None}, ""),
        ({}, ""),
    ],
)
def test_tags(tags, modality: str) -> None:
    assert guess_modality("series 4", {"tags": tags}) == modality


def test_a_name_comes_before_timing() -> None:
    timing = {"EchoTime": 100.0, "RepetitionTime": 4000.0}
    assert guess_modality("t1_se", {"tags": timing}) == "T1"
