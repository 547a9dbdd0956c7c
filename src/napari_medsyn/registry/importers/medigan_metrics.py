"""Figures of merit of medigan's entries, each with its direction, extractor and number.

medigan gives the Fréchet inception distance between real and synthetic images and its
ratio rFID = FID(real, real) / FID(real, synthetic), which is 1 for synthetic images that
are as close to real ones as those are to each other: Osuala et al., "medigan: a Python
library of pretrained generative models for medical image synthesis", J. Med. Imaging
10(6), 2023, section 3.4.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from napari_medsyn.registry.importers.medigan_reading import Reader

#: Prefix of the fields to the network whose features were compared.
_EXTRACTORS: Final = {"FID": "InceptionV3 (ImageNet)", "FID_RADIMAGENET": "RadImageNet"}

#: Fields to the metric's name and direction.
_SINGLE: Final = {
    "SSIM": ("SSIM", "higher"),
    "MSE": ("MSE", "lower"),
    "NSME": ("NMSE", "lower"),
    "PSNR": ("PSNR", "higher"),
    "IS": ("IS", "higher"),
    "CLF_delta": ("classification gain", "higher"),
    "SEG_delta": ("segmentation gain", "higher"),
    "DET_delta": ("detection gain", "higher"),
}
_TASKS: Final = {"CLF": "classification", "SEG": "segmentation", "DET": "detection"}
_TRAINED: Final = {
    "trained_on_fake": "trained on synthetic images",
    "trained_on_real": "trained on real images",
    "trained_on_real_and_fake": "trained on real and synthetic images",
}

#: How far a ratio that is given may be from the one that follows: three digits are given.
_RATIO_TOLERANCE: Final = 0.005


def metrics_of(performance: Reader, data_set: str) -> list[dict[str, Any]]:
    """Every figure that is a number, as `metrics` of a card."""
    found = [*_distances(performance), *_singles(performance), *_downstream(performance)]
    for metric in found:
        metric["data_set"] = data_set
    return found


def _distances(performance: Reader) -> Iterator[dict[str, Any]]:
    images = performance.whole("FID_no_images")
    for prefix, extractor in _EXTRACTORS.items():
        facts = {"n": images, "extractor": extractor}
        distance = performance.number(prefix)
        if distance is not None and distance < 0:
            performance.note(prefix, f"is {distance:g}, which no distance can be; left out")
            distance = None
        if distance is not None:
            yield {"name": "FID", "value": distance, "direction": "lower", **facts}
        ratio = _ratio(performance, prefix, distance)
        if ratio is not None:
            yield {"name": "rFID", "value": ratio, "direction": "higher", **facts}


def _ratio(performance: Reader, prefix: str, distance: float | None) -> float | None:
    """The rFID from the distance between real images where it is given, else as it is stored."""
    key = f"{prefix}_ratio"
    stored = performance.number(key)
    floor = performance.number(f"{prefix}_rr")
    if floor is not None and distance:
        derived = floor / distance
        if stored is not None and abs(stored - derived) > _RATIO_TOLERANCE:
            performance.note(key, f"is {stored:g}, but {floor:g} / {distance:g} = {derived:.3g}")
        stored = derived
    if stored is not None and not 0 <= stored <= 1:
        performance.note(key, f"is {stored:g}, outside 0 to 1; left out")
        return None
    return stored


def _singles(performance: Reader) -> Iterator[dict[str, Any]]:
    for key, (name, direction) in _SINGLE.items():
        value = performance.number(key)
        if value is not None:
            yield {"name": name, "value": value, "direction": direction, "n": None}


def _downstream(performance: Reader) -> Iterator[dict[str, Any]]:
    """How well a second model did that was trained on the images."""
    if "downstream_task" in performance:
        performance.note("downstream_task", "holds figures one level deeper than elsewhere")
    for level in (performance, performance.part("downstream_task")):
        for task, word in _TASKS.items():
            for trained, how in _TRAINED.items():
                figures = level.part(task).part(trained)
                for key in figures.keys():  # noqa: SIM118 - a reader, not a dict
                    value = figures.number(key)
                    if value is not None:
                        yield _figure(f"{word} {key.replace('_', ' ')}", how, value)


def _figure(name: str, how: str, value: float) -> dict[str, Any]:
    direction = "lower" if "loss" in name.casefold() else "higher"
    return {
        "name": f"{name}, {how}",
        "value": value,
        "direction": direction,
        "n": None,
        "note": f"of a second model, {how}",
    }


def turing_test(performance: Reader) -> Any:
    """What is said of a test with readers: an object, text, or None."""
    value = performance.raw("turing_test")
    if value is None or value == "":
        return None
    if not isinstance(value, str | dict):
        performance.note("turing_test", "is neither an object nor text")
        return None
    performance.note("turing_test", "is kept under provenance: no direction of it is better")
    return value
