"""Judging many 2 mm brains that no scanner made, without preparing each as a study.

A generator of the family `mssg` works on a crop of the covariate judge's own grid, in MNI152
and in the judges' intensity: nothing has to be registered or normalised.  The judge's network
runs on the crop alone, which changes its readings of real people by less than 0.1 years and
0.1 ml (`tests/real/test_crops_real.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableModel

if TYPE_CHECKING:
    from torch import Tensor

    from napari_medsyn.models.judges.covariates import CovariateJudge
    from napari_medsyn.models.judges.networks import TissueNet

Volumes = NDArray[np.float32]
Masks = NDArray[np.bool_]

#: First voxel and shape of the crop of the 2 mm grid of 91 x 109 x 91 that the brain fills.
LOW: Final = (5, 5, 0)
SHAPE: Final = (80, 100, 84)
#: Volume of a voxel of 2 mm, ml.
VOXEL_ML: Final = 0.008
#: Intensity above which a voxel of a generated T1 is brain, where no mask is given: the
#: darkest fluid of a real T1 lies above it.
DARKEST_BRAIN: Final = 0.01
#: The judge of age, sex and ventricles.
JUDGE: Final = "judge-covariates-t1"


def judge_crops(
    volumes: Volumes, brain: Masks | None = None, *, device: str = "cpu", exact: bool = False
) -> dict[str, NDArray[np.float32]]:
    """What the covariate judge reads in each of many crops.

    About 0.4 s a volume on one free core that computes in bfloat16, 0.75 s on another.

    Parameters
    ----------
    volumes : (N, 80, 100, 84) float32, T1 on the crop, 0 outside the brain, 1 = the 99.5th
        percentile inside.
    brain : (N, 80, 100, 84) bool; `brains_of` the volumes where None.
    device : "cpu" or "cuda…".
    exact : compute in float32 also where bfloat16 is faster; it moves the age by up to 0.1
        years and the ventricles by up to 0.1 ml.

    Returns
    -------
    dict of (N,) float32 : "age" in years, "male" a probability, "ventricles" in ml.

    Raises
    ------
    ValueError : the volumes are not crops of that shape.
    UnusableModel : the judge is not installed.
    """
    import torch

    judge = covariate_judge(device)
    network = judge.network
    ventricles = int(judge.card.architecture["ventricles_code"]) - 1
    read: dict[str, list[float]] = {"age": [], "male": [], "ventricles": []}
    with torch.inference_mode():
        for t1, inside in windows(volumes, brain, network.tissue, device):
            with bfloat16_on(device, exact):
                logits = network.tissue(t1, atlas_of(network.tissue))
            shares = _on_the_grid(logits[0].float().softmax(dim=0) * inside, network.tissue)
            age, log_odds = network(shares)
            read["age"].append(float(age))
            read["male"].append(float(torch.sigmoid(log_odds)))
            read["ventricles"].append(float(shares[ventricles].sum()) * VOXEL_ML)
    return {name: np.array(values, np.float32) for name, values in read.items()}


def brains_of(volumes: Volumes) -> Masks:
    """(N, X, Y, Z) bool: the largest connected part above `DARKEST_BRAIN`, its holes filled."""
    return np.stack([_brain_of(volume) for volume in volumes])


@lru_cache(maxsize=2)
def covariate_judge(device: str) -> CovariateJudge:
    """The installed judge of age, sex and ventricles, loaded once.

    Raises
    ------
    UnusableModel : it is not installed, or its grid is not the one that the crop belongs to.
    """
    from napari_medsyn.models.families import load_judge
    from napari_medsyn.registry.catalogue import Catalogue

    entry = Catalogue().get(JUDGE, "judge")
    if entry.card is None or entry.card.grid.shape != (91, 109, 91):
        raise UnusableModel(f"{entry.package}: the judge's grid is not 91 x 109 x 91 voxels")
    return cast("CovariateJudge", load_judge(entry.package, entry.card, device))


def windows(
    volumes: Volumes, brain: Masks | None, network: TissueNet, device: str
) -> Iterator[tuple[Tensor, Tensor]]:
    """The part of the grid around each crop whose sides the network can halve.

    Yields
    ------
    t1 : (1, 1, X, Y, Z) float32, 0 outside the brain.
    inside : (X, Y, Z) float32, 1 in the brain.
    """
    import torch

    from napari_medsyn.models.judges.networks import BRIGHTEST

    if volumes.ndim != 4 or volumes.shape[1:] != SHAPE:
        raise ValueError(f"the volumes have the shape {volumes.shape}, not (N, 80, 100, 84)")
    if brain is not None and brain.shape != volumes.shape:
        raise ValueError(f"masks of shape {brain.shape} for volumes of shape {volumes.shape}")
    window = _window(network)
    place = tuple(
        slice(low - cut.start, low - cut.start + n)
        for low, n, cut in zip(LOW, SHAPE, window, strict=True)
    )
    for i, volume in enumerate(volumes):
        mask = _brain_of(volume) if brain is None else brain[i]
        t1 = torch.zeros([cut.stop - cut.start for cut in window])
        inside = torch.zeros_like(t1)
        values = np.where(mask, volume, 0).astype(np.float32).clip(0, BRIGHTEST)
        t1[place] = torch.from_numpy(values)
        inside[place] = torch.from_numpy(mask.astype(np.float32))
        yield t1[None, None].to(device), inside.to(device)


def bfloat16_on(device: str, exact: bool) -> Any:
    """A context in which convolutions run in bfloat16 where the processor is made for it."""
    import torch

    fast = not exact and device == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.autocast("cpu", torch.bfloat16, enabled=fast)


def _brain_of(volume: Volumes) -> NDArray[np.bool_]:
    from scipy import ndimage

    bright = volume > DARKEST_BRAIN
    labels, count = ndimage.label(bright)
    if count > 1:
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        bright = labels == sizes.argmax()
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(bright)
    return filled


def _window(network: TissueNet) -> tuple[slice, slice, slice]:
    """The crop, grown to multiples of what the network halves; within its padded grid."""
    from napari_medsyn.models.judges.networks import HALVINGS

    step = 2**HALVINGS
    cuts = [
        slice(low // step * step, min(-(-(low + n) // step) * step, most))
        for low, n, most in zip(LOW, SHAPE, network.topology.padded, strict=True)
    ]
    return cuts[0], cuts[1], cuts[2]


def atlas_of(network: TissueNet) -> Tensor:
    """The atlas of the window."""
    from napari_medsyn.models.judges.networks import ATLAS_STEP

    cuts = [slice(c.start // ATLAS_STEP, c.stop // ATLAS_STEP) for c in _window(network)]
    return network.atlas[:, :, cuts[0], cuts[1], cuts[2]]


def _on_the_grid(shares: Tensor, network: TissueNet) -> Tensor:
    """(classes, 91, 109, 91) of a window's (classes, X, Y, Z), 0 beyond it."""
    whole = shares.new_zeros(shares.shape[0], *network.topology.shape)
    x, y, z = _window(network)
    whole[:, x, y, z] = shares
    return whole
