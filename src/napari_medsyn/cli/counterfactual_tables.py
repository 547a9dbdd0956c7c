"""What `medsyn counterfactual` prints: the patient's own values, and what a judge measures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from napari_medsyn.cli.control_values import value_text
from napari_medsyn.cli.printing import show

if TYPE_CHECKING:
    from rich.table import Table

    from napari_medsyn.exploration.counterfactual_judging import Measured
    from napari_medsyn.exploration.counterfactual_results import Counterfactual, Findings
    from napari_medsyn.registry.parts import Reading

#: What a column says of a covariate that was left alone.
_OWN: Final = "own"


def show_findings(made: Counterfactual) -> None:
    """Each covariate with the patient's value, where it is from, and what was asked for."""
    from napari_medsyn.scans.provenance import PURPOSE

    table = _table("What the inversion found, and what was asked for")
    table.add_column("Covariate")
    table.add_column("Patient", justify="right")
    table.add_column("Known from")
    table.add_column("Asked for", justify="right")
    for name in made.card.covariates:
        origin = made.findings.origins[name]
        own = made.findings.own[name]
        patient = "" if own is None else with_unit(made, name, own)
        table.add_row(_label(made, name), patient, origin, _asked(made, name))
    _print(table)
    _show_reconstruction(made.findings)
    show(f"{PURPOSE}.")


def _show_reconstruction(findings: Findings) -> None:
    if not math.isfinite(findings.psnr_db):
        return
    alone = findings.psnr_alone_db
    of_which = "" if alone is None else f" ({alone:.1f} dB by the model's style alone)"
    show(f"Reconstruction of the scan: PSNR {findings.psnr_db:.1f} dB within the brain{of_which}")


def show_measured(made: Counterfactual, measured: Measured) -> None:
    """What the judge reads off the scan and the counterfactual, beside what was asked for."""
    if made.swept is None:
        _show_one(made, measured)
    else:
        _show_series(made, measured)


def with_unit(made: Counterfactual, name: str, value: Any) -> str:
    """A covariate's value as one reads it: "44.2 years", "F", "unknown"."""
    control = next(control for control in made.card.controls if control.name == name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:.4g} {getattr(control, 'unit', '')}".rstrip()
    return value_text(value)


def _asked(made: Counterfactual, name: str) -> str:
    if made.swept is not None and made.swept.control == name:
        first, *_, last = (with_unit(made, name, value) for value in made.steps)
        return f"{first} to {last}, {len(made.steps)} steps"
    if made.swept is not None and name in made.followed:
        return "follows"
    asked = made.controls[name]
    if asked == made.findings.own[name]:
        return _OWN
    return with_unit(made, name, asked) + (" (follows)" if name in made.followed else "")


def _show_one(made: Counterfactual, measured: Measured) -> None:
    table = _table(f"Measured by {measured.card.id}; the counterfactual is SYNTHETIC")
    table.add_column("Reading")
    for heading in ("Asked for", "Scan", "Counterfactual", "±"):
        table.add_column(heading, justify="right")
    table.add_column("Unit")
    (after,) = measured.made
    for reading in measured.card.readings:
        spread = measured.spread.get(reading.name)
        table.add_row(
            reading.label,
            _asked_of(made, reading),
            f"{measured.scan[reading.name]:.3g}",
            f"{after[reading.name]:.3g}",
            "" if spread is None else f"{spread:.2g}",
            reading.unit,
        )
    _print(table)


def _show_series(made: Counterfactual, measured: Measured) -> None:
    """A row for the scan and for each step, a column for each reading."""
    table = _table(f"Measured by {measured.card.id}; all but the scan is SYNTHETIC")
    control = made.swept.control if made.swept is not None else ""
    table.add_column(f"{_label(made, control)} asked for", justify="right")
    for reading in measured.card.readings:
        unit = f" ({reading.unit})" if reading.unit else ""
        table.add_column(f"{reading.label}{unit}", justify="right")
    names = [reading.name for reading in measured.card.readings]
    rows = [("scan", measured.scan)]
    rows += [
        (with_unit(made, control, value), readings)
        for value, readings in zip(made.steps, measured.made, strict=True)
    ]
    for heading, readings in rows:
        table.add_row(heading, *(f"{readings[name]:.3g}" for name in names))
    _print(table)


def _asked_of(made: Counterfactual, reading: Reading) -> str:
    """What was asked for of the covariate that a reading measures; "" where there is none."""
    from napari_medsyn.exploration.counterfactual_judging import COVARIATE_OF

    name = COVARIATE_OF.get(reading.name, reading.name)
    if name not in made.card.covariates:
        return ""
    asked = made.controls[name]
    own = f"{_OWN}: " if asked == made.findings.own[name] else ""
    return f"{own}{value_text(asked) if not isinstance(asked, float) else f'{asked:.3g}'}"


def _label(made: Counterfactual, name: str) -> str:
    return next(control.label for control in made.card.controls if control.name == name)


def _table(title: str) -> Table:
    """An empty table, below its title: in a table rich would break it at the table's width."""
    from rich.table import Table

    show(f"{title}:")
    return Table()


def _print(table: Table) -> None:
    from rich.console import Console

    Console().print(table)
