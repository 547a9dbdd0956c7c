"""Asking the judges: from a study to measurements with unit, spread and label maps.

Judges measure real and synthetic scans alike; of a synthetic one the answer says so.
Research use; not for diagnosis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableStudy
from napari_medsyn.models.judges.judge import Verdict
from napari_medsyn.scans.preparation.prepared import PreparedStudy
from napari_medsyn.scans.study import Study

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.registry.catalogue import Catalogue, Entry
    from napari_medsyn.scans.preparation.options import PreparationOptions

#: Modality of masks that come with a study and help its preparation.
_MASK = "label"


@dataclass(frozen=True, eq=False, slots=True)
class Judgement:
    """One judge's verdict on one study.

    Parameters
    ----------
    card : the judge's: labels and units of the readings, legends of the maps.
    verdict : what it says.
    prepared : the study on the judge's grid, and the way back.
    is_synthetic : whether a model made any of the scans that were read.
    device : what it was computed on, "cpu" or "cuda…".
    """

    card: ModelCard
    verdict: Verdict
    prepared: PreparedStudy
    is_synthetic: bool
    device: str = "cpu"

    @property
    def readings(self) -> Mapping[str, float]:
        """Name to value, in the card's units."""
        return self.verdict.readings

    @property
    def spread(self) -> Mapping[str, float]:
        """Name to standard deviation of the reading's error, where it is known."""
        return self.verdict.spread

    def maps(self) -> dict[str, NDArray[Any]]:
        """The maps on the reference grid, that of the study's first scan.

        Label maps stay label maps: the code that covers most of a voxel wins.
        """
        return {
            name: label_map_on_reference(self.prepared, values)
            if name in self.card.legends
            else self.prepared.to_reference(values)
            for name, values in self.verdict.maps.items()
        }

    def as_dict(self) -> dict[str, Any]:
        """The readings as JSON values, with all that is needed to understand them."""
        readings = [
            {
                "name": reading.name,
                "label": reading.label,
                "value": self.readings[reading.name],
                "spread": self.spread.get(reading.name),
                "unit": reading.unit,
            }
            for reading in self.card.readings
        ]
        return {
            "judge": self.card.id,
            "version": self.card.version,
            "is_synthetic": self.is_synthetic,
            "readings": readings,
        }


def judge(
    study: Study | PreparedStudy,
    ids: Sequence[str] | None = None,
    *,
    catalogue: Catalogue | None = None,
    device: str = "auto",
    options: PreparationOptions | None = None,
) -> list[Judgement]:
    """Let judges read a study.

    Parameters
    ----------
    study : scans of known modality on any grids; or a study that is already on the
        judges' grid, of which it is not known whether it is synthetic (taken as real).
    ids : of the judges; by default all that can read this study, but those of version 0:
        they are experiments, and speak only when they are asked by name.
    catalogue : where they are found; by default what is installed.
    device : "auto", "cpu" or "cuda".
    options : how a study is prepared; bias correction is the judges' own affair.

    Raises
    ------
    UnusableStudy : no judge, or not the one that was asked for, can read this study.
    UnusableModel : there is no such judge, or its package is damaged.
    """
    from napari_medsyn.models.families import load_judge, resolve_device
    from napari_medsyn.registry.catalogue import Catalogue

    catalogue = catalogue or Catalogue()
    given = tuple(study.volumes) if isinstance(study, PreparedStudy) else study.modalities
    chosen = _chosen(catalogue, ids, given)
    where = resolve_device(device)
    preparer = _Preparer(study, [card for _, card in chosen], options)
    judgements = []
    for entry, card in chosen:
        prepared = preparer.on_grid_of(card)
        verdict = load_judge(entry.package, card, where).read(prepared)
        synthetic = preparer.is_synthetic(card)
        judgements.append(Judgement(card, verdict, prepared, synthetic, where))
    return judgements


def label_map_on_reference(prepared: PreparedStudy, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A label map of the model's grid on the reference grid.

    Parameters
    ----------
    codes : (X, Y, Z) uint8 on the model's grid, 0 where there is nothing.

    Returns
    -------
    uint8, the reference grid's shape: in each voxel the code with the largest share.
    """
    best = prepared.to_reference((codes == 0).astype(np.float32))
    best[~prepared.reference_mask] = 1
    winner = np.zeros(best.shape, np.uint8)
    for code in np.unique(codes[codes > 0]):
        share = prepared.to_reference((codes == code).astype(np.float32))
        wins = share > best
        best[wins], winner[wins] = share[wins], code
    return winner


class _Preparer:
    """Brings a study to the judges' grids, once for each grid."""

    def __init__(
        self,
        study: Study | PreparedStudy,
        cards: Sequence[ModelCard],
        options: PreparationOptions | None,
    ) -> None:
        self._options = options
        self._known: list[PreparedStudy] = []
        self._study: Study | None = None
        if isinstance(study, PreparedStudy):
            self._known.append(study)
        else:
            read = {_MASK, *(name for card in cards for name in card.inputs)}
            # The first scan stays, read or not: maps come back on its grid.
            kept = [s for i, s in enumerate(study) if i == 0 or s.modality in read]
            self._study = Study(tuple(kept), study.facts)

    def on_grid_of(self, card: ModelCard) -> PreparedStudy:
        grid = card.grid.grid()
        for prepared in self._known:
            if prepared.grid.matches(grid):
                return prepared
        if self._study is None:
            raise UnusableStudy(
                f"the study was prepared for another grid than that of {card.id}; give the "
                "scans themselves"
            )
        from napari_medsyn.scans import preparation

        options = self._options or preparation.PreparationOptions()
        self._known.append(preparation.prepare(self._study, grid, options))
        return self._known[-1]

    def is_synthetic(self, card: ModelCard) -> bool:
        scans = self._study or ()
        return any(scan.is_synthetic for scan in scans if scan.modality in card.inputs)


def _chosen(
    catalogue: Catalogue, ids: Sequence[str] | None, given: Sequence[str]
) -> list[tuple[Entry, ModelCard]]:
    """The judges asked for, or all that can read the modalities `given`."""
    entries = catalogue.judges() if ids is None else [catalogue.get(i, "judge") for i in ids]
    pairs = [(entry, entry.card) for entry in entries if entry.card is not None]
    if ids is None:
        pairs = [(entry, card) for entry, card in pairs if not card.is_experimental]
    able = [
        (entry, card)
        for entry, card in pairs
        if sum(name in card.inputs for name in given) >= max(card.min_inputs, 1)
    ]
    unable = [card for _, card in pairs if all(card is not other for _, other in able)]
    if able and (ids is None or not unable):
        return able
    there = ", ".join(name for name in given if name and name != _MASK) or "no known modality"
    wants = "; ".join(f"{card.id} reads {', '.join(card.inputs)}" for card in unable)
    if not wants:
        raise UnusableStudy("no judge is installed; get the package of one")
    raise UnusableStudy(f"the study has {there}, which is not enough: {wants}")
