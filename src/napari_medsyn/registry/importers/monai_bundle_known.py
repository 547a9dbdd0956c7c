"""What published bundles leave unsaid: how their images lie, what they were trained on.

A bundle's metadata has no place for the direction of the image's axes, for licences of data,
or for what a covariate's ends stand for.  For those that people have, it is looked up here by
the metadata's own words; the source of each fact is the bundle's README, its training
configuration or its saver, unless another one is named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Known:
    """Facts about one bundle.

    Parameters
    ----------
    modality, anatomy : of its images.
    orientation : where the axes of the network's output point, as in "LAS".
    data, data_licence, data_citation, patients : the training data.
    doi, links, citation, year : of the publication.
    limitations : what a user has to know.
    """

    modality: str
    anatomy: tuple[str, ...]
    orientation: str
    data: str
    data_licence: str
    data_citation: str = ""
    patients: int | None = None
    doi: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    citation: str = ""
    year: int | None = None
    limitations: tuple[str, ...] = ()


_DECATHLON: Final = (
    "Antonelli M, et al. The Medical Segmentation Decathlon. Nature Communications 13, 4128 (2022)."
)
_BRATS: Final = "BraTS 2016 and 2017, as task 1 of the Medical Segmentation Decathlon"
_MEDNIST: Final = (
    "MedNIST, gathered by B. J. Erickson (Mayo Clinic) from TCIA, the RSNA Bone Age Challenge and "
    "the NIH chest X-ray data set."
)

_BRAIN: Final = Known(
    modality="T1",
    anatomy=("brain",),
    orientation="LAS",
    data="UK Biobank",
    data_licence="UK Biobank's access terms",
    data_citation="Sudlow C, et al. UK Biobank. PLoS Medicine 12, e1001779 (2015).",
    patients=31_740,
    doi=("10.1007/978-3-031-18576-2_12",),
    links=("https://arxiv.org/abs/2209.07162",),
    citation=(
        "Pinaya WHL, Tudosiu PD, Dafflon J, da Costa PF, Fernandez V, Nachev P, Ourselin S, "
        "Cardoso MJ. Brain Imaging Generation with Latent Diffusion Models. Deep Generative "
        "Models (MICCAI workshop) 2022, 117-126."
    ),
    year=2022,
    limitations=(
        "Adults of UK Biobank, mostly of European descent; children and most diseases are unseen.",
        "All four covariates are normalised to 0 to 1; the bundle does not say to which ages and "
        "volumes the ends belong.",
        "The direction of the axes is taken from the bundle's own saver. That saver also "
        "stretches each image to its own darkest and brightest voxel, which is not done here, so "
        "that images for different covariates can be compared.",
    ),
)
_BRATS_3D: Final = Known(
    modality="FLAIR",
    anatomy=("brain",),
    orientation="RAS",
    data=_BRATS,
    data_licence="CC-BY-SA-4.0",
    data_citation=_DECATHLON,
    patients=388,
    doi=("10.1038/s41467-022-30695-9",),
    limitations=("Every brain of the training data has a glioma.",),
)
_BRATS_2D: Final = Known(
    modality="FLAIR",
    anatomy=("brain",),
    orientation="RAS",
    data=_BRATS,
    data_licence="CC-BY-SA-4.0",
    data_citation=_DECATHLON,
    doi=("10.1038/s41467-022-30695-9",),
    limitations=(
        "Every brain of the training data has a glioma.",
        "Slices were flipped at random in training, left to right and front to back, so that an "
        "image may lie either way.",
        "The bundle's metadata says 240 x 240 pixels; its networks make 256 x 256.",
    ),
)
_HANDS: Final = Known(
    modality="XR",
    anatomy=("hand",),
    orientation="LPS",
    data="MedNIST, hands",
    data_licence="CC-BY-SA-4.0",
    data_citation=_MEDNIST,
    limitations=("A demonstration on thumbnails of 64 x 64 pixels.",),
)
_MAISI: Final = Known(
    modality="CT",
    anatomy=("whole body",),
    orientation="RAS",
    data="CT scans, as listed in the MAISI publication",
    data_licence="see the publication",
    links=("https://arxiv.org/abs/2409.11169",),
    citation="Guo P, et al. MAISI: Medical AI for Synthetic Imaging. arXiv 2409.11169 (2024).",
    year=2024,
    limitations=("Listed only; nothing is known here of what its images are like.",),
)

#: `task` of the metadata, in lower case, to what is known of the bundle.
_BY_TASK: Final[Mapping[str, Known]] = {
    "brain image synthesis": _BRAIN,
    "brats mri image synthesis": _BRATS_3D,
    "brats mri axial slices synthesis": _BRATS_2D,
    "generate random hand images from the mednist dataset": _HANDS,
    "mednist hand generation": _HANDS,
    "ct image synthesis": _MAISI,
}

_MODALITIES: Final = (
    ("FLAIR", r"flair"),
    ("T1c", r"t1c\b|t1ce|t1gd"),
    ("T2", r"t2w?\b"),
    ("T1", r"t1w?\b"),
    ("CT", r"ct\b|computed tomography"),
    ("PET", r"pet\b"),
    ("US", r"ultrasound"),
    ("XR", r"x-?ray"),
)


def known(metadata: Mapping[str, Any]) -> Known | None:
    """What is known of the bundle with this metadata; None if nothing is."""
    return _BY_TASK.get(str(metadata.get("task", "")).strip().lower())


def guess_modality(words: str) -> str:
    """The modality that a description speaks of first in our order, or "image"."""
    for name, pattern in _MODALITIES:
        if re.search(rf"\b(?:{pattern})", words.lower()):
            return name
    return "image"
