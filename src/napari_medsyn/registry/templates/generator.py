"""An example of a model that brings its own code; replace it by yours.

It draws a disc or a ring on a background of waves.  The waves' patterns are its weights,
and how strong each of them is, is its latent.

napari-medsyn never imports this file.  It is copied, with everything in the folder `code`,
to a process of its own, without a network and without access to other files.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np


def generate(
    model_file: str,
    num_samples: int,
    output_path: str,
    save_images: bool,
    input_latent_vector: Any = None,
    condition: str = "disc",
    radius: float = 14.0,
) -> list[Any] | None:
    """Make images; name, order and meaning of the first four arguments are medigan's.

    Parameters
    ----------
    model_file : the file with the weights.
    num_samples : how many images.
    output_path : a folder that may be written to.
    save_images : write the images there instead of giving them back.
    input_latent_vector : float32 (1, n, 1, 1), one number for each pattern; drawn if None.
        The random numbers of numpy and torch have been seeded by whoever calls.
    condition : "disc" or "ring".
    radius : of the shape, in pixels.

    Returns
    -------
    A list of uint8 pictures (height, width), row 0 on top.
    """
    patterns = read_weights(model_file)
    images = []
    for _ in range(num_samples):
        latent = input_latent_vector
        if latent is None:
            latent = np.random.standard_normal(len(patterns))  # noqa: NPY002
        images.append(draw(patterns, np.ravel(latent), condition, radius))
    if not save_images:
        return images
    for number, image in enumerate(images):
        np.save(Path(output_path) / f"{number:05d}.npy", image)
    return None


@lru_cache(maxsize=1)
def read_weights(model_file: str) -> Any:
    """The patterns (n, height, width), read once: the process stays between calls."""
    return np.load(model_file, allow_pickle=False)


def draw(patterns: Any, latent: Any, condition: str, radius: float) -> Any:
    """One picture: dark to bright waves, the shape brighter than they can be."""
    background = 0.35 + 0.08 * np.tensordot(latent, patterns, axes=1)
    height, width = background.shape
    rows, columns = np.mgrid[:height, :width]
    distance = np.hypot(rows - (height - 1) / 2, columns - (width - 1) / 2)
    inside = distance <= radius
    if condition == "ring":
        inside &= distance > 0.6 * radius
    picture = np.where(inside, background + 0.4, background)
    return np.round(255 * picture.clip(0, 1)).astype(np.uint8)
