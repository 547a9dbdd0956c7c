"""What a patient's scan would look like if something about the patient were otherwise.

For notebooks and the command line; the dock drives the same session.

    import napari_medsyn

    made = napari_medsyn.counterfactual(
        "mssg-brain-t1", {"T1": "t1.nii.gz"}, set={"age": 70}, from_={"age": 40, "sex": "F"}
    )
    made.findings.psnr_db, made.findings.own
    made.arrays["difference_T1"]  # (X, Y, Z) float32, the scanner's units
    made.save("what-if")

A counterfactual is what a model has learnt from other people, not what will happen to this
one.  Research use; not for diagnosis.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from napari_medsyn.errors import UnusableModel, UnusableStudy
from napari_medsyn.exploration.controls import checked
from napari_medsyn.exploration.counterfactual_results import RECORD, Counterfactual, Findings
from napari_medsyn.exploration.counterfactual_series import (
    Following,
    check,
    series_hints,
    series_warnings,
    sweep_through,
)
from napari_medsyn.exploration.covariates import makes_counterfactuals
from napari_medsyn.exploration.generating import find_model
from napari_medsyn.exploration.requests import Finished, PreparationOptions
from napari_medsyn.exploration.resolving import MASK
from napari_medsyn.exploration.sweeping import Sweep, Swept
from napari_medsyn.registry.catalogue import Catalogue
from napari_medsyn.scans.study import Scan, Study

if TYPE_CHECKING:
    from napari_medsyn.exploration.generating_samples import Tell
    from napari_medsyn.exploration.session import Session
    from napari_medsyn.registry.card import ModelCard

__all__ = ["Counterfactual", "Findings", "counterfactual", "find_counterfactual_model"]


def counterfactual(
    model: str,
    inputs: Study | Mapping[str, Scan | str | Path],
    set: Mapping[str, Any] | None = None,  # noqa: A002 - as on the command line
    *,
    from_: Mapping[str, Any] | None = None,
    sweep: Mapping[str, Sequence[Any]] | None = None,
    follow: bool = False,
    device: str = "auto",
    options: PreparationOptions | None = None,
    catalogue: Catalogue | None = None,
    tell: Tell | None = None,
) -> Counterfactual:
    """Invert a patient's scan, and make it again with other covariates.

    The model first finds the person: the latent whose image is closest to the scan, and the
    covariates that go with it.  What `set` and `sweep` do not name stays at the patient's
    own value.  The change that the model sees is applied to the patient's own voxels, so
    that detail which the model does not know of stays.

    Parameters
    ----------
    model : id of a model whose card says "counterfactual".
    inputs : the patient's scans; or modality to scan or file, a brain mask under "label".
    set : control name to value, checked by the card; None is "unknown" where the card
        allows it.  With nothing set and no sweep, the scan comes back unchanged.
    from_ : what is known of the patient, covariate to value; the model estimates the rest.
    sweep : one covariate to its values; `set` may hold others fixed meanwhile.
    follow : let covariates that are neither set nor swept go with those that are, as they do
        among the people that the model was trained on (ventricles with age), instead of
        leaving them at the patient's own.
    device : "auto", "cpu" or "cuda".
    options : how the study is brought to the model's grid.
    catalogue : where to look for the id; the embedded and the user's packages by default.
    tell : is told (steps done, of how many, what is being done).

    Returns
    -------
    Arrays on the grid of the first scan in the scanner's units, what was found, and the
    provenance; of a sweep the arrays have one more axis in front.

    Raises
    ------
    UnusableModel : there is no such model, it cannot be run, it makes no counterfactuals, or
        it has no such control or value.
    UnusableStudy : the model needs another scan.
    UnusableFile : a file of `inputs` cannot be read.
    EngineError : the model failed.
    """
    from napari_medsyn.exploration.session import Session

    _, card = find_counterfactual_model(model, catalogue)
    # What cannot be set is refused before the inversion, which takes long.
    series = _one_sweep(card, sweep, set or {})
    changes = {name: checked(card, name, value) for name, value in (set or {}).items()}
    session = Session(catalogue=catalogue)
    try:
        session.choose_model(card.id)
        session.set_options(options or PreparationOptions())
        session.set_device(device)
        session.set_study(study_of(inputs))
        if tell is not None:
            session.progressed.connect(lambda now: tell(now.done, now.total, now.phase))
        _invert(session, from_ or {})
        for name, value in changes.items():
            session.set_control(name, value)
        fixed = (*changes, series.control) if series is not None else tuple(changes)
        following = Following(card, fixed) if follow else None
        made = _computed(session, series, following)
        return _result(session, card, from_ or {}, fixed, made)
    finally:
        session.close()


def find_counterfactual_model(
    model: str, catalogue: Catalogue | None = None
) -> tuple[Path, ModelCard]:
    """Folder and card of a model that makes counterfactuals of a patient.

    Raises
    ------
    UnusableModel : there is none of this id, it cannot be run, or it does something else;
        the sentence names those that there are.
    """
    catalogue = catalogue or Catalogue()
    package, card = find_model(model, catalogue)
    if makes_counterfactuals(card):
        return package, card
    able = [
        entry.id
        for entry in catalogue.entries()
        if entry.card is not None and entry.can_run and makes_counterfactuals(entry.card)
    ]
    remedy = f"choose {' or '.join(able)}" if able else "no installed model does"
    raise UnusableModel(f"{card.id} makes no counterfactuals of a patient; {remedy}")


def study_of(inputs: Study | Mapping[str, Scan | str | Path]) -> Study:
    """The scans as a study, those that are files read.

    Raises
    ------
    UnusableFile : a file cannot be read.
    UnusableStudy : there is no scan.
    """
    if not isinstance(inputs, Study):
        inputs = Study(tuple(_scan(scan, modality) for modality, scan in inputs.items()))
    if not len(inputs):
        raise UnusableStudy("there is no scan to make a counterfactual of; give one")
    return inputs


def _scan(scan: Scan | str | Path, modality: str) -> Scan:
    """A scan, read if it is a file, under its modality and a name that errors can use."""
    from napari_medsyn.scans.reading import read_scan

    if isinstance(scan, Scan):
        return scan.with_modality(modality)
    # Whatever its file is called, by this name the preparation knows a mask.
    name = "brain mask" if modality == MASK else str(scan)
    return replace(read_scan(Path(scan)), modality=modality, name=name)


def _one_sweep(
    card: ModelCard, sweep: Mapping[str, Sequence[Any]] | None, fixed: Mapping[str, Any]
) -> Sweep | None:
    """The covariate that is swept, and its values; None for none."""
    if not sweep:
        return None
    if len(sweep) > 1:
        raise UnusableModel(f"a sweep is of one control, not of {' and '.join(sweep)}")
    (name, values), *_ = sweep.items()
    if name in fixed:
        raise UnusableModel(f"{name} cannot be set and swept; leave one of the two out")
    return Sweep.checked(card, name, tuple(values))


def _invert(session: Session, known: Mapping[str, Any]) -> None:
    """Find the person; afterwards the covariates stand at the patient's own values."""
    session.set_known(known)
    session.invert()
    check(session)


def _computed(
    session: Session, series: Sweep | None, following: Following | None
) -> tuple[Swept | None, tuple[str, ...]]:
    """Compute what is set: a series, or one counterfactual, which the session then has.

    With the names of the covariates that have followed.
    """
    if series is not None:
        swept = sweep_through(session, series, following)
        steps = swept.provenance["sweep"].get("followed", ())
        return swept, tuple(dict.fromkeys(name for moved in steps for name in moved))
    moved = following.move(session) if following is not None else {}
    session.impute()
    check(session)
    return None, tuple(moved)


def _result(
    session: Session,
    card: ModelCard,
    stated: Mapping[str, Any],
    fixed: Collection[str],
    made: tuple[Swept | None, tuple[str, ...]],
) -> Counterfactual:
    """What the session has come to, as a value of its own."""
    (swept, followed), controls = made, dict(session.controls)
    findings = _findings(session, card, stated)
    finished = cast("Finished", session.results)
    arrays: Mapping[str, NDArray[np.float32]] = finished.arrays if swept is None else swept.arrays
    provenance = dict(finished.provenance if swept is None else swept.provenance)
    said = series_hints(card, controls, swept, fixed)
    warned = series_warnings(card, controls, swept)
    record = {
        **findings.as_dict(),
        "asked": {
            name: controls[name]
            for name in card.covariates
            if swept is None or name != swept.control
        },
        "followed": list(followed),
        "hints": [hint.sentence for hint in said],
    }
    return Counterfactual(
        card=card,
        study=session.study,
        reference=cast("Scan", session.reference),
        controls=controls,
        arrays=arrays,
        findings=findings,
        hints=said,
        notes=(*finished.notes, *warned),
        provenance={**provenance, RECORD: record},
        swept=swept,
        followed=followed,
        options=session.options,
        device=session.device,
    )


def _findings(session: Session, card: ModelCard, stated: Mapping[str, Any]) -> Findings:
    found, own = session.findings or {}, session.own or {}
    origins = {}
    for name in card.covariates:
        if own.get(name) is None:
            origins[name] = "unknown"
        elif stated.get(name) is not None:
            origins[name] = "stated"
        else:
            origins[name] = "from the file" if name in session.known else "estimated"
    return Findings(
        own={name: own.get(name) for name in card.covariates},
        origins=origins,
        psnr_db=float(found.get("psnr_db", float("nan"))),
        psnr_alone_db=found.get("psnr_without_remainder_db"),
        warning=str(found.get("warning", "")),
    )
