"""Controls of a card from the arguments of a medigan package.

The registry gives names and default values, no ranges, units or types.  What decides how
the network is built, or is a path, stays as it is; of the rest, truth values become tick
boxes and whole numbers sliders around their default.  What a few arguments mean is said in
prose only; the table `_KNOWN` says it for the controls.
"""

from __future__ import annotations

import re
from typing import Any, Final

from napari_medsyn.registry.importers.medigan_reading import Reader

#: Arguments that build the network, name files, choose hardware or how much is made.
_FIXED: Final = re.compile(
    r"(.*_)?(paths?|path_input|paths_input)|image_size|patch_size|gpu_id|z|z_dim|channel"
    r"|img_channels|pixel_norm|tanh|step|alpha|resize_pixel_dim|num_\w+|save_option"
    r"|checkpoint_ids|translate_all_images|randomize_\w+|shapes|data_type"
)

#: Arguments whose defaults do not say what they take.
_KNOWN: Final[dict[str, dict[str, Any]]] = {
    "condition": {
        "kind": "categorical",
        "label": "Mass",
        "categories": [{"value": 0, "label": "Malignant"}, {"value": 1, "label": "Benign"}],
        "default": 0,
    },
    "aging_input": {
        "kind": "continuous",
        "label": "Age offset",
        "unit": "years",
        "minimum": -30.0,
        "maximum": 30.0,
        "step": 1.0,
        "default": 0.0,
    },
}

_LATENT_ARGUMENT: Final = "input_latent_vector"


def controls_of(generate: Reader, description: Reader) -> tuple[list[Any], dict[str, Any]]:
    """Controls of the card, and what `architecture` says of the arguments.

    Parameters
    ----------
    generate : `execution.generate_method` of an entry.
    description : `description`, whose `inputs` explain arguments in prose.

    Returns
    -------
    The controls, and `latent`, `keywords` and `controls` of the architecture.
    """
    custom = generate.part("args").part("custom")
    prose = _prose(description)
    controls: list[Any] = [{"kind": "seed", "name": "seed", "label": "Seed"}]
    keywords: dict[str, Any] = {}
    targets: dict[str, Any] = {}
    for argument in custom.keys():  # noqa: SIM118 - a reader, not a dict
        default = custom.raw(argument)
        control = _control(argument, default)
        name = re.sub(r"[^a-z0-9_]", "_", argument.lower())[:40]
        if control is None or not re.match(r"[a-z]", name) or name in targets:
            keywords[argument] = default
            continue
        is_list = isinstance(default, list)
        targets[name] = {"argument": argument, "form": "list" if is_list else "value"}
        controls.append({**control, "name": name, "help": prose.get(argument, "")})
    # One image is made at a time: a list of ages takes one path.
    if any(target["form"] == "list" for target in targets.values()):
        keywords = {key: _first(value) for key, value in keywords.items()}
    latent = _latent(generate, controls)
    return controls, {"latent": latent, "keywords": keywords, "controls": targets}


def _latent(generate: Reader, controls: list[Any]) -> dict[str, Any] | None:
    """The latent, every number of it within reach."""
    size = generate.whole("input_latent_vector_size")
    if size is None:
        return None
    controls.append(
        {
            "kind": "latent",
            "name": "latent",
            "label": "Latent",
            "help": "Added to the numbers that the seed draws, in standard deviations.",
            "directions": [f"z{number}" for number in range(1, size + 1)],
        }
    )
    return {"argument": _LATENT_ARGUMENT, "size": size, "prior": "normal", "control": "latent"}


def _control(argument: str, default: Any) -> dict[str, Any] | None:
    """The control of an argument; None if it stays as it is."""
    if argument in _KNOWN:
        return _KNOWN[argument]
    if _FIXED.fullmatch(argument):
        return None
    label = argument.replace("_", " ").strip().capitalize()
    if isinstance(default, bool):
        return {"kind": "boolean", "label": label, "default": default}
    if isinstance(default, int):
        most = max(10, 2 * abs(default))
        return {
            "kind": "integer",
            "label": label,
            "default": default,
            "minimum": 0 if default >= 0 else -most,
            "maximum": most,
        }
    if isinstance(default, float):
        reach = max(1.0, 2 * abs(default))
        return {
            "kind": "continuous",
            "label": label,
            "default": default,
            "minimum": 0.0 if default >= 0 else -reach,
            "maximum": reach,
            "step": reach / 100,
        }
    return None


def _prose(description: Reader) -> dict[str, str]:
    """What `inputs` says of each argument: lines such as "name: default=1, help=text"."""
    found = {}
    for line in description.texts("inputs"):
        name, _, rest = line.partition(":")
        _, _, told = rest.partition("help=")
        found[name.strip()] = told.strip()
    return found


def _first(value: Any) -> Any:
    return value[:1] if isinstance(value, list) and len(set(map(str, value))) == 1 else value
