"""medigan's free words in the terms of our cards: modality, licence, DOI, task."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from napari_medsyn.registry.importers.medigan_reading import Reader

#: What an output is called, by the words of `selection.modality`; the first line that
#: matches decides.  MG is DICOM's name of mammography, ES that of endoscopy.
_MODALITIES: Final = (
    ("MG", r"mmg|mammogra\w*"),
    ("ES", r"endoscop\w*"),
    ("CXR", r"cxr|chest x-?ray|x-?ray|xray"),
    ("CT", r"ct|computed tomography"),
    ("US", r"us|ultrasound"),
)

#: Single sequences of MR, by what `selection.modality` or `generates` lists.
_SEQUENCES: Final = (("FLAIR", r"flair"), ("T1", r"t1"), ("T1c", r"t1c|t1ce|t1gd"), ("T2", r"t2"))

_MR: Final = r"mri?|.*\bmri|dce-mri|cardiac imaging"

#: SPDX identifiers, by how a licence is written; the registry's "BSD" could be any of four.
_LICENCES: Final = (
    ("MIT", r"mit( license)?"),
    ("Apache-2.0", r"apache([- ]license)?[ ,-]*(version )?2(\.0)?"),
    ("BSD-3-Clause", r"bsd[- ]3[- ]clause( license)?|.*redistribution.*endorse or promote.*"),
    ("BSD-2-Clause", r"bsd[- ]2[- ]clause( license)?"),
    ("CC-BY-4.0", r"cc[- ]by[- ]4\.0"),
    ("GPL-3.0-only", r"gpl-3\.0(-only)?|gnu general public license v(ersion )?3.*"),
    ("GPL-3.0-or-later", r"gpl-3\.0-or-later"),
)

_DOI: Final = re.compile(r"10\.\d{4,9}/[^\s\"'<>\\]{1,200}")


def outputs_of(selection: Reader, custom: Reader) -> list[str]:
    """Names of what a model gives, in the order in which its packages give it."""
    words = [word.casefold() for word in selection.texts("modality")]
    made = [word.casefold() for word in selection.texts("generates")]
    outputs = _images(words, made, selection, custom)
    if any("mask" in word for word in made):
        outputs.append("mask")
    return outputs


def _images(words: list[str], made: list[str], selection: Reader, custom: Reader) -> list[str]:
    for code, pattern in _MODALITIES:
        if _any(pattern, words):
            return [code]
    if "T1_to_T2" in custom:
        return ["T2" if custom.raw("T1_to_T2") is not False else "T1"]
    sequences = [code for code, pattern in _SEQUENCES if _any(pattern, made)]
    if sequences:
        return sequences
    if _any("dce-mri", words):
        # What such a model adds to a T1-weighted scan is the contrast agent.
        return ["T1c"]
    if _any(_MR, words):
        return ["MR"]
    selection.note("modality", "names no modality that is known here; called image")
    return ["image"]


def _any(pattern: str, words: Sequence[str]) -> bool:
    return any(re.fullmatch(pattern, word) for word in words)


def licence_of(selection: Reader) -> str:
    """An SPDX expression: NOASSERTION for none, LicenseRef-… for one that is not clear."""
    text = selection.text("license")
    if not text:
        selection.note("license", "is missing; ask the authors before you share anything")
        return "NOASSERTION"
    for identifier, pattern in _LICENCES:
        if re.fullmatch(pattern, text.casefold(), re.DOTALL):
            return identifier
    reference = "LicenseRef-" + re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-")[:60]
    selection.note("license", f"is {text!r}, which may be one of several licences: {reference}")
    return reference


def dois_of(description: Reader) -> list[str]:
    """DOIs without the address of the resolver."""
    found = []
    for text in description.texts("doi"):
        bare = re.sub(r"^(https?://(dx\.)?doi\.org/|doi:\s*)", "", text, flags=re.IGNORECASE)
        if _DOI.fullmatch(bare):
            found.append(bare)
        else:
            description.note("doi", f"holds {text!r}, which is no DOI")
    return list(dict.fromkeys(found))


def task_of(selection: Reader, custom: Reader, *, latent: bool) -> str:
    """What a model is for."""
    functions = " / ".join(selection.texts("function")).casefold()
    if "aging_input" in custom or "age" in selection.texts("condition"):
        return "counterfactual"
    if "inpainting" in functions:
        return "inpainting"
    if "condition" in custom:
        return "conditional"
    if "mask to image" in functions:
        return "label-to-image"
    if latent or "noise to image" in functions:
        return "unconditional"
    reads = any(key.endswith(("_path", "_to_T2")) for key in custom.keys())  # noqa: SIM118
    return "translation" if reads or "image to image" in functions else "unconditional"
