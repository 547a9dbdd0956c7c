"""Synthetic samples for training with torch: made when they are asked for, none kept.

    from napari_medsyn.exploration.datasets import SyntheticDataset, data_loader

    loader = data_loader("dcgan-mass", n=10_000, seed=1, batch_size=32, num_workers=2)
    for batch in loader:
        batch["sample"]  # (32, 1, H, W)

torch is imported when one of the two is first used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_medsyn.exploration.controls import PRESENT, TARGETS
from napari_medsyn.exploration.generating import sampler_of_seeds
from napari_medsyn.exploration.generating_sampler import Sampler
from napari_medsyn.exploration.generating_samples import Sample
from napari_medsyn.exploration.requests import PreparationOptions
from napari_medsyn.registry.catalogue import Catalogue
from napari_medsyn.scans.study import Study

if TYPE_CHECKING:
    from torch.utils.data import DataLoader, Dataset

__all__ = ["SyntheticDataset", "data_loader"]

#: A sample's tensor, control values and seed.
Item = dict[str, Any]

#: Fields that belong to one process and are made anew in each.
_OF_THE_PROCESS: Final = {"_made": None, "_process": 0}


class _Items:
    """`n` samples of a model, of which item i is made of ``seed + i`` when it is asked for.

    An item is a dict:

    - "sample": float32 tensor, 0 dark to 1 bright; (C, H, W) for models of flat pictures,
      row 0 on top, and (C, X, Y, Z) for others; C counts the model's outputs.
    - "controls": control name to value.
    - "seed": the item's.

    The same item is the same tensor in every epoch and in every worker.  A worker of a
    `DataLoader` loads the model when its first item is asked for.

    Parameters
    ----------
    model, n, seed, controls, study, device, options, catalogue : as for
        `exploration.generating.generate`.
    transform : is given each tensor; its answer takes the tensor's place.

    Raises
    ------
    UnusableModel, UnusableStudy : as for `generate`.
    """

    def __init__(
        self,
        model: str | Path,
        n: int,
        seed: int = 0,
        controls: Mapping[str, Any] | None = None,
        study: Study | None = None,
        *,
        device: str = "auto",
        options: PreparationOptions | None = None,
        catalogue: Catalogue | None = None,
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        self._arguments = (model, n, seed, controls, study)
        self._further = {"device": device, "options": options, "catalogue": catalogue}
        self._transform = transform
        self._made: Sampler | None = None
        self._process = 0
        # What cannot be made is refused here, not in a worker.
        self._seeds = self._open()[1]

    def __len__(self) -> int:
        return len(self._seeds)

    def __getitem__(self, index: int) -> Item:
        seed = self._seeds[index]
        sample = next(self._sampler().samples([seed]))
        tensor = _tensor(sample, self._sampler().is_flat)
        return {
            "sample": tensor if self._transform is None else self._transform(tensor),
            "controls": {k: v for k, v in sample.controls.items() if k not in (PRESENT, TARGETS)},
            "seed": seed,
        }

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, **_OF_THE_PROCESS}

    def _sampler(self) -> Sampler:
        """The loaded model of this process: one from before a fork cannot be used."""
        if self._made is None or self._process != os.getpid():
            self._made = self._open()[0]
            self._process = os.getpid()
        return self._made

    def _open(self) -> tuple[Sampler, Any]:
        return sampler_of_seeds(*self._arguments, **self._further)  # type: ignore[arg-type]


if TYPE_CHECKING:

    class SyntheticDataset(_Items, Dataset[Item]):
        """`_Items` as torch's own kind of dataset."""


def __getattr__(name: str) -> Any:
    """Make `SyntheticDataset` when it is first asked for: what it derives from is torch's."""
    if name != "SyntheticDataset":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from torch.utils.data import Dataset

    made = type(name, (_Items, Dataset), {"__module__": __name__, "__doc__": _Items.__doc__})
    # Kept, so that there is one class and its instances can be pickled for workers.
    globals()[name] = made
    return made


def data_loader(
    model: str | Path,
    n: int,
    seed: int = 0,
    controls: Mapping[str, Any] | None = None,
    study: Study | None = None,
    *,
    device: str = "auto",
    options: PreparationOptions | None = None,
    catalogue: Catalogue | None = None,
    transform: Callable[[Any], Any] | None = None,
    **loading: Any,
) -> DataLoader[Item]:
    """A torch `DataLoader` over a `SyntheticDataset`.

    Parameters
    ----------
    model, n, seed, controls, study, device, options, catalogue, transform : as for
        `SyntheticDataset`.
    loading : options of `torch.utils.data.DataLoader`: batch_size, num_workers, shuffle, ….
        Workers are spawned unless `multiprocessing_context` says otherwise: a forked
        process can use neither the parent's GPU nor its threads.

    Raises
    ------
    UnusableModel, UnusableStudy : as for `generate`.
    """
    from torch.utils.data import DataLoader

    from napari_medsyn.exploration import datasets

    items = datasets.SyntheticDataset(
        model,
        n,
        seed,
        controls,
        study,
        device=device,
        options=options,
        catalogue=catalogue,
        transform=transform,
    )
    if loading.get("num_workers"):
        loading = {"multiprocessing_context": "spawn", **loading}
    return DataLoader(items, **loading)


def _tensor(sample: Sample, is_flat: bool) -> Any:
    """The sample's images as the channels of one tensor."""
    import torch

    from napari_medsyn.scans.pictures import to_picture

    images = list(sample.images.values())
    channels = [to_picture(image) for image in images] if is_flat else images
    return torch.from_numpy(np.stack(channels))
