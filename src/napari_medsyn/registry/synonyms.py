"""Words that mean the same to those who search for models of medical images."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

#: Each line is one meaning; DICOM's modality codes (PS3.3 C.7.3.1.1.1) stand first.
_GROUPS: Final = (
    ("mg", "mmg", "mammography", "mammogram", "mammograms", "breast x-ray"),
    ("mr", "mri", "magnetic resonance"),
    ("ct", "computed tomography"),
    ("us", "ultrasound", "sonography"),
    ("pt", "pet", "positron emission tomography"),
    ("dx", "cr", "x-ray", "xray", "radiograph", "radiography"),
    ("es", "endoscopy", "colonoscopy"),
    ("cxr", "chest x-ray", "chest xray", "chest radiograph", "chest radiography"),
    ("t1", "t1w", "t1-weighted", "t1 weighted"),
    ("t1c", "t1ce", "t1gd", "contrast-enhanced t1", "post-contrast t1"),
    ("t2", "t2w", "t2-weighted", "t2 weighted"),
    ("pd", "pdw", "proton density"),
    ("flair", "t2-flair", "t2 flair", "fluid-attenuated inversion recovery"),
    ("dwi", "diffusion-weighted", "diffusion weighted"),
    ("gan", "generative adversarial network"),
    ("vae", "variational autoencoder"),
    ("ddpm", "denoising diffusion"),
    ("ldm", "latent diffusion"),
    ("ms", "multiple sclerosis"),
    ("heart", "cardiac"),
    ("lung", "lungs", "pulmonary"),
    ("kidney", "kidneys", "renal"),
    ("liver", "hepatic"),
    ("breast", "breasts"),
    ("rfid", "fid ratio", "fid_ratio"),
)

#: What else is true of a modality, though no card says so: a T1 is an MR image.
_IMPLIED: Final = {
    **dict.fromkeys(("t1", "t1c", "t2", "t2s", "flair", "pd", "dwi", "adc", "swi"), "mr"),
    **dict.fromkeys(("cxr", "mg", "mmg"), "x-ray"),
}

_WORDS: Final = sorted({word for group in _GROUPS for word in group}, key=len, reverse=True)
_ANY: Final = re.compile(rf"(?<![a-z0-9])(?:{'|'.join(map(re.escape, _WORDS))})(?![a-z0-9])")


def synonyms(text: str) -> list[str]:
    """Words that mean the same as words of `text` (in lower case), in alphabetical order."""
    said = set(_ANY.findall(text))
    return sorted({word for group in _GROUPS if not said.isdisjoint(group) for word in group})


def implied(modalities: Iterable[str]) -> list[str]:
    """What follows from the modalities of a card: "mr" from "T1"."""
    return sorted({_IMPLIED[name.lower()] for name in modalities if name.lower() in _IMPLIED})
