"""The training loop: one subset of the modalities a step, stop and resume without loss."""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from napari_medsyn.models.mmhvae import MMHVAE, Topology, positions
from training.mmhvae import losses
from training.mmhvae.config import ARCHITECTURE, GRID_SHAPE, MODALITIES, Config
from training.mmhvae.pool import CHUNK, Pool
from training.mmhvae.scans import RealSlices, vary
from training.mmhvae.simulate import Simulator

SAVE_EVERY = 100
FOLD = int(ARCHITECTURE["patch"])


def draw_subset(present: Sequence[bool], generator: torch.Generator) -> list[int]:
    """Which of the modalities that are there the network may read in this step.

    All but one, T1 alone, another one alone, or any subset: the cases that users meet.
    """
    there = [i for i, p in enumerate(present) if p]
    kind = float(torch.rand((), generator=generator))
    order = [there[i] for i in torch.randperm(len(there), generator=generator).tolist()]
    if kind < 0.4 and len(there) > 1:
        return order[:-1]
    if kind < 0.65 and 0 in there:
        return [0]
    if kind < 0.8:
        return order[:1]
    size = int(torch.randint(1, len(there) + 1, (), generator=generator))
    return order[:size]


def draw_windows(mask: Tensor, side: int, generator: torch.Generator) -> list[tuple[int, int]]:
    """First pixel of a square window around a random brain pixel of each slice.

    Even, so that it can be found again after the network has folded pixels two by two.
    """
    corners = []
    for one in mask:
        brain = torch.nonzero(one if one.any() else torch.ones_like(one))
        centre = brain[torch.randint(len(brain), (), generator=generator)].tolist()
        corner = [
            min(max(c - side // 2, 0), n - side) for c, n in zip(centre, one.shape, strict=True)
        ]
        corners.append((corner[0] // 2 * 2, corner[1] // 2 * 2))
    return corners


def cut(images: Tensor, corners: Sequence[tuple[int, int]], side: int) -> Tensor:
    """(n, …, side, side): the window of each of (n, …, X, Y) images."""
    windows = [
        image[..., x : x + side, y : y + side]
        for image, (x, y) in zip(images, corners, strict=True)
    ]
    return torch.stack(windows)


class Trainer:
    """Holds the network, its average, the optimiser and the data of one run."""

    def __init__(
        self, config: Config, simulator: Simulator | None, real: RealSlices | None, out: Path
    ) -> None:
        self.config, self.simulator, self.real, self.out = config, simulator, real, out
        torch.manual_seed(config.seed)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        net = MMHVAE(Topology.from_card(ARCHITECTURE)).to(self.device)
        self.net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.net).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.generator = torch.Generator().manual_seed(config.seed)
        self.step = 0
        self.pool = None
        if simulator is not None and config.pool:
            self.pool = Pool(simulator, config.pool, config.seed)

    def start_from(self, state: dict[str, Tensor]) -> None:
        """Begin with weights of an earlier run (its optimiser is not taken over)."""
        self.net.load_state_dict(state)
        self.average.load_state_dict(state)

    def learning_rate(self) -> float:
        """Cosine with a short warm-up."""
        c = self.config
        warm = max(1, int(0.03 * c.steps))
        if self.step < warm:
            return c.learning_rate * (self.step + 1) / warm
        done = (self.step - warm) / max(1, c.steps - warm)
        return c.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))

    def run(self) -> None:
        """Train to the end, saving as it goes."""
        log: dict[str, float] = {}
        began = time.time()
        while self.step < self.config.steps:
            terms = self.one_step()
            self.step += 1
            for name, value in terms.items():
                log[name] = 0.95 * log.get(name, value) + 0.05 * value
            if self.step % 20 == 0:
                line = {"step": self.step, "minutes": round((time.time() - began) / 60, 2)}
                line |= {k: round(v, 4) for k, v in log.items()}
                with (self.out / "log.jsonl").open("a") as file:
                    file.write(json.dumps(line) + "\n")
            if self.step % SAVE_EVERY == 0 or self.step == self.config.steps:
                self.save()

    def one_step(self) -> dict[str, float]:
        """One optimiser step; returns the terms of its loss."""
        c, g = self.config, self.generator
        use_real = self.real is not None and float(torch.rand((), generator=g)) < c.real
        if use_real or self.simulator is None:
            assert self.real is not None
            inputs, targets, present, mask, slices = self.real.batch(c.batch, g)
        else:
            if self.pool is not None:
                self.pool.advance(self.pool.chunks + int(self.step * c.fresh / CHUNK))
                images, slices = self.pool.draw(c.batch, g)
            else:
                images, slices = self.simulator.batch(c.batch, g)
            inputs, targets = vary(images, g), images[:, :, 1]
            present = torch.ones(len(MODALITIES), dtype=torch.bool)
            mask = targets.sum(dim=1) > 0
        fed = draw_subset(present.tolist(), g)
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate()
        where = positions(slices, GRID_SHAPE, FOLD)
        if c.crop and self.step < (1 - c.whole) * c.steps:
            corners = draw_windows(mask, c.crop, g)
            inputs, targets, mask = (cut(x, corners, c.crop) for x in (inputs, targets, mask))
            folded = [(x // FOLD, y // FOLD) for x, y in corners]
            where = cut(where, folded, c.crop // FOLD)
        loss, terms = self.loss(inputs, targets, present, mask, where, fed)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for a, p in zip(self.average.parameters(), self.net.parameters(), strict=True):
                a.lerp_(p, 1 - decay)
        return {f"{'real' if use_real else 'sim'}_{k}": v for k, v in terms.items()}

    def loss(
        self,
        inputs: Tensor,
        targets: Tensor,
        present: Tensor,
        mask: Tensor,
        where: Tensor,
        fed: list[int],
    ) -> tuple[Tensor, dict[str, float]]:
        """Loss of one batch when only the modalities `fed` are read."""
        c = self.config
        where = where.to(self.device)
        inside = mask[:, None].float().to(self.device)
        wanted = [i for i in range(len(MODALITIES)) if present[i]]
        with torch.autocast(self.device.type, torch.bfloat16):
            skips = {}
            for i in fed:
                x = inputs[:, i].to(self.device, memory_format=torch.channels_last)
                skips[MODALITIES[i]] = self.net.encode(MODALITIES[i], x, where)
            decoded = self.net.decode(
                skips,
                targets=[MODALITIES[i] for i in wanted],
                noise=lambda _, like: torch.randn_like(like),
                keep_latents=True,
            )
        total = torch.zeros((), device=self.device)
        missing: list[float] = []
        for i in wanted:
            name = MODALITIES[i]
            mean, log_scale = decoded.mean[name].float(), decoded.log_scale[name].float()
            # A modality that was fed is reconstructed as fed, a missing one as scanned.
            target = (inputs[:, i, 1] if i in fed else targets[:, i])[:, None].to(self.device)
            term = losses.reconstruction(
                mean, target * inside, inside, structure=c.structure_weight, square=c.square_weight
            )
            scale = losses.laplace(log_scale, mean - target, inside)
            total = total + (c.fed_weight if i in fed else 1.0) * (term + c.scale_weight * scale)
            if i not in fed:
                missing.append(
                    float(((mean - target).detach().abs() * inside).sum() / inside.sum())
                )
        total = total / len(wanted)
        ramp = min(1.0, self.step / (0.1 * c.steps))
        divergence = losses.kl(decoded.posteriors, decoded.priors, c.free_bits)
        total = total + ramp * c.kl_weight * divergence / inside[0].numel()
        terms = {"loss": float(total.detach()), "kl": float(divergence.detach())}
        if missing:
            terms["l1"] = sum(missing) / len(missing)
        return total, terms

    def save(self) -> None:
        """Write weights of the average and all that is needed to resume, atomically."""
        state = {f"net/{k}": v for k, v in self.net.state_dict().items()}
        state |= {f"average/{k}": v for k, v in self.average.state_dict().items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            state |= {f"optimiser/{index}/{name}": v for name, v in moments.items()}
        state["generator"] = self.generator.get_state()
        state["global_generator"] = torch.get_rng_state()
        if self.device.type == "cuda":
            state["device_generator"] = torch.cuda.get_rng_state()
        state["step"] = torch.tensor(self.step)
        _write(state, self.out / "checkpoint.safetensors")
        _write(self.average.state_dict(), self.out / "weights.safetensors")

    def resume(self) -> None:
        """Go on where `save` left off."""
        state = load_file(self.out / "checkpoint.safetensors")
        self.net.load_state_dict(_part(state, "net/"))
        self.average.load_state_dict(_part(state, "average/"))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in _part(state, "optimiser/").items():
            index, name = key.split("/")
            moments.setdefault(int(index), {})[name] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["global_generator"])
        if self.device.type == "cuda" and "device_generator" in state:
            torch.cuda.set_rng_state(state["device_generator"])
        self.step = int(state["step"])


def _part(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def _write(tensors: dict[str, Tensor], path: Path) -> None:
    """Write safetensors beside `path`, then put them in its place."""
    partial = path.with_suffix(".part")
    save_file({k: v.contiguous() for k, v in tensors.items()}, partial)
    os.replace(partial, path)
