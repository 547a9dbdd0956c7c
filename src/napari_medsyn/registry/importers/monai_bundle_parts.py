"""Which networks and schedulers of MONAI a bundle may name, and with which arguments.

An allow-list: a class that is not in it, an argument that it does not know, or a value that
is not a literal of the right kind is refused.  The names are compared as text; what they
name is never imported.  Cards pass through the same checks when their model is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

Kind = Literal["autoencoder", "unet", "generator"]
Sampler = Literal["ddim", "ddpm"]

#: Class name to what it is here.  The module is one of MONAI's or of its predecessor, the
#: package `generative`, or is left out, as MONAI allows.
NETWORKS: Final[Mapping[str, Kind]] = {
    "AutoencoderKL": "autoencoder",
    "DiffusionModelUNet": "unet",
    "Generator": "generator",
}
SCHEDULERS: Final[Mapping[str, Sampler]] = {"DDIMScheduler": "ddim", "DDPMScheduler": "ddpm"}

_TARGET: Final = re.compile(
    r"(?:(?P<package>monai|generative)\.networks\.(?P<module>nets|schedulers)\.(?:\w+\.)?)?"
    r"(?P<name>[A-Za-z]\w*)"
)

#: Names of arguments in the package `generative` that MONAI has renamed.
_RENAMED: Final = {"num_channels": "channels", "use_checkpointing": "use_checkpoint"}
_RENAMED_SCHEDULES: Final = {
    "linear": "linear_beta",
    "scaled_linear": "scaled_linear_beta",
    "sigmoid": "sigmoid_beta",
}

Check = Callable[[Any], Any]


def _integer(low: int, high: int) -> Check:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return check


def _number(low: float, high: float) -> Check:
    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("must be a number")
        if not low <= value <= high:
            raise ValueError(f"must be from {low:g} to {high:g}")
        return float(value)

    return check


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _one_of(*words: str) -> Check:
    def check(value: Any) -> str:
        if value not in words or not isinstance(value, str):
            raise ValueError(f"must be one of {', '.join(words)}")
        return value

    return check


def _several(each: Check, most: int = 12) -> Check:
    def check(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= most:
            raise ValueError(f"must be a list of 1 to {most} values")
        return [each(item) for item in value]

    return check


def _either(one: Check, other: Check) -> Check:
    """`other` for lists, `one` for all else."""

    def check(value: Any) -> Any:
        return other(value) if isinstance(value, list | tuple) else one(value)

    return check


def _optional(each: Check) -> Check:
    def check(value: Any) -> Any:
        return None if value is None else each(value)

    return check


def _never(reason: str) -> Check:
    def check(value: Any) -> None:
        if value is not None:
            raise ValueError(reason)

    return check


_WIDTH: Final = _integer(1, 8192)
_COUNT: Final = _integer(0, 16)
_SIDE: Final = _integer(1, 1024)

_COMMON: Final[Mapping[str, Check]] = {
    "spatial_dims": _integer(2, 3),
    "in_channels": _WIDTH,
    "out_channels": _WIDTH,
    "num_res_blocks": _either(_COUNT, _several(_COUNT)),
    "channels": _several(_WIDTH),
    "attention_levels": _several(_flag),
    "norm_num_groups": _WIDTH,
    "norm_eps": _number(0, 1),
    "include_fc": _flag,
    "use_combined_linear": _flag,
    "use_flash_attention": _flag,
}

#: What each network's constructor may be given.
ARGUMENTS: Final[Mapping[Kind, Mapping[str, Check]]] = {
    "autoencoder": {
        **_COMMON,
        "latent_channels": _WIDTH,
        "with_encoder_nonlocal_attn": _flag,
        "with_decoder_nonlocal_attn": _flag,
        "use_checkpoint": _flag,
        "use_convtranspose": _flag,
    },
    "unet": {
        **_COMMON,
        "resblock_updown": _flag,
        "num_head_channels": _either(_WIDTH, _several(_integer(0, 8192))),
        "with_conditioning": _flag,
        "transformer_num_layers": _integer(1, 16),
        "cross_attention_dim": _optional(_WIDTH),
        "num_class_embeds": _never("class embeddings are not supported; only null is"),
        "upcast_attention": _flag,
        "dropout_cattn": _number(0, 1),
    },
    "generator": {
        "latent_shape": _either(_integer(1, 4096), _several(_integer(1, 4096), 4)),
        "start_shape": _several(_SIDE, 4),
        "channels": _several(_WIDTH),
        "strides": _several(_integer(1, 8)),
        "kernel_size": _either(_integer(1, 11), _several(_integer(1, 11), 3)),
        "num_res_units": _COUNT,
        "act": _one_of("PRELU", "RELU", "LEAKYRELU", "ELU", "SWISH", "prelu", "relu", "leakyrelu"),
        "norm": _one_of("INSTANCE", "BATCH", "instance", "batch"),
        "dropout": _optional(_number(0, 1)),
        "bias": _flag,
    },
}

#: Without these a network is not described.
REQUIRED: Final[Mapping[Kind, tuple[str, ...]]] = {
    "autoencoder": ("spatial_dims", "channels", "attention_levels", "latent_channels"),
    "unet": ("spatial_dims", "in_channels", "out_channels", "channels", "attention_levels"),
    "generator": ("latent_shape", "start_shape", "channels", "strides"),
}

_SCHEDULE: Final[Mapping[str, Check]] = {
    "num_train_timesteps": _integer(1, 10_000),
    "schedule": _one_of("linear_beta", "scaled_linear_beta", "sigmoid_beta"),
    "beta_start": _number(0, 1),
    "beta_end": _number(0, 1),
    "clip_sample": _flag,
    "clip_sample_min": _number(-1e3, 1e3),
    "clip_sample_max": _number(-1e3, 1e3),
    "prediction_type": _one_of("epsilon", "sample", "v_prediction"),
}
#: The same for schedulers.
SCHEDULER_ARGUMENTS: Final[Mapping[Sampler, Mapping[str, Check]]] = {
    "ddim": {**_SCHEDULE, "set_alpha_to_one": _flag, "steps_offset": _integer(0, 100)},
    "ddpm": {**_SCHEDULE, "variance_type": _one_of("fixed_small", "fixed_large")},
}


def network_kind(target: Any) -> tuple[Kind, bool] | None:
    """What `_target_` names, and whether in the spelling of the package `generative`.

    None for anything that is not on the list.
    """
    match = _target(target, "nets")
    if match is None or match["name"] not in NETWORKS:
        return None
    return NETWORKS[match["name"]], match["package"] == "generative"


def scheduler_kind(target: Any) -> tuple[Sampler, bool] | None:
    """The same for a scheduler."""
    match = _target(target, "schedulers")
    if match is None or match["name"] not in SCHEDULERS:
        return None
    return SCHEDULERS[match["name"]], match["package"] == "generative"


def network_arguments(kind: Kind, given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` under MONAI's present names, each value checked.

    Raises
    ------
    ValueError : an argument is unknown, missing or of the wrong kind; names it.
    """
    renamed = _rename(given)
    checked = _checked(renamed, ARGUMENTS[kind], kind)
    missing = [name for name in REQUIRED[kind] if name not in checked]
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    return checked


def scheduler_arguments(sampler: Sampler, given: Mapping[str, Any]) -> dict[str, Any]:
    """The same for a scheduler."""
    renamed = dict(given)
    if "beta_schedule" in renamed and "schedule" not in renamed:
        name = renamed.pop("beta_schedule")
        renamed["schedule"] = _RENAMED_SCHEDULES.get(name, name) if isinstance(name, str) else name
    return _checked(renamed, SCHEDULER_ARGUMENTS[sampler], f"{sampler} scheduler")


def _rename(given: Mapping[str, Any]) -> dict[str, Any]:
    renamed: dict[str, Any] = {}
    for old, value in given.items():
        name = _RENAMED.get(old, old)
        if name in renamed:
            raise ValueError(f"{name} is given twice, once under its old name")
        renamed[name] = value
    return renamed


def _checked(given: Mapping[str, Any], known: Mapping[str, Check], what: str) -> dict[str, Any]:
    checked = {}
    for name, value in given.items():
        if name == "_target_":
            continue
        if name not in known:
            raise ValueError(f"{name} is not an argument that a {what} may have")
        try:
            checked[name] = known[name](value)
        except ValueError as error:
            raise ValueError(f"{name} {str(value)[:60]!r} {error}") from None
    return checked


def _target(target: Any, module: str) -> re.Match[str] | None:
    match = _TARGET.fullmatch(target) if isinstance(target, str) else None
    return match if match is not None and match["module"] in (None, module) else None
