"""Where a bundle keeps the weights of each of its networks.

A configuration computes these paths by expressions, which are not evaluated: the files are
looked for by the names that published bundles use.  A path that is written out is taken,
if it stays inside the bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final

from napari_medsyn.errors import UnusableFile
from napari_medsyn.registry.importers.monai_bundle_parts import Kind
from napari_medsyn.registry.importers.monai_bundle_text import check_plain_file

#: Stems of weight files by network, the most telling one first.
STEMS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "autoencoder": ("autoencoder", "model_autoencoder", "autoencoderkl"),
    "unet": ("diffusion_model", "diffusion", "unet", "model"),
    "generator": ("generator", "model"),
}
#: What they may be: safetensors, or what torch saves.
SUFFIXES: Final = (".safetensors", ".pt", ".pth")
#: Keys under which a configuration may name the file.
KEYS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "autoencoder": ("load_autoencoder_path", "trained_autoencoder_path"),
    "unet": ("load_diffusion_path", "trained_diffusion_path", "ckpt_path"),
    "generator": ("ckpt_path",),
}


def find_weights(folder: Path, kind: Kind, tree: Mapping[str, Any]) -> Path:
    """The weight file of one of a bundle's networks.

    Parameters
    ----------
    folder : the bundle.
    kind : of the network.
    tree : the configuration.

    Raises
    ------
    UnusableFile : there is none, it is a link, lies outside the bundle or is TorchScript.
    """
    for key in KEYS[kind]:
        written = tree.get(key)
        if isinstance(written, str) and not written.startswith("$"):
            return _written(folder, key, written)
    models = folder / "models"
    for stem in STEMS[kind]:
        for suffix in SUFFIXES:
            path = models / f"{stem}{suffix}"
            if path.is_symlink() or path.exists():
                check_plain_file(path)
                return path
    if kind == "autoencoder" and (models / "model.safetensors").is_file():
        check_plain_file(models / "model.safetensors")
        return models / "model.safetensors"
    raise UnusableFile(models, _why_none(models, kind))


def _written(folder: Path, key: str, written: str) -> Path:
    """A path that the configuration spells out, below the bundle's folder."""
    is_absolute = PurePosixPath(written).is_absolute() or PureWindowsPath(written).drive
    steps = written.replace("\\", "/").split("/")
    if is_absolute or ".." in steps:
        raise UnusableFile(folder, f"{key} {written[:60]!r} leads out of the bundle")
    path = folder.joinpath(*steps)
    for parent in path.relative_to(folder).parents:
        if (folder / parent).is_symlink() and parent != Path("."):
            raise UnusableFile(folder / parent, "is a link; put the files into the bundle")
    if path.suffix not in SUFFIXES:
        raise UnusableFile(path, f"is not one of {', '.join(SUFFIXES)}")
    check_plain_file(path)
    return path


def _why_none(models: Path, kind: Kind) -> str:
    if any((models / f"{stem}.ts").exists() for stem in STEMS[kind]):
        return (
            f"the weights of the {kind} are there as TorchScript (.ts) only, which is a program; "
            "get the file .pt of the same bundle"
        )
    names = ", ".join(f"{stem}.pt" for stem in STEMS[kind])
    return (
        f"no weights of the {kind}: none of {names} (or .pth, .safetensors); download what the "
        "bundle's large_files.yml lists into this folder"
    )
