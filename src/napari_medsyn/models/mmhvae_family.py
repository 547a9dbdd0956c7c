"""MMHVAE as a family: encode each modality once, then impute any subset in a blink.

The encodings of every modality and slice are kept, so switching a modality, moving the
temperature or taking another seed re-runs only the shared top-down part.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from napari_medsyn.errors import UnusableModel, UnusableStudy
from napari_medsyn.models.family import ControlValues, Region, Rendered
from napari_medsyn.models.mmhvae import MMHVAE, Decoded, Noise, Topology, positions

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.scans.preparation import PreparedStudy

#: Slices times samples in one region, which nothing interrupts.  On a CPU a slice costs the
#: same alone as in a batch, and whoever drags a slider waits for the region under way.
PASSES_CPU, PASSES_GPU = 2, 32
#: Neighbouring slices that are encoded together.
ENCODED_TOGETHER_CPU, ENCODED_TOGETHER_GPU = 2, 16
#: Distance between slices whose noise is independent; those between blend their neighbours'.
ANCHOR_EVERY = 8
#: Values above this (1 is the 99.5th percentile of the brain) are outliers of the network.
BRIGHTEST = 1.5
#: What building and filling a network raises where card and weights do not fit.
_MISFITS: tuple[type[Exception], ...] = (
    TypeError,
    ValueError,
    KeyError,
    IndexError,
    ZeroDivisionError,
    RuntimeError,
    SafetensorError,
)


def load(card: ModelCard, weights: Path, device: str) -> MMHVAEFamily:
    """Build the network that the card describes and fill it, strictly, from safetensors.

    Raises
    ------
    UnusableModel : the weights are not those of the architecture.
    """
    from safetensors.torch import load_file

    try:
        topology = Topology.from_card(card.architecture)
        _check_card(card, topology)
        net = MMHVAE(topology)
        net.load_state_dict(load_file(weights), strict=True)
    except _MISFITS as error:
        raise UnusableModel(
            f"{weights}: the weights do not fit the card's architecture ({_reason(error)}); "
            "get the package again"
        ) from error
    return MMHVAEFamily(card, net, torch.device(device))


def _check_card(card: ModelCard, topology: Topology) -> None:
    """Refuse now what would fail in the middle of a volume."""
    strange = [m for m in card.modalities if m not in topology.modalities]
    if strange:
        raise ValueError(f"the network has no modality {strange[0]!r}")
    height, width, _ = card.grid.shape
    if not topology.fits(height, width):
        raise ValueError(f"the network cannot take slices of {height} x {width}")


def _reason(error: Exception) -> str:
    """The first line of an error that says something: torch's begins with a heading."""
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [line for line in lines if line and not line.endswith(":")] or lines
    return telling[0][:200].rstrip(".") if telling else type(error).__name__


@dataclass(eq=False)
class Encodings:
    """One study on the model's grid, and what has been encoded of it so far.

    Parameters
    ----------
    volumes : modality to (X, Y, Z) in normalised intensity.
    mask : (X, Y, Z) bool.
    skips : modality and slice to that slice's encoding, finest scale first, float16.
    """

    content: str
    volumes: Mapping[str, NDArray[np.float32]]
    mask: NDArray[np.bool_]
    skips: dict[tuple[str, int], list[Tensor]] = field(default_factory=dict)

    _planes: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    @cached_property
    def inside(self) -> Tensor:
        """(Z, X, Y) bool: `mask` with contiguous slices."""
        return torch.from_numpy(np.ascontiguousarray(self.mask.transpose(2, 0, 1)))

    def planes(self, modality: str) -> NDArray[np.float32]:
        """(Z, X, Y): one of `volumes` with contiguous slices."""
        if modality not in self._planes:
            volume = self.volumes[modality]
            self._planes[modality] = np.ascontiguousarray(volume.transpose(2, 0, 1))
        return self._planes[modality]


class MMHVAEFamily:
    """A loaded MMHVAE on one device."""

    def __init__(self, card: ModelCard, net: MMHVAE, device: torch.device) -> None:
        self.card = card
        self.topology = net.topology
        self.device = device
        self._is_cpu = device.type == "cpu"
        net = net.eval().requires_grad_(False).to(device)
        self.net: MMHVAE = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._spread_scale = float((card.calibration or {}).get("std_scale", 1.0))
        self._encodings: Encodings | None = None
        self._noise = CoherentNoise(device)

    def condition(self, study: PreparedStudy | None, controls: ControlValues) -> Encodings:
        """The study's encodings, those of the last time if it is the same study."""
        del controls  # every modality is encoded when it is first read
        if study is None:
            raise UnusableStudy(f"{self.card.name} imputes from a scan; load one first")
        if self._encodings is None or self._encodings.content != study.content_hash:
            self._encodings = Encodings(study.content_hash, study.volumes, study.mask)
        return self._encodings

    def plan(
        self, first: Sequence[int], slices: Sequence[int], controls: ControlValues
    ) -> list[Region]:
        """What is on screen, then the rest in the order given; see `PASSES_CPU`."""
        size = max(1, (PASSES_CPU if self._is_cpu else PASSES_GPU) // _samples(controls))
        seen = set(first)
        rest = [k for k in slices if k not in seen]
        return [Region(tuple(chunk)) for part in (first, rest) for chunk in _chunks(part, size)]

    @torch.inference_mode()
    def render(self, conditioning: Encodings, controls: ControlValues, region: Region) -> Rendered:
        """Impute and reconstruct the slices of one region.

        On a CPU a slice's bits do not depend on the other slices of the region, nor on what
        has been rendered before.

        The spread is the posterior predictive standard deviation: by the law of total
        variance, the variance of the K samples' images plus the mean of the likelihood's
        own variance (2 b^2 for a Laplace scale b), times the card's calibrated factor.
        At temperature 0 there is one mean path, and only the likelihood's part remains.
        """
        shape = (*conditioning.mask.shape[:2], len(region.slices))
        targets = list(controls.get("targets") or self.topology.modalities)
        present = [m for m in self.topology.modalities if m in set(controls["present"])]
        if not present:
            raise UnusableStudy("every modality is switched off; switch one on")
        mean, std = _empty(targets, shape), _empty(targets, shape)
        wanted = [i for i, k in enumerate(region.slices) if conditioning.inside[k].any()]
        # oneDNN adds up in another order for another batch: one slice at a time.
        for places in _chunks(wanted, 1 if self._is_cpu else max(1, len(wanted))):
            slices = [region.slices[i] for i in places]
            inside = conditioning.inside[slices].to(self.device)
            decoded = self._decode(conditioning, present, targets, controls, slices)
            for modality in targets:
                log_scale = decoded.log_scale.get(modality)
                images = self._summary(decoded.mean[modality], log_scale, _samples(controls))
                for volumes, image in zip((mean, std), images, strict=True):
                    volumes[modality][:, :, places] = _to_numpy(image * inside)
        return Rendered(region, mean, std)

    def _decode(
        self,
        conditioning: Encodings,
        present: Sequence[str],
        targets: Sequence[str],
        controls: ControlValues,
        slices: Sequence[int],
    ) -> Decoded:
        """One pass of the shared part: (samples * n, …), sample by sample."""
        temperature, samples = float(controls["temperature"]), _samples(controls)
        skips = {m: self._encoded(conditioning, m, slices, samples) for m in present}
        noise = None
        if temperature > 0:
            noise = self._noise.of(int(controls["seed"]), samples, slices)
        return self.net.decode(skips, targets=targets, noise=noise, temperature=temperature)

    def _summary(
        self, images: Tensor, log_scale: Tensor | None, samples: int
    ) -> tuple[Tensor, Tensor]:
        """Mean and predictive spread of (samples * n, 1, X, Y) over the samples: (n, X, Y)."""
        if self.topology.layout == "published":
            images = (images + 1) / 2
        drawn = images[:, 0].float().unflatten(0, (samples, -1))
        variance = drawn.var(dim=0, unbiased=samples > 1) if samples > 1 else 0.0 * drawn[0]
        if log_scale is not None:
            scale = log_scale[:, 0].float().clamp(-6.0, 0.0).exp()
            variance = variance + (2 * scale**2).unflatten(0, (samples, -1)).mean(dim=0)
        return drawn.mean(dim=0).clamp(0, BRIGHTEST), self._spread_scale * variance.sqrt()

    def _encoded(
        self, study: Encodings, modality: str, slices: Sequence[int], samples: int
    ) -> list[Tensor]:
        """Skips of the slices, repeated for each sample."""
        for k in slices:
            if (modality, k) not in study.skips:
                self._encode(study, modality, k)
        kept = [study.skips[modality, k] for k in slices]
        return [_repeated(scale, samples) for scale in zip(*kept, strict=True)]

    def _encode(self, study: Encodings, modality: str, k: int) -> None:
        """Encode slice `k` and those that share its place in the volume, always the same."""
        size = ENCODED_TOGETHER_CPU if self._is_cpu else ENCODED_TOGETHER_GPU
        begin = k - k % size
        slices = range(begin, min(begin + size, study.mask.shape[2]))
        where = None
        if self.topology.positions:
            where = positions(torch.tensor(slices), study.mask.shape, self.topology.patch)
            where = where.to(self.device)
        levels = self.net.encode(modality, self._input(study.planes(modality), slices), where)
        # Half precision halves the cache; always through it, so that results do not depend on
        # what was cached.
        halved = [level.half() for level in levels]
        for i, other in enumerate(slices):
            study.skips[modality, other] = [level[i] for level in halved]

    def _input(self, planes: NDArray[np.float32], slices: Sequence[int]) -> Tensor:
        """(n, 1 + 2 context, X, Y): each slice with its neighbours, the ends repeated.

        `planes` is a volume with contiguous slices, (Z, X, Y).
        """
        reach = np.arange(-self.topology.context, self.topology.context + 1)
        index = np.clip(np.asarray(slices)[:, None] + reach, 0, len(planes) - 1)
        x = torch.from_numpy(planes[index]).to(self.device)
        if self.topology.layout == "published":
            x = 2 * x.clamp(max=1) - 1  # its images end where its normalisation clips
        return x.contiguous(memory_format=torch.channels_last)


class CoherentNoise:
    """One field of standard normal noise for a whole volume, read slice by slice.

    Slices `ANCHOR_EVERY` apart are independent; those between are blends that keep unit
    variance, so that neighbours vary smoothly and the volume does not flicker.  A value
    depends on seed, sample, level and slice only, never on how slices are batched.  All
    random numbers come from the CPU, so that a GPU gives the same latents.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._seed: int | None = None
        self._anchors: dict[tuple[int, int, int, tuple[int, ...]], Tensor] = {}

    def of(self, seed: int, samples: int, slices: Sequence[int]) -> Noise:
        """The noise function for a batch of `samples` repeats of `slices`."""
        if seed != self._seed:
            self._seed = seed
            self._anchors.clear()

        def noise(level: int, like: Tensor) -> Tensor:
            shape = tuple(like.shape[1:])
            fields = [
                self._slice(sample, level, k, shape) for sample in range(samples) for k in slices
            ]
            return torch.stack(fields).to(self._device, like.dtype)

        return noise

    def _slice(self, sample: int, level: int, k: int, shape: tuple[int, ...]) -> Tensor:
        anchor, offset = divmod(k, ANCHOR_EVERY)
        below = self._anchor(sample, level, anchor, shape)
        if offset == 0:
            return below
        w = offset / ANCHOR_EVERY
        above = self._anchor(sample, level, anchor + 1, shape)
        return ((1 - w) * below + w * above) / float(np.hypot(1 - w, w))

    def _anchor(self, sample: int, level: int, anchor: int, shape: tuple[int, ...]) -> Tensor:
        key = (sample, level, anchor, shape)
        if key not in self._anchors:
            words = f"{self._seed}/{sample}/{level}/{anchor}".encode()
            generator = torch.Generator().manual_seed(zlib.crc32(words))
            self._anchors[key] = torch.randn(shape, generator=generator)
        return self._anchors[key]


def _empty(names: Sequence[str], shape: tuple[int, ...]) -> dict[str, NDArray[np.float32]]:
    """(X, Y, n) zeros for each name; a slice is contiguous."""
    return {m: np.zeros((shape[2], *shape[:2]), np.float32).transpose(1, 2, 0) for m in names}


def _repeated(levels: Sequence[Tensor], samples: int) -> Tensor:
    """(samples * n, C, H, W) float32, channels_last, from n half-precision encodings."""
    n = len(levels)
    # Filled, not stacked: of a batch of one, torch forgets on the way that it is channels_last,
    # and every layer that follows pays for that.
    batch = torch.empty(
        (samples * n, *levels[0].shape),
        device=levels[0].device,
        memory_format=torch.channels_last,
    )
    for i, level in enumerate(levels):
        batch[i::n] = level
    return batch


def _samples(controls: ControlValues) -> int:
    """How many samples are drawn: one where they would all be the same."""
    return int(controls["samples"]) if float(controls["temperature"]) > 0 else 1


def _chunks(items: Iterable[int], size: int) -> Iterable[list[int]]:
    listed = list(items)
    return (listed[i : i + size] for i in range(0, len(listed), size))


def _to_numpy(planes: Tensor) -> NDArray[Any]:
    """(n, X, Y) on the device to (X, Y, n) float32."""
    return planes.permute(1, 2, 0).cpu().numpy()
