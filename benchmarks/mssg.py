"""What the benchmarks of MSSG share: people made on the judges' crop, and real ones beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from training.mssg.sources import Source, load_sources

from napari_medsyn.errors import UnusableModel
from napari_medsyn.evaluation.crop_lesions import ORIGIN, SPACING
from napari_medsyn.evaluation.crops import LOW, SHAPE
from napari_medsyn.evaluation.rendering import Subject
from napari_medsyn.exploration.controls import OWN, TARGETS, TASK, checked, default_values
from napari_medsyn.models.families import load_family
from napari_medsyn.models.mssg.labels import LabelModel
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.catalogue import Catalogue, embedded_folder, user_folder
from napari_medsyn.registry.controls import Continuous
from napari_medsyn.scans.geometry import Grid
from napari_medsyn.scans.preparation import IntensityScale, PreparedStudy

Volumes = NDArray[np.float32]
#: Covariates, sex and cohort as 0 and 1, in this order.
COVARIATES = ("age", "sex", "ventricles", "lesions", "cohort")
#: Where the training keeps what takes long to make.
CACHE = Path("runs/cache")


@dataclass(frozen=True, eq=False)
class Made:
    """People that a model has made.

    Parameters
    ----------
    volumes : output to (N, 80, 100, 84) float32.
    requested : covariate to (N,); sex 0 F, 1 M; cohort 0 ixi, 1 ms; NaN where the model has no
        such control.
    lesions : (N,) load that the model itself has put in, ml; NaN where it does not say.
    """

    volumes: Mapping[str, Volumes]
    requested: Mapping[str, NDArray[np.float64]]
    lesions: NDArray[np.float64]


class Maker:
    """A loaded generator.

    Parameters
    ----------
    which : id of an installed model, or the folder of a package.
    """

    def __init__(self, which: str) -> None:
        entry = catalogue_with([which]).get(name_of(which), "generator")
        if entry.card is None:
            raise UnusableModel(f"{which}: {entry.why_not}")
        self.card: ModelCard = entry.card
        self.family = load_family(entry.package, self.card, "cpu")
        self.labels = LabelModel.from_json(self.card.label_model or {})
        self._steps, self._first = _to_the_crop(self.card)

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.card.id} {self.card.version}"

    def values(self, asked: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """Values of all controls; covariates that the card has no control of are left out."""
        values: dict[str, Any] = {**default_values(self.card), TASK: "generate"}
        for name, value in {**asked, "seed": seed}.items():
            if name in values:
                values[name] = checked(self.card, name, value)
        return values

    def make(
        self,
        asked: Sequence[Mapping[str, Any]],
        seeds: Sequence[int],
        outputs: Sequence[str] = ("T1",),
    ) -> Made:
        """One person for each of `asked`, brought within the ranges of the controls.

        Outputs that the model does not give are left out.
        """
        asked = [within(self.card, person) for person in asked]
        wanted = tuple(name for name in outputs if name in self.card.outputs)
        whole = tuple(range(self.card.grid.shape[2]))
        volumes: dict[str, list[Volumes]] = {name: [] for name in wanted}
        loads = []
        for person, seed in zip(asked, seeds, strict=True):
            values = {**self.values(person, seed), TARGETS: wanted}
            conditioning = self.family.condition(None, values)
            parts: dict[str, list[tuple[tuple[int, ...], Volumes]]] = {n: [] for n in wanted}
            for region in self.family.plan((), whole, values):
                rendered = self.family.render(conditioning, values, region)
                for name in wanted:
                    parts[name].append((region.slices, rendered.mean[name]))
            for name in wanted:
                volumes[name].append(self._on_the_crop(parts[name]))
            loads.append(lesions_of(conditioning))
        requested = {name: requests(asked, name, self.card) for name in COVARIATES}
        stacked = {name: np.stack(some) for name, some in volumes.items()}
        return Made(stacked, requested, np.array(loads))

    def subject(self, asked: Mapping[str, Any], seed: int) -> Subject:
        """The model with one person's controls, to be rendered again and again."""
        values = {**self.values(asked, seed), TARGETS: self.card.outputs[:1]}
        return Subject(self.card, self.family, None, values)

    def _on_the_crop(self, parts: Sequence[tuple[tuple[int, ...], Volumes]]) -> Volumes:
        from scipy.ndimage import affine_transform

        shape = self.card.grid.shape
        volume = np.zeros(shape, np.float32)
        for slices, values in parts:
            volume[:, :, list(slices)] = values
        if shape == SHAPE and np.allclose(self._steps, 1) and np.allclose(self._first, 0):
            return volume
        crop: Volumes = affine_transform(
            volume, self._steps, self._first, output_shape=SHAPE, order=1, output=np.float32
        )
        return crop


def name_of(which: str) -> str:
    """The id of a model that is named by its id or by the folder of its package."""
    folder = Path(which)
    if (folder / "card.json").is_file():
        return ModelCard.model_validate_json((folder / "card.json").read_text("utf-8")).id
    return which


def catalogue_with(models: Sequence[str]) -> Catalogue:
    """A catalogue in which packages named by their folder come before those installed."""
    beside = [Path(m).resolve().parent for m in models if (Path(m) / "card.json").is_file()]
    places = [(folder, "user") for folder in dict.fromkeys(beside)]
    return Catalogue([*places, (embedded_folder(), "embedded"), (user_folder(), "user")])  # type: ignore[list-item]


def within(card: ModelCard, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked, numbers not beyond what the card's controls reach."""
    ranges = {c.name: (c.minimum, c.maximum) for c in card.controls if isinstance(c, Continuous)}
    return {
        name: min(max(value, ranges[name][0]), ranges[name][1])
        if name in ranges and value is not None
        else value
        for name, value in asked.items()
    }


def requests(asked: Sequence[Mapping[str, Any]], name: str, card: ModelCard) -> NDArray[np.float64]:
    """(N,) values asked of one covariate; NaN where unknown, or where there is no such control."""
    codes = {"F": 0.0, "M": 1.0, "ixi": 0.0, "ms": 1.0, None: np.nan}
    if all(control.name != name for control in card.controls):
        return np.full(len(asked), np.nan)
    values = [person.get(name) for person in asked]
    return np.array([codes[v] if v is None or isinstance(v, str) else float(v) for v in values])


def lesions_of(conditioning: Any) -> float:
    """Load that a template head has put into the person last made, ml; NaN of other models."""
    from napari_medsyn.models.mssg.head import Composed, sample

    composed = getattr(conditioning, "composed", None)
    if not isinstance(composed, Composed):
        return float("nan")
    share = sample(composed.lesion, composed.u, range(SHAPE[2]))
    return float(share.sum()) * SPACING**3 / 1000


def reconstructed(
    maker: Maker, t1: Volumes, brain: NDArray[np.bool_], own: Mapping[str, Any] | None = None
) -> tuple[Volumes, dict[str, Any]]:
    """What the inversion of one person gives, on the crop, and its findings.

    Parameters
    ----------
    own : what is stated of the person; nothing where None.

    Raises
    ------
    UnusableModel : the model's grid is not the crop.
    """
    study = prepared_crop(t1, brain)
    if maker.card.grid.shape != SHAPE:
        raise UnusableModel(f"{maker.card.id}: its grid is not the crop that people lie on")
    values = {**maker.values({}, 0), TASK: "invert", OWN: dict(own or {}), TARGETS: ("T1",)}
    conditioning = maker.family.condition(study, values)
    image = np.zeros(SHAPE, np.float32)
    findings: dict[str, Any] = {}
    for region in maker.family.plan((), range(SHAPE[2]), values):
        rendered = maker.family.render(conditioning, values, region)
        if region.slices:
            image[:, :, list(region.slices)] = rendered.mean["T1"]
            findings = dict(rendered.findings)
    return image, findings


def prepared_crop(t1: Volumes, brain: NDArray[np.bool_]) -> PreparedStudy:
    """One person's T1 as if the preparation had brought it to the crop that it is on."""
    affine = np.diag([SPACING] * 3 + [1.0])
    affine[:3, 3] = np.array(ORIGIN) + SPACING * np.array(LOW)
    grid = Grid(SHAPE, affine)
    return PreparedStudy(
        volumes={"T1": t1},
        mask=brain,
        grid=grid,
        reference=grid,
        reference_mask=brain,
        to_model=np.eye(4),
        scales={"T1": IntensityScale(0.0, 1.0)},
        reference_volumes={"T1": t1},
        steps=(),
        notes=(),
        content_hash=sha256(t1.tobytes()).hexdigest(),
    )


def real_people(data: Path, *parts: Any) -> tuple[Source, Source]:
    """Sources "ixi" and "ms" of some parts, from the training's cache."""
    return load_sources(data, CACHE, parts)


def _to_the_crop(card: ModelCard) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Voxels of the card's grid for one of the crop, and where its first voxel lies."""
    affine = card.grid.grid().affine
    axes = np.diag(affine)[:3]
    if not np.allclose(affine[:3, :3], np.diag(axes)):
        raise UnusableModel(f"{card.id}: its grid is turned against that of the judges")
    first = np.array(ORIGIN) + SPACING * np.array(LOW)
    return SPACING / axes, (first - affine[:3, 3]) / axes
