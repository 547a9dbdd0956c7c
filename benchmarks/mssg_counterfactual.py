"""Are MSSG's counterfactuals right: ``python -m benchmarks.mssg_counterfactual --n 8``.

Healthy people of the test part (IXI, 2 mm, their own grid), with age and sex stated, go through
the product's own session: inversion, then edits on the patient's grid and in its units.  Age is
edited alone (all else at the patient's own values) and with the other covariates following, as
the dock offers it.  `judge-covariates-t1` reads scans and counterfactuals like `medsyn judge`
does, preparation included, with the patient's brain mask.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from training.data.healthy import Healthy, load_healthy
from training.data.splits import people

from benchmarks.mssg import catalogue_with, name_of
from benchmarks.mssg_metrics import keep, of_counterfactuals
from benchmarks.reporting import report
from napari_medsyn.evaluation.judging import judge
from napari_medsyn.exploration.counterfactual_series import Following, check
from napari_medsyn.exploration.requests import PreparationOptions
from napari_medsyn.exploration.session import Session
from napari_medsyn.registry.catalogue import Catalogue
from napari_medsyn.scans.study import Scan, Study

Volume = NDArray[np.floating]
JUDGE = "judge-covariates-t1"
#: Units of the released scans: the 99.5th percentile of the brain.
UNIT = 240.0
#: Years of an edit, and what it must move the measured age by (issue 5).
YEARS, LEAST, MOST = 20.0, 10.0, 30.0
#: Nobody here is moved; the scans lie where the model expects them.
OPTIONS = PreparationOptions(register="never")


@dataclass(frozen=True, eq=False)
class Patient:
    """Somebody with a scan of their own.

    Parameters
    ----------
    name : for tables.
    scan : the T1.
    brain : (X, Y, Z) bool, on the scan's grid.
    known : what is stated: age and sex.
    """

    name: str
    scan: Scan
    brain: NDArray[np.bool_]
    known: Mapping[str, Any]


class Counterfactuals:
    """A session with one patient, inverted.

    Parameters
    ----------
    own : stated of the patient.
    """

    def __init__(
        self, catalogue: Catalogue, model: str, scan: Scan, own: Mapping[str, Any]
    ) -> None:
        self.session = Session(catalogue=catalogue)
        self.session.choose_model(model)
        self.session.set_options(OPTIONS)
        self.session.set_device("cpu")
        self.session.set_study(Study((scan,)))
        self.session.set_known({n: v for n, v in own.items() if v is not None})
        self.session.invert()
        check(self.session)
        #: (X, Y, Z) on the patient's grid, normalised intensity.
        self.reconstruction = self._array("")
        self.own: Mapping[str, Any] = dict(self.session.own or {})
        self.psnr_db = float(self.session.findings["psnr_db"])

    def edited(self, changes: Mapping[str, Any], *, follow: bool = False) -> tuple[Volume, Volume]:
        """Counterfactual and difference, scanner's units, at own values but for `changes`."""
        for name, value in {**self.own, **changes}.items():
            self.session.set_control(name, value)
        if follow:
            card = self.session.card
            assert card is not None
            Following(card, tuple(changes)).move(self.session)
        self.session.impute()
        check(self.session)
        return self._array("counterfactual_"), self._array("difference_")

    def close(self) -> None:
        """Give the engine's resources back."""
        self.session.close()

    def _array(self, kind: str) -> Volume:
        results = self.session.results
        assert results is not None
        found = [v for k, v in results.arrays.items() if k.startswith(kind) and k.endswith("T1")]
        return np.array(found[0])


def main() -> None:
    """Edit everybody; print a table of people and one of what was reached."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", nargs="+", default=["mssg-brain-t1"], help="ids or packages")
    parser.add_argument("--n", type=int, default=8, help="people of the test part")
    parser.add_argument("--back", type=int, help="of them edited back again (an inversion); all")
    parser.add_argument("--metrics", type=Path, help="file of a card's metrics to add to")
    args = parser.parse_args()
    torch.set_num_threads(1)
    patients = test_people(args.data, args.n)
    back = len(patients) if args.back is None else args.back
    for which in args.model:
        catalogue, model = catalogue_with([which]), name_of(which)
        rows = []
        for number, patient in enumerate(patients):
            rows.append(of_patient(catalogue, model, patient, back=number < back))
            print(rows[-1], flush=True)
        report("mssg_counterfactual: people", whole(rows), model=model, n=len(rows))
        reached = summary(rows)
        report("mssg_counterfactual", reached, model=model, n=len(rows))
        keep(args.metrics, of_counterfactuals(reached, len(rows)))


def test_people(data: Path, n: int) -> list[Patient]:
    """Healthy people of the test part, of n ages from the youngest to the oldest."""
    folk = load_healthy(data, people=people("ixi", "test"))
    return [patient_of(folk, i) for i in spread_over(folk.age, n)]


def spread_over(age: Volume, n: int) -> list[int]:
    """Whom to take, so that ages are spread over all there are."""
    by_age = np.argsort(age, kind="stable")
    places = np.linspace(0, len(by_age) - 1, min(n, len(by_age)))
    return [int(by_age[round(place)]) for place in places]


def patient_of(folk: Healthy, i: int) -> Patient:
    """One of them as a scan in the units of the release."""
    voxels = np.rint(folk.volume(i) * UNIT).astype(np.int16)
    brain = folk.brain[i]
    voxels[brain & (voxels < 1)] = 1  # the mask is what is above 0, as in a stripped scan
    scan = Scan(voxels, folk.affine, "T1", name=folk.ids[i])
    known = {"age": round(float(folk.age[i])), "sex": str(folk.sex[i])}
    return Patient(folk.ids[i], scan, brain, known)


def of_patient(catalogue: Catalogue, model: str, patient: Patient, *, back: bool) -> dict[str, Any]:
    """All figures of one person; none of an edit that would leave the control's range."""
    began = perf_counter()
    made = Counterfactuals(catalogue, model, patient.scan, patient.known)
    row: dict[str, Any] = {"person": patient.name, **patient.known}
    row["invert s"] = perf_counter() - began
    unit = np.percentile(patient.scan.voxels[patient.brain], 99.5)
    row["PSNR dB"] = psnr(unit * made.reconstruction, patient.scan.voxels, patient.brain)
    row["PSNR told dB"] = made.psnr_db
    same, nothing = made.edited({})
    row["zero edit"] = bool((nothing == 0).all() and np.array_equal(same, patient.scan.voxels))
    before = read(patient.scan, patient.brain)
    row["read age"], row["read ml"] = before["age"], before["ventricles"]
    outside = 0.0
    for follow in (False, True):
        kind = "following" if follow else "alone"
        for sign, years in edits(made):
            after, difference = made.edited({"age": made.own["age"] + years}, follow=follow)
            outside = max(outside, float(np.abs(difference[~patient.brain]).max()))
            now = read(as_scan(patient.scan, after), patient.brain)
            row[f"age {sign} {kind}"] = now["age"] - before["age"]
            row[f"ml {sign} {kind}"] = now["ventricles"] - before["ventricles"]
    other = "F" if patient.known["sex"] == "M" else "M"
    after, difference = made.edited({"sex": other})
    outside = max(outside, float(np.abs(difference[~patient.brain]).max()))
    now = read(as_scan(patient.scan, after), patient.brain)
    row["P(male)"], row["as other"] = before["male"], now["male"]
    row["outside"] = outside
    row["back dB"] = edited_back(catalogue, model, patient, made) if back else float("nan")
    made.close()
    return row


def edits(made: Counterfactuals) -> Iterator[tuple[str, float]]:
    """Twenty years more and fewer, as far as the control of age reaches."""
    card = made.session.card
    assert card is not None
    control: Any = next(control for control in card.controls if control.name == "age")
    for sign, years in (("+", YEARS), ("-", -YEARS)):
        if control.minimum <= made.own["age"] + years <= control.maximum:
            yield sign, years


def edited_back(catalogue: Catalogue, model: str, patient: Patient, made: Counterfactuals) -> float:
    """PSNR of the scan after an edit, a new inversion of the result, and the edit back; dB."""
    (_, years), *_ = edits(made)
    older = {**made.own, "age": made.own["age"] + years}
    after, _ = made.edited({"age": older["age"]})
    again = Counterfactuals(catalogue, model, as_scan(patient.scan, after), older)
    returned, _ = again.edited({"age": made.own["age"]})
    again.close()
    return psnr(returned, patient.scan.voxels, patient.brain)


def as_scan(scan: Scan, voxels: Volume) -> Scan:
    """The patient's scan with other voxels."""
    return replace(scan, voxels=voxels.astype(np.float32), is_synthetic=True)


def read(scan: Scan, brain: NDArray[np.bool_]) -> Mapping[str, float]:
    """What the judge reads off a scan, preparation included.

    The mask goes with the scan: left to itself the preparation may look for a skull in one
    counterfactual and not in the next, and what it cuts off would count as the edit's doing.
    """
    mask = Scan(brain.astype(np.uint8), scan.affine, "label", name="brain")
    (judgement,) = judge(Study((scan, mask)), [JUDGE], device="cpu", options=OPTIONS)
    return judgement.readings


def psnr(image: Volume, scan: Volume, brain: NDArray[np.bool_]) -> float:
    """Peak signal-to-noise ratio in the brain; 1 is the 99.5th percentile of the brain; dB."""
    wanted = scan[brain].astype(np.float64)
    error = float(np.mean((image[brain] - wanted) ** 2))
    peak = float(np.percentile(wanted, 99.5))
    return float(10 * np.log10(peak**2 / error)) if error > 0 else float("inf")


def summary(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What was reached of issue 5's list."""
    rows_out = [
        _line("reconstruction, PSNR in the brain, dB", _column(rows, "PSNR dB").mean(), ">= 27"),
        _line("the worst of them", _column(rows, "PSNR dB").min(), None),
        _line("zero edit, zero difference, share", _column(rows, "zero edit").mean(), "1"),
        _line("largest change outside the brain", _column(rows, "outside").max(), "0"),
    ]
    for kind in ("alone", "following"):
        moved = signed(rows, "age", kind)
        share = float(np.mean((moved >= LEAST) & (moved <= MOST))) if len(moved) else float("nan")
        grown = signed(rows, "ml", kind)
        rows_out += [
            _line(f"age by 20 years {kind}: 10 to 30 years measured, share", share, ">= 0.8"),
            _line(f"age by 20 years {kind}: right direction, share", _share(moved), None),
            _line(f"age by 20 years {kind}: mean years measured", _mean(moved), "20"),
            _line(f"age by 20 years {kind}: ventricles grow with age, share", _share(grown), None),
            _line(f"age by 20 years {kind}: mean growth, ml", _mean(grown), "> 0"),
        ]
    return [*rows_out, *_sexes(rows), *_back(rows)]


def whole(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of equal columns: an edit beyond the control's range is an empty cell."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in names} for row in rows]


def signed(rows: Sequence[Mapping[str, Any]], what: str, kind: str) -> NDArray[np.float64]:
    """Changes of all edits of age, those to fewer years with the sign turned."""
    more, fewer = (_column(rows, f"{what} {sign} {kind}") for sign in "+-")
    changes = np.concatenate([more, -fewer])
    known: NDArray[np.float64] = changes[np.isfinite(changes)]
    return known


def _sexes(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    before, after = _column(rows, "P(male)"), _column(rows, "as other")
    wanted = np.array([row["sex"] == "F" for row in rows])  # asked to become male
    towards = np.where(wanted, after - before, before - after)
    right = (before >= 0.5) != wanted
    return [
        _line(
            "sex edited: read as asked, share", float(np.mean((after >= 0.5) == wanted)), ">= 0.9"
        ),
        _line("of those read right before, share", _mean(((after >= 0.5) == wanted)[right]), None),
        _line("sex edited: moved towards it, share", _share(towards), None),
    ]


def _back(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    back = _column(rows, "back dB")
    back = back[~np.isnan(back)]
    if not len(back):
        return []
    return [
        _line("age edited and back, mean PSNR, dB", float(back.mean()), ">= 30"),
        _line("the worst of them, back", float(back.min()), None),
    ]


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> NDArray[np.float64]:
    return np.array([row.get(name, float("nan")) for row in rows], np.float64)


def _share(values: Volume) -> float:
    return _mean(np.asarray(values > 0))


def _mean(values: NDArray[Any]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _line(what: str, value: float, target: str | None) -> dict[str, Any]:
    return {"what": what, "value": float(value), "target": target}


if __name__ == "__main__":
    main()
