"""Comparing a converted model with an output of the original, and recording one of ours.

Weights of the right shapes load without complaint whether or not the network does with them
what the original did; only an output can tell.  A bundle may bring one as `golden.npz`:

- of a generator: `z` (n, …), latents, and `image` (n, C, …), what the bundle's own pipeline
  made of them, its sigmoid included;
- of a diffusion: `noise` (1, C, …), `image` (1, C, …), what the pipeline made of it; and, if
  they differ from the bundle's defaults, `covariates` (k,) and `steps` ().
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableFile
from napari_medsyn.models.monai.diffusion import MonaiDiffusion
from napari_medsyn.models.monai.gan import MonaiGAN
from napari_medsyn.registry.importers.monai_bundle_text import check_plain_file

GOLDEN: Final = "golden.npz"
#: The largest difference that is rounding.
TOLERANCE: Final = 1e-4
#: A volume of 256 voxels a side, and some.
_MAX_BYTES: Final = 2**28
_NOT_CHECKED: Final = (
    "The imported model could not be compared with the original: the bundle has no golden.npz "
    "with an output of it."
)


def compare_with_golden(family: MonaiGAN | MonaiDiffusion, path: Path) -> str:
    """Make the golden output again; a note that says what came of it.

    Raises
    ------
    UnusableFile : the outputs differ, or the file does not hold what it should.
    """
    if not path.exists() and not path.is_symlink():
        return _NOT_CHECKED
    arrays = _read(path)
    try:
        ours = _again(family, arrays)
        theirs = torch.from_numpy(arrays["image"])
        if ours is None:
            return "The golden output was not compared: this model adds noise at each step."
        if ours.shape != theirs.shape:
            raise ValueError(f"its image is {tuple(theirs.shape)}, ours {tuple(ours.shape)}")
        largest = float((ours - theirs).abs().max())
    except (ValueError, KeyError, RuntimeError, TypeError) as error:
        raise UnusableFile(path, f"cannot be compared with ({str(error)[:200]})") from error
    if not largest <= TOLERANCE:
        raise UnusableFile(
            path,
            f"the imported model differs from it by up to {largest:.2g}; the weights are not those "
            "that made it, or a flag of the configuration such as include_fc is not the one "
            "they need",
        )
    return (
        "The imported model equals the original's golden output (largest difference "
        f"{largest:.1g})."
    )


def record(family: MonaiGAN | MonaiDiffusion) -> tuple[dict[str, Any], bytes]:
    """The card's `golden` and the content of its file: the middle slice for few steps."""
    card = family.card
    values: dict[str, Any] = {c.name: getattr(c, "default", None) for c in card.controls}
    changed = {
        c.name: c.minimum for c in card.controls if c.kind == "integer" and c.name == "steps"
    }
    values |= changed
    values["latent"] = ()
    middle = card.grid.shape[2] // 2
    output = card.outputs[0]
    region = family.plan([], [middle], values)[-1]
    conditioning: Any = family.condition(None, values)
    rendered = family.render(conditioning, values, region)
    content = io.BytesIO()
    np.save(content, rendered.mean[output], allow_pickle=False)
    golden = {
        "file": "golden.npy",
        "output": output,
        "slices": [middle],
        "controls": changed,
        "study": "none",
    }
    return golden, content.getvalue()


def _again(
    family: MonaiGAN | MonaiDiffusion, arrays: Mapping[str, NDArray[Any]]
) -> torch.Tensor | None:
    with torch.inference_mode():
        if isinstance(family, MonaiGAN):
            return family.outputs(torch.from_numpy(arrays["z"])).float().cpu()
        noise = torch.from_numpy(arrays["noise"])
        steps = int(arrays["steps"]) if "steps" in arrays else None
        told = arrays.get("covariates")
        covariates = None if told is None else tuple(float(v) for v in told.ravel())
        return family.output_of(noise, steps, covariates)


def _read(path: Path) -> dict[str, NDArray[np.float32]]:
    check_plain_file(path)
    if path.stat().st_size > _MAX_BYTES:
        raise UnusableFile(path, f"is larger than {_MAX_BYTES} bytes")
    try:
        with np.load(path) as file:
            if sum(member.file_size for member in file.zip.infolist()) > _MAX_BYTES:
                raise UnusableFile(path, f"unpacks to more than {_MAX_BYTES} bytes")
            return {name: np.asarray(file[name], dtype=np.float32) for name in file.files}
    except (OSError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise UnusableFile(path, f"is not a file of numpy arrays ({error})") from error
