"""Images from a model, as many as one likes: to arrays, to files, or one call at a time.

Sample i of a run has the seed ``seed + i`` and is the same whether it is made alone or
among thousands.  Memory does not grow with the number of samples.

    from napari_medsyn.exploration.generating import generate

    for sample in generate("dcgan-mass", n=100, seed=7, controls={"condition": "benign"}):
        sample.images["MG"]  # (X, Y, Z) float32, 0 dark to 1 bright
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableModel, UnusableStudy
from napari_medsyn.exploration.covariates import makes_counterfactuals
from napari_medsyn.exploration.generating_files import Bits, Format, GeneratedFiles, write_samples
from napari_medsyn.exploration.generating_sampler import Sampler
from napari_medsyn.exploration.generating_samples import Sample, Tell
from napari_medsyn.exploration.requests import PreparationOptions
from napari_medsyn.registry.card import ModelCard, read_card
from napari_medsyn.registry.catalogue import Catalogue
from napari_medsyn.scans.study import Study

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "GeneratedFiles",
    "Sample",
    "Sampler",
    "generate",
    "generate_arrays",
    "generate_to",
    "sampler",
]


def generate(
    model: str | Path,
    n: int,
    seed: int = 0,
    controls: Mapping[str, Any] | None = None,
    study: Study | None = None,
    *,
    device: str = "auto",
    batch: int | None = None,
    options: PreparationOptions | None = None,
    catalogue: Catalogue | None = None,
    tell: Tell | None = None,
) -> Iterator[Sample]:
    """Make `n` samples, one after the other.

    A model that reads no scans gives images on its own grid.  One that imputes gives
    posterior samples of what is missing in `study`, one draw each, on the patient's grid.

    Parameters
    ----------
    model : id of the model, or the folder of its package.
    n : how many.
    seed : of the first sample, 0 to 2**32 - 1; sample i has ``seed + i``.
    controls : control name to value, the seed excepted; the card's defaults hold for the
        others.
    study : the patient's scans, for a model that reads some.
    device : "auto", "cpu" or "cuda".
    batch : the most images in one forward pass; 8 if not given.  Batches are only used
        where they give the same numbers as images drawn one by one.
    options : how the study is brought to the model's grid.
    catalogue : where to look for the id; the embedded and the user's packages by default.
    tell : is told (samples finished, of how many, what is being done).

    Returns
    -------
    An iterator; what cannot be made is refused here, before the model is loaded.

    Raises
    ------
    UnusableModel : there is no such model, it cannot be run, or it has no such control or
        value.
    UnusableStudy : the model needs other scans.
    EngineError : while iterating: the model failed.
    """
    made, seeds = sampler_of_seeds(
        model,
        n,
        seed,
        controls,
        study,
        device=device,
        batch=batch,
        options=options,
        catalogue=catalogue,
    )
    return made.samples(seeds, tell)


def generate_arrays(
    model: str | Path,
    n: int,
    seed: int = 0,
    controls: Mapping[str, Any] | None = None,
    study: Study | None = None,
    *,
    device: str = "auto",
    batch: int | None = None,
    options: PreparationOptions | None = None,
    catalogue: Catalogue | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Make `n` samples in memory; the parameters and errors are those of `generate`.

    Returns
    -------
    Output to (n, X, Y, Z) float32, 0 dark to 1 bright; sample i has the seed ``seed + i``.
    """
    made, seeds = sampler_of_seeds(
        model,
        n,
        seed,
        controls,
        study,
        device=device,
        batch=batch,
        options=options,
        catalogue=catalogue,
    )
    arrays = {
        name: np.empty((n, *made.reference.voxels.shape), np.float32) for name in made.outputs
    }
    for number, sample in enumerate(made.samples(seeds)):
        for name, image in sample.images.items():
            arrays[name][number] = image
    return arrays


def generate_to(
    folder: str | Path,
    model: str | Path,
    n: int,
    seed: int = 0,
    controls: Mapping[str, Any] | None = None,
    study: Study | None = None,
    *,
    format: Format = "auto",  # noqa: A002 - what everybody calls it
    bits: Bits = 8,
    sheet: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    batch: int | None = None,
    options: PreparationOptions | None = None,
    catalogue: Catalogue | None = None,
    tell: Tell | None = None,
) -> GeneratedFiles:
    """Make `n` samples as files `sample_0001.png`, …, with one `provenance.json`.

    Parameters
    ----------
    folder : made if it does not exist.
    model, n, seed, controls, study, device, batch, options, catalogue, tell : as for
        `generate`.
    format : "nii" (.nii.gz), "png" (grey, flat pictures only), "npy" (the arrays of
        `Sample.images`); "auto" takes png for models of flat pictures and nii for others.
    bits : of a png's grey values.
    sheet : also write `sheet.png`, all samples in one picture.
    overwrite : whether files of the same names are replaced; else nothing is computed.

    Returns
    -------
    The files, and what the user should know.

    Raises
    ------
    UnusableFile : a file exists, is a source of `study`, or cannot be written.
    UnusableModel, UnusableStudy, EngineError : as for `generate`; samples that were
        finished before the model failed stay, and `provenance.json` tells of them.
    """
    made, seeds = sampler_of_seeds(
        model,
        n,
        seed,
        controls,
        study,
        device=device,
        batch=batch,
        options=options,
        catalogue=catalogue,
    )
    return write_samples(
        made,
        seeds,
        Path(folder),
        format=format,
        bits=bits,
        sheet=sheet,
        overwrite=overwrite,
        protect=[scan.source for scan in study or () if scan.source is not None],
        tell=tell,
    )


def sampler(
    model: str | Path,
    /,
    *,
    study: Study | None = None,
    device: str = "auto",
    options: PreparationOptions | None = None,
    catalogue: Catalogue | None = None,
    **controls: Any,
) -> Sampler:
    """A model as a function: ``draw = sampler("dcgan-mass"); draw(seed=3)``.

    Parameters
    ----------
    model, study, device, options, catalogue : as for `generate`.
    controls : values for every call, unless the call gives others.

    Returns
    -------
    A callable that takes control values by keyword, `seed` among them, and gives output to
    (X, Y, Z) float32.  The weights are loaded by the first call and stay in memory.
    """
    return _sampler(model, controls, study, device, None, options, catalogue)


def sampler_of_seeds(
    model: str | Path,
    n: int,
    seed: int,
    controls: Mapping[str, Any] | None,
    study: Study | None,
    *,
    device: str = "auto",
    batch: int | None = None,
    options: PreparationOptions | None = None,
    catalogue: Catalogue | None = None,
) -> tuple[Sampler, Sequence[int]]:
    """What `generate` would ask, and of which seeds; its parameters and errors."""
    made = _sampler(model, controls, study, device, batch, options, catalogue)
    if made.seed_control in made.given:
        # Else one of the two would be taken and the other one be forgotten in silence.
        raise UnusableModel(
            f"{made.card.name}: give the seed as seed=, not among the controls; sample i has "
            "seed + i"
        )
    return made, _seeds(made, n, seed)


def find_model(model: str | Path, catalogue: Catalogue | None = None) -> tuple[Path, ModelCard]:
    """Folder and card of a generator that can be run.

    Raises
    ------
    UnusableModel : there is none, it is a judge, or it is listed only.
    """
    if isinstance(model, Path):
        package, card = model, read_card(model)
        if card.is_judge:
            raise UnusableModel(f"{card.id} is a judge, not a generator")
        reason = card.why_not_run
    else:
        entry = (catalogue or Catalogue()).get(model, "generator")
        if entry.card is None:
            raise UnusableModel(f"{entry.id} cannot be run: {entry.why_not}")
        package, card, reason = entry.package, entry.card, entry.why_not
    if reason:
        raise UnusableModel(f"{card.id} cannot be run: {reason}")
    return package, card


def _sampler(
    model: str | Path,
    controls: Mapping[str, Any] | None,
    study: Study | None,
    device: str,
    batch: int | None,
    options: PreparationOptions | None,
    catalogue: Catalogue | None,
) -> Sampler:
    package, card = find_model(model, catalogue)
    if card.min_inputs and not (study and len(study)):
        least = "one" if card.min_inputs == 1 else str(card.min_inputs)
        raise UnusableStudy(
            f"{card.name} reads scans: give it at least {least} of {', '.join(card.inputs)}"
        )
    if makes_counterfactuals(card) and any(scan.modality in card.inputs for scan in study or ()):
        raise UnusableModel(
            f"{card.name} generates people of nobody; to change the person of a scan, ask for a "
            "counterfactual"
        )
    return Sampler(package, card, study, controls, options=options, device=device, batch=batch)


def _seeds(made: Sampler, n: int, seed: int) -> Sequence[int]:
    """The seeds of `n` samples.

    Raises
    ------
    UnusableModel : they are not seeds of the model, or all samples would be the same.
    """
    if n < 1:
        raise UnusableModel(f"{n} samples cannot be made; ask for one at least")
    if made.seed_control:
        for end in (seed, seed + n - 1):
            made.request({made.seed_control: end})
    elif n > 1:
        raise UnusableModel(
            f"{made.card.name} has no seed, so all its samples are the same; ask for one"
        )
    return range(seed, seed + n)
