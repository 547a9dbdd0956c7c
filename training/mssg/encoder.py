"""Training of the encoder that an inversion begins with.

It learns from people whom the generator makes, of whom everything is known, and from real
training people, of whom their coefficients (by registration) and recorded covariates are.

`python -m training.mssg.encoder --data ../shared/data --run runs/mssg --generator
runs/mssg/multi/generator.safetensors --out runs/mssg/multi/encoder.safetensors` writes the
encoder's tensors, and prints what it reads off test people.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from napari_medsyn.models.mssg.encoder import PREFIX, Encoder, EncoderSizes
from napari_medsyn.models.mssg.generator import LABELS, MultiSourceGenerator
from napari_medsyn.models.mssg.head import HALF
from napari_medsyn.models.mssg.labels import LabelModel
from napari_medsyn.models.mssg.lattice import LATTICE, coarser, warp
from training.data.splits import Part
from training.mssg.buffers import load_generator
from training.mssg.fields import encoded, label_vectors
from training.mssg.sources import UNIT, Source, load_sources

#: Channels of the convolutions, numbers of the layer after them.
WIDTHS, HIDDEN = (16, 24, 32, 48), 96
#: People of one step.
BATCH = 16
#: Weights of the coefficients and of the label vector, against the style.
COEFFICIENTS, COVARIATES = 1.0, 1.0


@dataclass(frozen=True, eq=False)
class People:
    """People to learn from.

    Parameters
    ----------
    t1 : (N, 1, *LATTICE).
    style : (N, w), NaN for real people, whose style nobody knows.
    body : (N, shapes + appearances) coefficients, NaN where not known.
    labels : (N, 5) label vectors, NaN where not recorded.
    """

    t1: Tensor
    style: Tensor
    body: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.t1)


def together(parts: Sequence[People]) -> People:
    """All people of several sets."""
    columns = zip(*((p.t1, p.style, p.body, p.labels) for p in parts), strict=True)
    return People(*(torch.cat(column) for column in columns))


@torch.no_grad()
def made_people(
    generator: MultiSourceGenerator, model: LabelModel, n: int, rng: np.random.Generator
) -> People:
    """People of nobody, of both cohorts and any age; about 50 ms each."""
    head = generator.head
    vectors = label_vectors(model, n, rng, model.cohorts)
    labels = torch.from_numpy(vectors)
    z = torch.randn(
        n, generator.sizes.z, generator=torch.Generator().manual_seed(int(rng.integers(2**31)))
    )
    styles = generator.style(z, labels)
    edge = coarser(head.volume(head.edge))
    images = torch.empty(n, 1, *LATTICE)
    bodies = []
    for i in range(n):
        fold = generator.fold(z[i : i + 1])
        found = generator.coefficients(styles[i : i + 1], fold)
        load = float(model.decode(vectors[i])["lesions"])
        person = head.compose(found, torch.tensor([max(load, 0.0)]))
        both = warp(torch.cat([coarser(person.t1), edge], 1), person.u)
        images[i] = both[0, :1] * (both[0, 1:] > HALF)
        bodies.append(torch.cat([found.shape, found.appearance], 1))
    return People(images, styles, torch.cat(bodies), labels)


def real_people(
    run: Path, model: LabelModel, sources: Sequence[Source], part: Part, w: int
) -> People:
    """Real and simulated people of a part, with the coefficients that `bases` has found."""
    with np.load(run / "people.npz") as file:
        found = {name: file[name] for name in file.files}
    sets = []
    for source in sources:
        key = f"{source.name}_{part}"
        rows = dict(zip(found[f"{key}_ids"].tolist(), range(len(found[f"{key}_ids"])), strict=True))
        size = found[f"{key}_shape"].shape[1] + found[f"{key}_appearance"].shape[1]
        bodies = np.full((len(source.ids), size), np.nan, np.float32)
        for i, name in enumerate(source.ids):
            if name in rows:
                both = found[f"{key}_shape"][rows[name]], found[f"{key}_appearance"][rows[name]]
                bodies[i] = np.concatenate(both)
        t1 = [coarser(torch.from_numpy(t / np.float32(UNIT))[None, None]) for t in source.t1]
        columns = range(len(source.ids))
        recorded = [{k: float(v[i]) for k, v in source.labels.items()} for i in columns]
        labels = np.stack([encoded(model, values, source.name) for values in recorded])
        style = torch.full((len(t1), w), torch.nan)
        sets.append(
            People(torch.cat(t1), style, torch.from_numpy(bodies), torch.from_numpy(labels))
        )
    return together(sets)


def varied(t1: Tensor) -> Tensor:
    """(N, 1, *LATTICE) as other scanners would show them: brightness, gamma, a smooth bias."""
    n = len(t1)
    gamma = torch.exp(0.12 * torch.randn(n, 1, 1, 1, 1))
    bias = 0.05 * torch.randn(n, 1, 3, 3, 3)
    smooth = F.interpolate(bias, LATTICE, mode="trilinear", align_corners=True)
    return t1.clamp(min=0) ** gamma * (1 + smooth)


def known_error(found: Tensor, wanted: Tensor, scale: Tensor | float = 1.0) -> Tensor:
    """Mean squared error in units of `scale` over what is known (not NaN)."""
    known = torch.isfinite(wanted)
    error = torch.where(known, (found - wanted.nan_to_num()) / scale, torch.zeros(()))
    return error.square().sum() / known.sum().clamp(min=1)


def train(encoder: Encoder, generator: MultiSourceGenerator, people: People, epochs: int) -> None:
    """Fit the encoder by Adam with a cosine schedule."""
    spread = _spread(people)
    encoder.requires_grad_(True)
    steps = epochs * (len(people) // BATCH)
    optimiser = torch.optim.Adam(encoder.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps)
    began = time.time()
    for epoch in range(1, epochs + 1):
        order = torch.randperm(len(people))
        totals = torch.zeros(3)
        for chosen in order[: len(people) // BATCH * BATCH].view(-1, BATCH):
            style, labels = encoder(varied(people.t1[chosen]))
            found = generator.coefficients(style)
            body = torch.cat([found.shape, found.appearance], 1)
            errors = torch.stack(
                [
                    known_error(style, people.style[chosen], spread),
                    known_error(body, people.body[chosen]),
                    known_error(labels, people.labels[chosen]),
                ]
            )
            optimiser.zero_grad()
            (errors * torch.tensor([1.0, COEFFICIENTS, COVARIATES])).sum().backward()
            optimiser.step()
            schedule.step()
            totals += errors.detach()
        mean = (totals / (len(people) // BATCH)).numpy().round(3)
        print(
            f"  {epoch}: style, coefficients, labels {mean}, {time.time() - began:.0f} s",
            flush=True,
        )
    encoder.requires_grad_(False)


def begin(generator: MultiSourceGenerator, people: People) -> Encoder:
    """An encoder that says the mean of the people, and differences in their own size."""
    encoder = Encoder(EncoderSizes(WIDTHS, HIDDEN, generator.sizes.w))
    known = people.style[torch.isfinite(people.style[:, 0])]
    with torch.no_grad():
        encoder.head.weight[:-LABELS] *= _spread(people)[:, None]
        encoder.head.bias.copy_(torch.cat([known.mean(0), people.labels.nanmean(0)]))
    return encoder


@torch.no_grad()
def report(encoder: Encoder, model: LabelModel, people: People, name: str) -> None:
    """Print what is read off people against what is recorded."""
    _, labels = encoder(people.t1)
    kept = torch.isfinite(people.labels)
    for place, covariate in enumerate(model.names):
        rows = kept[:, place]
        if int(rows.sum()) < 3:
            continue
        said, true = labels[rows, place].numpy(), people.labels[rows, place].numpy()
        if covariate in ("sex", "cohort"):
            print(
                f"{name}: {covariate} right {np.mean((said > 0) == (true > 0)):.1%} of {len(true)}"
            )
            continue
        error = np.abs(_values(model, said, place) - _values(model, true, place)).mean()
        r = np.corrcoef(said, true)[0, 1]
        print(f"{name}: {covariate} r {r:.3f}, mean error {error:.1f}, {len(true)} people")


def _values(model: LabelModel, codes: NDArray[np.float32], place: int) -> NDArray[np.float64]:
    """Encoded values of one covariate in a user's units."""
    vectors = np.full((len(codes), LABELS), np.nan)
    vectors[:, place] = codes
    return np.array([model.decode(vector)[model.names[place]] for vector in vectors])


def _spread(people: People) -> Tensor:
    """(w,) standard deviation of the styles that are known."""
    known = people.style[torch.isfinite(people.style[:, 0])]
    return known.std(0).clamp(min=1e-3)


def main() -> None:
    """Train the encoder; about five minutes on one core."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--generator", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("runs/data"))
    parser.add_argument("--made", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    model = LabelModel.from_json(json.loads((arguments.run / "labels.json").read_text()))
    generator = load_generator(arguments.generator)
    w = generator.sizes.w
    train_sources = load_sources(arguments.data, arguments.cache)
    real = real_people(arguments.run, model, train_sources, "train", w)
    made = made_people(generator, model, arguments.made, np.random.default_rng(arguments.seed))
    print(f"{len(made)} made people, {len(real)} real ones", flush=True)
    people = together([made, real])
    encoder = begin(generator, people)
    train(encoder, generator, people, arguments.epochs)
    test_sources = load_sources(arguments.data, arguments.cache, ("test",))
    for source in test_sources:
        test = real_people(arguments.run, model, [source], "test", w)
        report(encoder, model, test, f"test, {source.name}")
    tensors = {PREFIX + name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    draft = arguments.out.with_suffix(".part")
    save_file(tensors, draft)
    draft.replace(arguments.out)


if __name__ == "__main__":
    main()
