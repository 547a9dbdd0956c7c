"""From tissue fractions to the four contrasts, in 3D: texture, vessels, bias, blur, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.anatomy import Volume, smooth_noise
from training.mmhvae.simulate import LOOK, TEXTURE

#: How much of its mean intensity each structure varies from place to place.
VARIATION = {
    "white": 0.012,
    "cortex": 0.05,
    "cerebellar cortex": 0.04,
    "stem": 0.05,
    "fluid": 0.10,
    "lesion": 0.10,
}
#: Vessels in the fluid around the brain: flow voids, bright after contrast agent.
VESSEL = {"T1": 0.42, "T1c": 1.25, "T2": 0.22, "FLAIR": 0.35}
CHOROID = {"T1": 0.50, "T1c": 1.05, "T2": 0.68, "FLAIR": 0.72}
#: Deep white matter against white matter under the cortex, relative.
DEPTH = {"T1": 0.04, "T1c": 0.03, "T2": -0.10, "FLAIR": -0.05}
#: Blur of a 1 mm acquisition that was resampled: standard deviation, voxels.
BLUR = {"T1": 0.45, "T1c": 0.5, "T2": 0.55, "FLAIR": 0.6}
FAN = (-38.0, -30.0)  # y and z, MNI mm, from where the leaves of the cerebellum fan out
NOISE = 0.014  # standard deviation in each channel, relative to the 99.5th percentile
BIAS = 0.025


@dataclass(frozen=True, eq=False)
class Anatomy:
    """What is painted; all (X, Y, Z) fractions from 0 to 1 on a 1 mm grid.

    Parameters
    ----------
    tissue : by the names of `training.mmhvae.simulate.GROUPS`, without "lesion".
    lesion : replaces what is there.
    mask : bool, what is left after brain extraction.
    affine : (4, 4) voxel index to MNI world, mm; axes along the world's.
    """

    tissue: dict[str, Volume]
    lesion: Volume
    mask: NDArray[np.bool_]
    affine: NDArray[np.float64]

    def world(self, axis: int) -> Volume:
        """MNI coordinate along one axis, mm, with a shape that broadcasts."""
        steps = np.arange(self.mask.shape[axis], dtype=np.float32)
        shape = [1, 1, 1]
        shape[axis] = -1
        values = self.affine[axis, axis] * steps + self.affine[axis, 3]
        return np.asarray(values.reshape(shape), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Details:
    """What all modalities share besides the anatomy; fractions, texture and depth excepted."""

    texture: Volume
    depth: Volume
    vessel: Volume
    choroid: Volume
    folia: Volume


def make_details(anatomy: Anatomy, rng: np.random.Generator) -> Details:
    """Draw the shared texture and the small structures that the label maps lack."""
    shape = anatomy.mask.shape
    texture = sum(
        strength * smooth_noise(shape, width, rng)
        for width, strength in ((1.0, 0.25), (2.5, 0.2), (7.0, 0.25), (22.0, 0.25))
    )
    white = anatomy.tissue["white"]
    depth = ndimage.gaussian_filter(white, 6.0) - 0.5
    # Where two smooth fields are both near zero there are winding threads.
    first, second = smooth_noise(shape, 4.5, rng), smooth_noise(shape, 4.5, rng)
    vessel = np.exp(-(first**2 + second**2) / 0.05) * anatomy.tissue["fluid"]
    return Details(
        np.asarray(texture, np.float32),
        depth.astype(np.float32),
        vessel.astype(np.float32),
        _choroid(anatomy, rng),
        _folia(anatomy, rng),
    )


def _choroid(anatomy: Anatomy, rng: np.random.Generator) -> Volume:
    """Choroid plexus: a ragged fringe of the lateral ventricles along the thalamus."""
    near = ndimage.gaussian_filter(anatomy.tissue["thalamus"], 2.0)
    fringe = smooth_noise(anatomy.mask.shape, 1.3, rng)
    share = np.clip(7 * near * (1 + 0.5 * fringe) - 0.7, 0, 1) * anatomy.tissue["ventricle"] ** 2
    return np.asarray(share * (np.abs(anatomy.world(0)) > 5.0), dtype=np.float32)


def _folia(anatomy: Anatomy, rng: np.random.Generator) -> Volume:
    """Fluid between the leaves of the cerebellum, which the label maps do not resolve.

    The leaves fan out from the fourth ventricle in sagittal planes, about 4 mm apart at the
    surface, and wave a little.
    """
    cortex = anatomy.tissue["cerebellar cortex"]
    y, z = anatomy.world(1) - FAN[0], anatomy.world(2) - FAN[1]
    radius = np.hypot(y, z)
    angle = np.arctan2(z, -y)  # 0 at the back, where no leaf may be cut by the jump of π
    shape = cortex.shape
    wave = 0.055 * smooth_noise(shape, 7.0, rng) + 0.02 * smooth_noise(shape, 3.0, rng)
    leaves = 0.5 + 0.5 * np.cos(52.0 * (angle + wave))
    patchy = 1 + 0.4 * smooth_noise(shape, 6.0, rng)
    strength = np.clip((radius - 10.0) / 20.0, 0, 1) * patchy
    return np.asarray(np.clip(0.5 * strength * leaves**3, 0, 0.8) * cortex, dtype=np.float32)


def paint(modality: str, anatomy: Anatomy, details: Details, rng: np.random.Generator) -> Volume:
    """(X, Y, Z) magnitude image of one modality, 0 outside the mask, brain at about 1."""
    image = np.zeros(anatomy.mask.shape, np.float32)
    for name, share in anatomy.tissue.items():
        own = smooth_noise(share.shape, 4.0, rng)
        image += share * LOOK[name][modality] * (1 + VARIATION.get(name, 0.02) * own)
    white = anatomy.tissue["white"]
    image *= 1 + DEPTH[modality] * white * details.depth
    spot = LOOK["lesion"][modality] * (1 + VARIATION["lesion"] * smooth_noise(white.shape, 3, rng))
    image += anatomy.lesion * (spot - image)
    solid = 1 - anatomy.tissue["fluid"] - anatomy.tissue["ventricle"]
    image += TEXTURE[modality] * 0.8 * solid * details.texture
    image += details.folia * (LOOK["fluid"][modality] - image)
    image += details.vessel * (VESSEL[modality] - image)
    image += details.choroid * (CHOROID[modality] - image)
    image = ndimage.gaussian_filter(np.maximum(image, 0), BLUR[modality])
    image *= np.exp(BIAS * smooth_noise(image.shape, 45.0, rng))
    real, imaginary = NOISE * rng.standard_normal((2, *image.shape), dtype=np.float32)
    return np.asarray(np.hypot(image + real, imaginary) * anatomy.mask, np.float32)
