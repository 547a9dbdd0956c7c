"""One entry of medigan's registry as the fields of a card."""

from __future__ import annotations

import re
from typing import Any, Final

from napari_medsyn.errors import UnusableModel
from napari_medsyn.registry.importers.medigan_controls import controls_of
from napari_medsyn.registry.importers.medigan_metrics import metrics_of, turing_test
from napari_medsyn.registry.importers.medigan_reading import Reader
from napari_medsyn.registry.importers.medigan_words import (
    dois_of,
    licence_of,
    outputs_of,
    task_of,
)

#: Fields of `selection` and `description` that are kept word for word under provenance.
_KEPT: Final = ("function", "condition", "vendors", "centres", "augmentations", "use_cases")
_KEPT_TEXT: Final = ("trained_date", "provided_date", "provided_after_epoch", "publication")

_LARGEST_SIDE: Final = 2048


def slug_of(medigan_id: str) -> str:
    """Id of the card: `medigan-00001-dcgan-mmg-calc-roi`.

    Raises
    ------
    UnusableModel : the id has nothing that an id of ours may have.
    """
    plain = re.sub(r"[^a-z0-9.]+", "-", medigan_id.lower()).strip("-.")
    if not plain:
        raise UnusableModel(f"{medigan_id!r} is no id")
    return f"medigan-{plain}"[:80]


def card_fields(medigan_id: str, value: Any, notes: list[str]) -> dict[str, Any]:
    """The fields of a card that is listed only; `package_fields` makes it run.

    Parameters
    ----------
    medigan_id : key of the entry.
    value : the entry.
    notes : sentences about what could not be taken over, added to.

    Raises
    ------
    UnusableModel : the entry says too little to be a card of.
    """
    entry = Reader(value, "", notes)
    execution, selection = entry.part("execution"), entry.part("selection")
    description = entry.part("description")
    generate = execution.part("generate_method")
    custom = generate.part("args").part("custom")
    controls, call = controls_of(generate, description)
    data_sets = selection.texts("dataset")
    if not data_sets:
        selection.note("dataset", "is empty; what the model was trained on is not stated")
    link = _link(execution)
    return {
        "schema_version": 1,
        "id": slug_of(medigan_id),
        "version": _version(description),
        "name": description.text("title") or medigan_id,
        "summary": description.text("comment"),
        "task": task_of(selection, custom, latent=call["latent"] is not None),
        "anatomy": [word.lower() for word in selection.texts("organ")],
        "tags": _tags(medigan_id, selection),
        "year": _year(selection),
        "execution": "none",
        "requires": {"packages": _requirements(execution), "note": _how_to(medigan_id, link)},
        "family": "python",
        "architecture": _architecture(medigan_id, execution, generate, call),
        "grid": {"shape": _shape(execution, selection), "space": "picture", "dim": "2D"},
        "intensity": {"rule": "unit"},
        "inputs": [],
        "min_inputs": 0,
        "outputs": outputs_of(selection, custom),
        "controls": controls,
        "metrics": metrics_of(
            entry.part("selection").part("performance"), ", ".join(data_sets) or "not stated"
        ),
        "training_data": [
            {"name": name, "licence": _data_licence(selection)}
            for name in data_sets or ["not stated"]
        ],
        "licence": licence_of(selection),
        "authors": ["not stated in medigan's registry"],
        "citation": description.text("publication"),
        "intended_use": _intended_use(selection),
        "limitations": _limitations(selection, custom),
        "provenance": _provenance(medigan_id, selection, description),
        "doi": dois_of(description),
        "links": [link] if link else [],
    }


def _version(description: Reader) -> str:
    text = description.text("version")
    if re.fullmatch(r"\d+(\.\d+){0,3}", text):
        return text
    if text:
        description.note("version", f"is {text!r}, which is no version; 0 on the card")
    return "0"


def _year(selection: Reader) -> int | None:
    value = selection.raw("year")
    text = selection.text("year")
    if re.fullmatch(r"(19|20)\d\d", text):
        return int(text)
    if value not in (None, ""):
        selection.note("year", f"is {value!r}, which is no year")
    return None


def _tags(medigan_id: str, selection: Reader) -> list[str]:
    words = [medigan_id, "medigan", selection.text("type")]
    for key in ("tags", "modality", "generates", "function", "use_cases"):
        words += selection.texts(key)
    # Written in upper and lower case they are still the same word.
    return list({word.casefold(): word for word in reversed(words) if word}.values())[::-1]


def _link(execution: Reader) -> str:
    link = execution.text("package_link")
    if re.fullmatch(r"https://[^\s\"'<>\\]{1,500}", link):
        return link
    execution.note("package_link", f"is {link!r}, which is no https address")
    return ""


def _how_to(medigan_id: str, link: str) -> str:
    place = f"download it from {link}" if link else "get its package from its authors"
    return (
        f"the weights and the code of {medigan_id} are not here: {place}, then run "
        "`medsyn models import medigan GLOBAL.json --package FILE.zip --out DIR`"
    )


def _requirements(execution: Reader) -> list[str]:
    """What pip would install; names that are no requirement, or no package, are noted."""
    from packaging.requirements import InvalidRequirement, Requirement

    found = []
    for text in execution.texts("dependencies"):
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            execution.note("dependencies", f"holds {text!r}, which is no requirement")
            continue
        # Python's own pathlib is meant; the package of that name on PyPI is another one.
        if requirement.name.lower() == "path":
            execution.note("dependencies", f"holds {text!r}, which is part of Python; left out")
            continue
        found.append(text)
    return found


def _shape(execution: Reader, selection: Reader) -> list[int]:
    """Width, height, 1; `execution.image_size` (height, width) decides."""
    size = execution.raw("image_size")
    sides: list[int] = []
    for side in size[:2] if isinstance(size, list) else []:
        if isinstance(side, str):
            execution.note("image_size", f"holds the text {side!r}; taken as a number")
        try:
            sides.append(int(side))
        except (TypeError, ValueError):
            execution.note("image_size", f"holds {side!r}, which is no number")
    said = [selection.whole("height"), selection.whole("width")]
    if len(sides) != 2:
        sides = [side for side in said if side is not None]
    elif None not in said and said != sides:
        execution.note("image_size", f"is {sides}, but height and width are {said}")
    if len(sides) != 2 or not all(1 <= side <= _LARGEST_SIDE for side in sides):
        raise UnusableModel(f"its pictures' size {size!r} is none that can be used")
    return [sides[1], sides[0], 1]


def _architecture(
    medigan_id: str, execution: Reader, generate: Reader, call: dict[str, Any]
) -> dict[str, Any]:
    """How the package is called; where its files are is known when it is there."""
    return {
        "weights": "code/" + execution.text("model_name") + execution.text("extension"),
        "package": execution.text("package_name") or medigan_id,
        "function": generate.text("name") or "generate",
        **call,
    }


def _data_licence(selection: Reader) -> str:
    return "public" if selection.text("dataset_type") == "public" else "not stated"


def _intended_use(selection: Reader) -> str:
    uses = ", ".join(selection.texts("use_cases"))
    return f"Research use; not for diagnosis. Named for: {uses or 'nothing in particular'}."


def _limitations(selection: Reader, custom: Reader) -> list[str]:
    found = [
        "Single pictures without a known pixel size, of nobody in particular.",
        "Taken from medigan's registry as it is; nothing in it was measured here.",
    ]
    if any(key.endswith(("path", "_input")) for key in custom.keys()):  # noqa: SIM118
        found.append("It starts from pictures that its own package brings, not from your scan.")
    if selection.text("depth") in ("3", "4"):
        found.append("Its colours are shown as brightness.")
    if not selection.text("privacy_preservation"):
        found.append("Whether it gives back pictures of its training data was not tested.")
    return found


def _provenance(medigan_id: str, selection: Reader, description: Reader) -> dict[str, Any]:
    kept: dict[str, Any] = {"source": "medigan", "medigan_id": medigan_id}
    kept |= {key: value for key in _KEPT if (value := selection.texts(key))}
    for key in _KEPT_TEXT:
        value = description.raw(key)
        if value not in (None, "", []):
            kept[key] = value if isinstance(value, str | int | float) else str(value)
    kept["dataset_type"] = selection.text("dataset_type")
    test = turing_test(selection.part("performance"))
    return kept if test is None else {**kept, "turing_test": test}
