"""A generative MONAI bundle, read as data: which networks, which sampling, which controls.

A bundle's configuration is a program in the form of a JSON file.  Here it is text from which
the few things are picked that describe a generator; what the bundle does besides (saving,
evaluating) is left alone, and what is needed but written as an expression is refused with
the key.  A handful of expressions that every published bundle uses for the noise, the number
of steps and the covariates are recognised by their whole text, and never run either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from napari_medsyn.errors import UnusableFile
from napari_medsyn.registry.importers.monai_bundle_description import (
    Bundle,
    Network,
    Noise,
    Sampling,
)
from napari_medsyn.registry.importers.monai_bundle_parts import (
    NETWORKS,
    SCHEDULERS,
    Kind,
    network_arguments,
    network_kind,
    scheduler_arguments,
    scheduler_kind,
)
from napari_medsyn.registry.importers.monai_bundle_text import Resolver, read_tree
from napari_medsyn.registry.importers.monai_bundle_weights import find_weights

#: Where a bundle's configuration may be; later files of a row add to the first one's keys.
CONFIGS: Final = (
    ("inference.json",),
    ("inference.yaml",),
    ("inference.yml",),
    ("common.yaml", "infer.yaml"),
)
_NETWORK_KEY: Final = re.compile(
    r"(network|autoencoder|diffusion|diffusion_unet|unet|generator|model)(_def|_model_def)?"
)
_SCHEDULER_KEYS: Final = ("noise_scheduler", "scheduler")
_ENTRY: Final = r"(?:\d{1,6}|@\w+)"
_NOISE: Final = re.compile(
    rf"\$torch\.(?P<draw>randn?)\((?:\[1\] ?\+ ?(?P<list>@\w+)"
    rf"|[(\[]?(?P<sizes>{_ENTRY}(?:, ?{_ENTRY}){{1,5}})[)\]]?)\)(?:\.to\(@device\))?"
)
_LATENTS: Final = re.compile(r"\$\[torch\.(?P<draw>randn?)\(@?\w+\) for \w+ in range\(@?\w+\)\]")
_STEPS: Final = re.compile(r"\$@\w+\.set_timesteps\((?:num_inference_steps ?= ?)?(?P<n>\d+|@\w+)\)")
_COVARIATES: Final = re.compile(
    r"\$torch\.tensor\(\[\[(?P<names>@\w+(?:, ?@\w+){0,31})\]\]\)"
    r"(?:\.to\(@device\))?(?:\.unsqueeze\(1\))?(?:\.to\(@device\))?"
)
#: What running NVIDIA's MAISI takes, from its README (version 0.4.5) and LICENSE.
MAISI: Final = (
    "MAISI needs an NVIDIA GPU (58 GB of its memory for 512 x 512 x 512 voxels), 21 GB of disk "
    "and weights under NVIDIA's NCLS v1 licence; its five networks are not run here yet"
)


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle's configuration; no weights are opened, nothing is run.

    Raises
    ------
    UnusableFile : it is no generative bundle, needs something to be evaluated or names
        something that is not on the list.
    """
    if not folder.is_dir():
        raise UnusableFile(folder, "is not a folder, so not a MONAI bundle")
    metadata = read_tree(folder / "configs" / "metadata.json")
    path, tree = _configuration(folder, metadata)
    if _is_maisi(metadata, tree):
        return Bundle(folder, path, metadata, listed=MAISI)
    reader = _Reader(folder, path, tree, metadata)
    networks = reader.networks()
    if "generator" in networks:
        return reader.generator(networks)
    if "unet" in networks:
        return reader.diffusion(networks)
    raise UnusableFile(path, "describes neither a Generator nor a DiffusionModelUNet")


def _is_maisi(metadata: Mapping[str, Any], tree: Mapping[str, Any]) -> bool:
    apps = metadata.get("supported_apps")
    targets = [part.get("_target_") for part in tree.values() if isinstance(part, dict)]
    return (isinstance(apps, dict) and any("maisi" in app for app in apps)) or any(
        isinstance(target, str) and ".maisi." in target for target in targets
    )


def _configuration(folder: Path, metadata: Mapping[str, Any]) -> tuple[Path, dict[str, Any]]:
    """The configuration of the inference, and the last file it was read from."""
    configs = folder / "configs"
    for names in CONFIGS:
        if (configs / names[-1]).exists():
            tree: dict[str, Any] = {}
            for name in names:
                tree.update(read_tree(configs / name))
            return configs / names[-1], tree
    if _is_maisi(metadata, {}):
        return configs / "metadata.json", {}
    raise UnusableFile(configs, "holds no inference.json (or .yaml); get the whole bundle")


class _Reader:
    """Picks the parts of one configuration."""

    def __init__(
        self, folder: Path, path: Path, tree: dict[str, Any], metadata: Mapping[str, Any]
    ) -> None:
        self.folder, self.path, self.tree, self.metadata = folder, path, tree, metadata
        self._resolver = Resolver(tree, path)
        self._notes: list[str] = []

    def networks(self) -> dict[Kind, Network]:
        """The networks that the conventional keys describe."""
        found: dict[Kind, Network] = {}
        for key, value in self.tree.items():
            if not isinstance(value, dict) or not _NETWORK_KEY.fullmatch(key):
                continue
            kind, is_legacy = self._kind(key, value)
            if kind in found:
                raise self._refuse(f"{key} is the second {kind}; which one is meant is not clear")
            arguments = self._arguments(key, value, kind)
            weights = find_weights(self.folder, kind, self.tree)
            found[kind] = Network(kind, arguments, is_legacy, weights)
        return found

    def generator(self, networks: Mapping[Kind, Network]) -> Bundle:
        """A bundle with one network from a latent vector to an image."""
        latent = networks["generator"].arguments["latent_shape"]
        return Bundle(
            folder=self.folder,
            config=self.path,
            metadata=self.metadata,
            networks={"generator": networks["generator"]},
            shape=tuple(latent) if isinstance(latent, list) else (latent,),
            noise=self._prior(),
            sigmoid=self._has_sigmoid(),
            notes=tuple(self._notes),
        )

    def diffusion(self, networks: Mapping[Kind, Network]) -> Bundle:
        """A bundle with a denoising network, in pixels or in an autoencoder's latent space."""
        unet = networks["unet"].arguments
        shape, noise = self._noise()
        covariates = self._covariates(unet)
        if len(shape) != unet["spatial_dims"] + 1:
            raise self._refuse(f"the noise of shape {shape} does not fit a network of "
                               f"{unet['spatial_dims']} dimensions")  # fmt: skip
        extra = unet["in_channels"] - shape[0]
        if extra not in (0, len(covariates)) or unet["out_channels"] != shape[0]:
            raise self._refuse(
                f"a network with {unet['in_channels']} channels in and {unet['out_channels']} out "
                f"does not fit noise of {shape[0]} channels and {len(covariates)} covariates"
            )
        return Bundle(
            folder=self.folder,
            config=self.path,
            metadata=self.metadata,
            networks=networks,
            sampling=self._sampling(networks["unet"]),
            shape=shape,
            noise=noise,
            covariates=covariates,
            notes=tuple(self._notes),
        )

    def _kind(self, key: str, part: Mapping[str, Any]) -> tuple[Kind, bool]:
        named = network_kind(part.get("_target_"))
        if named is None:
            raise self._refuse(
                f"{key}: _target_ {str(part.get('_target_'))[:80]!r} is not one of MONAI's "
                f"{', '.join(NETWORKS)}"
            )
        return named

    def _arguments(self, key: str, part: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
        if part.get("_disabled_") or "_mode_" in part:
            raise self._refuse(f"{key} uses _disabled_ or _mode_, which are not supported")
        given = {k: v for k, v in part.items() if k not in ("_target_", "_disabled_")}
        try:
            return network_arguments(kind, self._resolver.resolve(given, key))
        except ValueError as error:
            raise self._refuse(f"{key}: {error}") from error

    def _sampling(self, unet: Network) -> Sampling:
        key = next((k for k in _SCHEDULER_KEYS if isinstance(self.tree.get(k), dict)), None)
        if key is None:
            raise self._refuse("has no scheduler (noise_scheduler or scheduler)")
        part = self.tree[key]
        named = scheduler_kind(part.get("_target_"))
        if named is None:
            raise self._refuse(
                f"{key}: _target_ {str(part.get('_target_'))[:80]!r} is not one of "
                f"{', '.join(SCHEDULERS)}"
            )
        sampler, is_legacy = named
        given = {k: v for k, v in part.items() if k != "_target_"}
        try:
            arguments = scheduler_arguments(sampler, self._resolver.resolve(given, key))
        except ValueError as error:
            raise self._refuse(f"{key}: {error}") from error
        trained = int(arguments.get("num_train_timesteps", 1000))
        is_old = is_legacy or unet.is_legacy or _version(self.metadata) < (1, 6)
        return Sampling(
            sampler=sampler,
            arguments=arguments,
            spacing="leading" if is_old else "even",
            steps=min(trained, self._steps(trained if sampler == "ddpm" else 50)),
            scale_factor=self._scale_factor(),
        )

    def _steps(self, usual: int) -> int:
        told = self.tree.get("set_timesteps", self.tree.get("num_inference_steps", usual))
        if isinstance(told, str) and told.startswith("$"):
            match = _STEPS.fullmatch(told)
            if match is None:
                raise self._refuse(
                    f"set_timesteps {told[:60]!r} is not run; write num_inference_steps as a number"
                )
            told = int(match["n"]) if match["n"].isdigit() else match["n"]
        return self._whole(told, "num_inference_steps", 10_000)

    def _scale_factor(self) -> float:
        factor = self._resolver.resolve(self.tree.get("scale_factor", 1.0), "scale_factor")
        if isinstance(factor, bool) or not isinstance(factor, int | float) or factor <= 0:
            raise self._refuse("scale_factor must be a positive number")
        return float(factor)

    def _noise(self) -> tuple[tuple[int, ...], Noise]:
        told = self.tree.get("noise")
        match = _NOISE.fullmatch(told) if isinstance(told, str) else None
        if match is None:
            if "latent_shape" not in self.tree:
                raise self._refuse(
                    f"noise {str(told)[:60]!r} is not run; write its size as latent_shape: "
                    "[channels, sides]"
                )
            return self._sizes(self.tree["latent_shape"]), "normal"
        noise: Noise = "normal" if match["draw"] == "randn" else "uniform"
        if match["list"]:
            return self._sizes(match["list"]), noise
        sizes = [int(s) if s.isdigit() else s for s in re.split(r", ?", match["sizes"])]
        if sizes[0] != 1:
            raise self._refuse(
                "noise makes more than one image at a time; its first size must be 1"
            )
        return self._sizes(sizes[1:]), noise

    def _sizes(self, told: Any) -> tuple[int, ...]:
        sizes = self._resolver.resolve(told, "noise")
        if not isinstance(sizes, list) or not 2 <= len(sizes) <= 4:
            raise self._refuse("the size of the noise must be a list of channels and sides")
        return tuple(self._whole(size, "noise", 4096) for size in sizes)

    def _covariates(self, unet: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
        if not unet.get("with_conditioning", False):
            return ()
        if "text_encoder" in self.tree:
            raise self._refuse(
                "its network is conditioned on text by a text_encoder, which the bundle does not "
                "bring; only numbers as covariates are supported"
            )
        told = self.tree.get("conditioning")
        match = _COVARIATES.fullmatch(told) if isinstance(told, str) else None
        if match is not None:
            names = re.findall(r"\w+", match["names"])
        elif isinstance(told, list) and all(isinstance(n, str) for n in told):
            names = [name.removeprefix("@") for name in told]
        else:
            raise self._refuse(
                f"conditioning {str(told)[:60]!r} is not run; write the covariates as a list, "
                'such as ["@age", "@brain_vol"]'
            )
        if len(names) != unet.get("cross_attention_dim"):
            raise self._refuse(
                f"{len(names)} covariates for a network that reads "
                f"{unet.get('cross_attention_dim')}"
            )
        return tuple((name, self._default(name)) for name in names)

    def _default(self, name: str) -> float:
        value = self._resolver.resolve(self.tree.get(name, 0.0), name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._refuse(f"{name} is not a number")
        return float(value)

    def _prior(self) -> Noise:
        """What a generator's latent is drawn from: as the bundle does, or as its metadata says."""
        data = self.tree.get("dataset")
        drawn = data.get("data") if isinstance(data, dict) else None
        match = _LATENTS.fullmatch(drawn) if isinstance(drawn, str) else None
        if match is not None:
            return "normal" if match["draw"] == "randn" else "uniform"
        self._notes.append(
            "The bundle does not say plainly what its latent is drawn from; the standard normal "
            "distribution is taken."
        )
        return "normal"

    def _has_sigmoid(self) -> bool:
        steps = self.tree.get("postprocessing")
        transforms = steps.get("transforms") if isinstance(steps, dict) else None
        return any(
            isinstance(step, dict)
            and step.get("_target_") in ("Activationsd", "monai.transforms.Activationsd")
            and step.get("sigmoid") is True
            for step in (transforms if isinstance(transforms, list) else [])
        )

    def _whole(self, told: Any, where: str, most: int) -> int:
        value = self._resolver.resolve(told, where)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise self._refuse(f"{where} must be a whole number from 1 to {most}")
        return value

    def _refuse(self, reason: str) -> UnusableFile:
        return UnusableFile(self.path, reason)


def _version(metadata: Mapping[str, Any]) -> tuple[int, int]:
    """MONAI's version that the bundle was made for; a new one where it does not say."""
    match = re.match(r"(\d{1,3})\.(\d{1,3})", str(metadata.get("monai_version", "")))
    return (int(match[1]), int(match[2])) if match else (99, 0)
