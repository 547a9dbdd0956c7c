"""Guess a scan's modality from its name, its header's words and its echo times.

A guess that the user can change: a wrong one costs more than none, so where the
evidence is thin or names something else (a map, a BOLD series) the answer is "".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_START = r"(?<![a-z0-9])"
_END = r"(?![a-z0-9])"


def _words(*alternatives: str) -> re.Pattern[str]:
    return re.compile(f"{_START}(?:{'|'.join(alternatives)}){_END}")


#: A weighting in a name: "t1", "3dt1", "sT1W_3D", "axT1tse"; never "patient1" or "t10".
_WEIGHTING = r"(?<![a-z])(?:[23]d|ax|axial|sag|cor|tra|wip)?[se]?{}(?!\d|rho|map|star|\*)"
_T1 = re.compile(_WEIGHTING.format("t1"))
_T2 = re.compile(_WEIGHTING.format("t2"))

#: Names of something made from a scan, or of a series that no weighting describes.
_NOT_A_WEIGHTING = _words(
    r"t2[_ -]?star\w*", r"t2\*\w*", r"t[12][_ -]?(?:map|rho)\w*", r"swi\w*", r"swan", r"tof\w*",
    r"bold\w*", r"f?mri[_ -]?rest", r"rest(?:ing)?(?:[ -]?state)?", r"rsfmri",
    r"field[_ -]?map\w*", r"b0[_ -]?map",
    r"adc\w*", r"fa", r"asl", r"cbf", r"uncertainty\w*", r"residual\w*", r"difference\w*",
    r"localizer\w*", r"localiser\w*", r"scout\w*", r"mra",
)  # fmt: skip
_LABEL = _words(
    r"mask\w*", r"\w*mask", r"d?seg", r"segmentation\w*", r"labels?", r"lesions?",
    r"lesion[_ -]change", r"roi", r"aseg\w*", r"aparc\w*", r"synthseg\w*", r"dlmuse",
)  # fmt: skip
_CONTRAST = _words(
    r"t1w?[_ -]?(?:c|ce|gd|gad|km|post\w*|contrast\w*|\+c)", r"ce", r"gd", r"gad\w*",
    r"post(?![ -]?op)", r"postcontrast", r"km", r"contrast\w*", r"post[_ -]?gd", r"c\+",
)  # fmt: skip
_NO_CONTRAST = _words(r"(?:pre|no|non|without|w/?o)[_ -]?(?:gd|gad\w*|contrast\w*|km|ce)", r"pre")
_FLAIR = re.compile(r"flair|dark[_ -]?fluid|(?<![a-z0-9])t2f(?![a-z0-9])")
_GRADIENT_T1 = _words(
    r"\w*mp2?-?rage\w*", r"i?r?-?f?spgr\w*", r"bravo\w*", r"vibe\w*", r"3dtfe", r"tfl\w*", r"t1n"
)
_OTHERS = (
    ("DWI", _words(r"dwi\w*", r"dti\w*", r"diff\w*", r"ep2d[_ -]diff\w*", r"b1000", r"trace\w*")),
    ("PD", _words(r"(?:ax|sag|cor)?[_ -]?pdw?", r"proton\w*")),
    ("CT", _words(r"ct", r"ncct", r"cta", r"cect")),
    ("PET", _words(r"pet", r"fdg\w*", r"suv\w*")),
    ("US", _words(r"us", r"ultrasound", r"b-?mode")),
)
#: BIDS entities whose values are labels: "ses-post" says nothing of contrast agent.
_BIDS_ENTITY = re.compile(r"(?<![a-z0-9])(?:sub|ses|run|dir|rec|space)-[a-z0-9]+")
_DICOM_MODALITIES = {"CT": "CT", "PT": "PET", "US": "US", "SEG": "label", "RTSTRUCT": "label"}


def guess_modality(name: str, facts: Mapping[str, Any] | None = None) -> str:
    """One of `study.MODALITIES`, or "" when nothing says which.

    Parameters
    ----------
    name : file name or series description; folders before it are ignored.
    facts : what the reader found; ``facts["tags"]`` may hold the DICOM keywords Modality,
        SeriesDescription, ProtocolName, SequenceName, ContrastBolusAgent, EchoTime,
        RepetitionTime and InversionTime (ms), and "descrip" of a NIfTI header.
    """
    tags = dict((facts or {}).get("tags", {}))
    fixed = _DICOM_MODALITIES.get(str(tags.get("Modality", "")).upper())
    if fixed:
        return fixed
    agent = str(tags.get("ContrastBolusAgent", "")).strip().lower()
    contrast = agent not in ("", "none", "no", "n/a", "0")
    stem = re.split(r"[\\/]", name)[-1]
    for text in (stem, *(str(tags.get(key, "")) for key in ("SeriesDescription", "ProtocolName"))):
        guess = _from_words(text.lower(), contrast)
        if guess is not None:
            return guess
    guess = _from_words(str(tags.get("descrip", "")).lower(), contrast)
    return guess if guess is not None else _from_timing(tags, contrast)


def _from_words(text: str, contrast: bool) -> str | None:
    """The modality that `text` names; "" if it names none of ours; None if it says nothing."""
    text = re.sub(r"\.(nii|gz|nrrd|nhdr|mha|mhd|dcm)(?=\.|$)", "", text)
    text = _BIDS_ENTITY.sub(" ", text).replace("_", " ")
    if text.strip() in ("brain", "wholebrain") or (_LABEL.search(text) and "filled" not in text):
        return "label"
    if _NOT_A_WEIGHTING.search(text):
        return ""
    t1 = _T1.search(text) or _GRADIENT_T1.search(text)
    if _FLAIR.search(text) and not t1:  # a "T1 FLAIR" is T1-weighted
        return "FLAIR"
    if t1:
        given = bool(_CONTRAST.search(text)) or contrast
        return "T1c" if given and not _NO_CONTRAST.search(text) else "T1"
    if _T2.search(text):
        return "T2"
    return next((modality for modality, words in _OTHERS if words.search(text)), None)


def _from_timing(tags: Mapping[str, Any], contrast: bool) -> str:
    """The weighting that echo, repetition and inversion time (ms) make, for plain sequences."""
    if str(tags.get("Modality", "MR")).upper() != "MR" or "EP" in str(
        tags.get("ScanningSequence", "")
    ):
        return ""
    echo, repetition, inversion = (
        _number(tags.get(key)) for key in ("EchoTime", "RepetitionTime", "InversionTime")
    )
    if not echo or not repetition:
        return ""
    t1 = "T1c" if contrast else "T1"
    if inversion >= 1500:
        return "FLAIR" if echo > 70 and repetition > 4000 else ""
    if inversion >= 500:
        return t1 if echo < 15 else ""
    if repetition > 1800:
        return "T2" if echo > 70 else "PD" if echo < 35 and not inversion else ""
    # A gradient echo's weighting also hangs on its flip angle; spin echoes are plain.
    spin_echo = "SE" in str(tags.get("ScanningSequence", ""))
    return t1 if spin_echo and echo < 30 and 250 <= repetition <= 900 else ""


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
