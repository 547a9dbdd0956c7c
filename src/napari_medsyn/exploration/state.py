"""What is set: the study, the model and its controls, as one snapshot.

Only read here; `session` changes it, `inverting` where the patient's own values are found.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from psygnal import Signal

from napari_medsyn.exploration.computing import Computation, Dispatch
from napari_medsyn.exploration.controls import OWN, PRESENT, TARGETS
from napari_medsyn.exploration.engines.base import Engine
from napari_medsyn.exploration.history import History
from napari_medsyn.exploration.requests import PreparationOptions, Viewport
from napari_medsyn.exploration.resolving import (
    Readiness,
    Snapshot,
    Step,
    present_modalities,
    readiness,
    reference_of,
    request_or_refuse,
    resolve,
    targets_of,
)
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.catalogue import Catalogue, Entry
from napari_medsyn.scans.study import Scan, Study


class State(Computation):
    """Study, model and controls of one session.

    Parameters
    ----------
    engine, dispatch : as for `Computation`.
    catalogue : the models to choose from.
    """

    study_changed = Signal()
    model_changed = Signal()
    controls_changed = Signal()

    def __init__(self, engine: Engine, catalogue: Catalogue, dispatch: Dispatch | None) -> None:
        super().__init__(engine, dispatch)
        self.catalogue = catalogue
        self._now = Snapshot()
        self._entry: Entry | None = None
        self._history: History[Step] = History(self._now.step)
        self._live = False

    @property
    def study(self) -> Study:
        """The scans, also those that the model does not read."""
        return self._now.study

    @property
    def reference(self) -> Scan | None:
        """The scan whose grid results and viewport are given on; None without one."""
        return reference_of(self.study, self.card, self._now.switched_off)

    @property
    def model(self) -> Entry | None:
        """The chosen entry of the catalogue."""
        return self._entry

    @property
    def card(self) -> ModelCard | None:
        """Card of the chosen model."""
        return self._entry.card if self._entry is not None else None

    @property
    def package(self) -> Path | None:
        """Folder of the chosen model."""
        return self._now.package

    @property
    def controls(self) -> Mapping[str, Any]:
        """Value of every control of the card, and what the model reads and gives.

        With the patient's own values under `controls.OWN` where they are known.
        """
        # Images of nobody have no values of their own, whoever is loaded beside them.
        own = {OWN: dict(self._now.own)} if self._now.own is not None and self.present else {}
        sets = {PRESENT: self.present, TARGETS: self.targets}
        return MappingProxyType({**self._now.controls, **sets, **own})

    @property
    def present(self) -> tuple[str, ...]:
        """Modalities the model may read: loaded and switched on."""
        if self.card is None:
            return ()
        return present_modalities(self.study, self.card, self._now.switched_off)

    @property
    def targets(self) -> tuple[str, ...]:
        """Modalities to impute."""
        if self.card is None:
            return ()
        return targets_of(self.card, self.present, self._now.targets)

    def uses(self, modality: str) -> bool:
        """Whether the switch beside `modality` is on."""
        return modality not in self._now.switched_off

    @property
    def viewport(self) -> Viewport | None:
        """The plane on screen, on the grid of `reference`."""
        return self._now.viewport

    @property
    def options(self) -> PreparationOptions:
        """How the study is brought to the model's grid."""
        return self._now.options

    @property
    def device(self) -> str:
        """Where to compute: "auto", "cpu" or "cuda"."""
        return self._now.device

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which kinds of output are computed, of `resolving.KINDS`."""
        return self._now.kinds

    def readiness(self) -> Readiness:
        """Whether Impute can be pressed, why not, and what the user should know."""
        return readiness(self._now, self.card)

    def outputs(self) -> tuple[str, ...]:
        """Names of what `impute` would compute.

        Raises
        ------
        UnusableStudy : there is nothing to compute; `readiness` gives the same reason.
        """
        return request_or_refuse(resolve(self._now, self.card)).outputs
