"""MSSG with the template head as a family: people of nobody, inversion, counterfactuals.

What does not depend on the slice (the style, the exponential of the velocity, the painted
template) is computed once for the controls' values and kept; a slice is then only sampled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from napari_medsyn.errors import UnusableModel, UnusableStudy
from napari_medsyn.models.family import ControlValues, Edit, Region, Rendered
from napari_medsyn.models.latents import latent
from napari_medsyn.models.mssg import edits
from napari_medsyn.models.mssg.generator import mixed
from napari_medsyn.models.mssg.head import Composed
from napari_medsyn.models.mssg.inversion import Effort, Found, Inversion, Patient
from napari_medsyn.models.mssg.labels import LabelModel
from napari_medsyn.models.mssg.lattice import coarser
from napari_medsyn.models.mssg.reading import sensible
from napari_medsyn.models.mssg.weights import COVARIATES, OUTPUTS, Networks, read_networks

if TYPE_CHECKING:
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.scans.preparation import PreparedStudy

_UNKNOWN: Final[Mapping[str, Any]] = dict.fromkeys(COVARIATES)
#: What is asked for, a control that the session sets: see `exploration.controls`.
TASK, OWN, TARGETS = "task", "own", "targets"
GENERATE, INVERT, COUNTERFACTUAL = "generate", "invert", "counterfactual"
#: The cohort that is scanned in thick slices.
THICK: Final = "ms"
#: Axial slices that are sampled together after those on screen.
TOGETHER: Final = 28
#: Patients whose inversion is kept.
KEPT: Final = 4
#: Values above this (1 is the 99.5th percentile of the brain) are never given.
BRIGHTEST: Final = 1.5


def load(card: ModelCard, weights: Path, device: str) -> MSSGFamily:
    """Build the generator whose sizes the tensors have, and fill it, strictly.

    Names and shapes are compared before anything is allocated.  A package may be without the
    encoder (tensors "encoder.…") and without the reading ("reading.…").

    Raises
    ------
    UnusableModel : the tensors are not those of such a generator, or card and generator
        contradict each other.
    """
    try:
        networks = read_networks(card, weights)
        labels = LabelModel.from_json(card.label_model or {})
    except (KeyError, TypeError, ValueError, ArithmeticError, SafetensorError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise UnusableModel(
            f"{weights}: cannot be run as MSSG ({reason.rstrip('.')}); get the package again"
        ) from error
    return MSSGFamily(card, networks, labels, torch.device(device))


@dataclass(eq=False)
class Conditioning:
    """A patient, or nobody, and what was last composed.

    Parameters
    ----------
    patient : None when people of nobody are generated.
    composed : the last person or edit, which stands for `key`.
    """

    patient: Patient | None
    key: str = ""
    composed: Any = None


@dataclass(eq=False)
class Known:
    """What is known of a patient so far.

    Parameters
    ----------
    style : (1, w) the encoder's guess; None without an encoder.
    guess : the covariates as read off the scan; empty if nothing reads them.
    own : the patient's own covariates, by those stated.
    inversions : those under way and done, by the patient's own covariates.
    """

    style: Tensor | None
    guess: Mapping[str, Any]
    own: dict[str, dict[str, Any]] = field(default_factory=dict)
    inversions: dict[str, Inversion] = field(default_factory=dict)


class MSSGFamily:
    """A loaded generator on one device.

    Parameters
    ----------
    card : of the model.
    networks : filled.
    labels : how covariates go together, and how the networks read them.
    device : where it computes.
    """

    def __init__(
        self,
        card: ModelCard,
        networks: Networks,
        labels: LabelModel,
        device: torch.device,
    ) -> None:
        self.card = card
        networks = networks.to(device)
        self.net, self.encoder, self.reading = networks.net, networks.encoder, networks.reading
        #: Of inversions that are begun from now on.
        self.effort = Effort()
        self._labels = labels
        self._device = device
        #: By content hash, the last used at the end.
        self._known: dict[str, Known] = {}
        self._patient: Patient | None = None

    def condition(self, study: PreparedStudy | None, controls: ControlValues) -> Conditioning:
        """The patient, if there is one, on the device; inversions of before are kept."""
        del controls
        if study is None:
            self._patient = None
        elif self._patient is None or self._patient.content != study.content_hash:
            self._patient = Patient.from_study(study, self._device)
        return Conditioning(self._patient)

    def plan(
        self, first: Sequence[int], slices: Sequence[int], controls: ControlValues
    ) -> list[Region]:
        """Steps of the inversion that are left, what is on screen, then slabs outwards."""
        regions: list[Region] = []
        if controls.get(TASK, GENERATE) != GENERATE and self._patient is not None:
            left, steps = self._inversion(self._patient, controls).left, self.effort.steps
            done = range(steps - left + 1, steps + 1)
            regions += [Region((), f"Inverting {number} of {steps}") for number in done]
        middle = float(np.mean(first)) if len(first) else 0.0
        rest = sorted(set(slices) - set(first), key=lambda k: (abs(k - middle), k))
        slabs = [rest[i : i + TOGETHER] for i in range(0, len(rest), TOGETHER)]
        return [*regions, *(Region(tuple(slab)) for slab in (first, *slabs) if len(slab))]

    @torch.no_grad()
    def render(
        self, conditioning: Conditioning, controls: ControlValues, region: Region
    ) -> Rendered:
        """One step of the inversion, or slices of what was asked for."""
        task = controls.get(TASK, GENERATE)
        if task == GENERATE:
            return self._generated(conditioning, controls, region)
        if conditioning.patient is None:
            raise UnusableStudy(f"{self.card.name} needs a T1 for that; load one first")
        if not region.slices:
            self._inversion(conditioning.patient, controls).advance()
            return Rendered(region, {})
        if task == INVERT:
            return self._reconstructed(conditioning.patient, controls, region)
        return self._edited(conditioning, conditioning.patient, controls, region)

    def _generated(
        self, conditioning: Conditioning, controls: ControlValues, region: Region
    ) -> Rendered:
        """Slices of a person of nobody."""
        key = _key(controls, GENERATE)
        if conditioning.key != key:
            conditioning.composed, conditioning.key = self._person(controls), key
        person: Composed = conditioning.composed
        made = self.net.head.images(person, region.slices)[0].clamp(0, BRIGHTEST)
        wanted = controls.get(TARGETS) or self.card.outputs
        return Rendered(region, {m: _numpy(made[OUTPUTS.index(m)]) for m in wanted})

    def _person(self, controls: ControlValues) -> Composed:
        """A person of the seed, with the covariates that are not known drawn by it, too."""
        seed = int(controls.get("seed", 0))
        stated = {name: controls.get(name) for name in COVARIATES}
        values = self._labels.complete(stated, np.random.default_rng(seed))
        labels, load_ml = self._vector(values)
        psi = float(controls.get("truncation", 1.0))
        finest = int(controls.get("mixing", 0))
        seeds = (seed, int(controls.get("mixing_seed", 0)))
        z = [latent(number, self.net.sizes.z)[None].to(self._device) for number in seeds]
        own, other = (self.net.style(each, labels, psi) for each in z)
        styles = mixed(own, other, finest) + self._push(controls)
        # The folding is who the person is: it stays, whatever is mixed in.
        coefficients = self.net.coefficients(styles, self.net.fold(z[0]))
        return self.net.head.compose(coefficients, load_ml, thick=values["cohort"] == THICK)

    def _reconstructed(self, patient: Patient, controls: ControlValues, region: Region) -> Rendered:
        """Slices of the patient as the inversion gives them, and what it has found."""
        found = self._inversion(patient, controls).finish()
        image = _numpy(found.image[0, 0][:, :, list(region.slices)])
        return Rendered(region, {"T1": image}, findings=self._findings(found, patient, controls))

    def _edited(
        self,
        conditioning: Conditioning,
        patient: Patient,
        controls: ControlValues,
        region: Region,
    ) -> Rendered:
        """Slices of what other covariates do to the patient's own scan."""
        found = self._inversion(patient, controls).finish()
        key = _key(controls, COUNTERFACTUAL)
        if conditioning.key != key:
            target = self._target(patient, controls)
            conditioning.composed = edits.compose(self.net, found, target)
            conditioning.key = key
        made = edits.render(conditioning.composed, patient, region.slices)
        edit = Edit({"T1": _numpy(made.change)}, _numpy(made.displacement), _numpy(made.jacobian))
        findings = self._findings(found, patient, controls)
        return Rendered(region, {}, edit=edit, findings=findings)

    def _target(self, patient: Patient, controls: ControlValues) -> edits.Target:
        """From the patient's own covariates to those asked for; one not known stays."""
        own = self._own(patient, controls)
        asked = {name: controls.get(name) for name in COVARIATES}
        target = {name: own[name] if value is None else value for name, value in asked.items()}
        (from_labels, from_ml), (to_labels, to_ml) = self._vector(own), self._vector(target)
        return edits.Target(from_labels, to_labels, from_ml, to_ml, self._push(controls))

    def _inversion(self, patient: Patient, controls: ControlValues) -> Inversion:
        """The patient's inversion for the stated covariates, begun or as far as it is."""
        own = self._own(patient, controls)
        known = self._of(patient)
        key = repr([own[name] for name in COVARIATES])
        if key not in known.inversions:
            labels, load_ml = self._vector(own)
            known.inversions[key] = Inversion(
                self.net, patient, labels, load_ml, known.style, self.effort
            )
        return known.inversions[key]

    def _own(self, patient: Patient, controls: ControlValues) -> dict[str, Any]:
        """The patient's covariates: those stated, the others as they are read off the scan.

        What an inversion gives as the patient's own leads, stated, to the same inversion.
        """
        known = self._of(patient)
        said = controls.get(OWN) or {}
        stated = {name: said[name] for name in COVARIATES if said.get(name) is not None}
        key = repr(stated)
        if key not in known.own:
            values = {**_UNKNOWN, **known.guess, **stated}
            filled = self._labels.complete(values, np.random.default_rng(0))
            own = {name: self._snapped(name, filled[name]) for name in COVARIATES}
            known.own[key] = {**own, **stated}
        return known.own[key]

    def _of(self, patient: Patient) -> Known:
        """What is known of the patient, with the first guess made."""
        known = self._known.pop(patient.content, None)
        if known is None:
            known = Known(None, {})
            labels = None
            if self.encoder is not None:
                known.style, labels = self.encoder(coarser(patient.t1))
            if self.reading is not None:
                labels = self.reading(patient.t1)
            if labels is not None:
                read = self._labels.decode(labels[0].double().cpu().numpy())
                known.guess = sensible(read)
        self._known[patient.content] = known
        while len(self._known) > KEPT:
            del self._known[next(iter(self._known))]
        return known

    def _snapped(self, name: str, value: Any) -> Any:
        """An estimate as its control can show it: within its range, on its steps."""
        control = next((c for c in self.card.controls if c.name == name), None)
        if control is None or control.kind not in ("continuous", "integer"):
            return value
        steps = round((float(value) - control.minimum) / control.step)
        near = round(control.minimum + steps * control.step, 6)
        return control.check(min(max(near, control.minimum), control.maximum))

    def _vector(self, values: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """Label vector (1, 5) and lesion load (1,), ml, of complete covariates."""
        vector = self._labels.encode(values)
        labels = torch.from_numpy(np.asarray(vector, np.float32))[None]
        return labels.to(self._device), torch.tensor(
            [float(values["lesions"])], device=self._device
        )

    def _push(self, controls: ControlValues) -> Tensor:
        """(1, w) steps along the directions of w, in standard deviations; zeros at rest."""
        steps = controls.get("directions") or (0.0,) * len(self.net.directions)
        return torch.tensor([steps], device=self._device) @ self.net.directions

    def _findings(self, found: Found, patient: Patient, controls: ControlValues) -> dict[str, Any]:
        return {
            "psnr_db": round(found.psnr_db, 2),
            "psnr_without_remainder_db": round(found.psnr_style_db, 2),
            "psnr_with_own_shape_db": round(found.psnr_shape_db, 2),
            "own": dict(self._own(patient, controls)),
            "warning": found.warning,
        }


def _key(controls: ControlValues, task: str) -> str:
    """The same for controls that lead to the same person or edit; slices and outputs do not."""
    counted = {k: v for k, v in controls.items() if k not in (TARGETS, TASK)}
    return repr([task, sorted(counted.items(), key=lambda item: item[0])])


def _numpy(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.float().cpu().numpy()
