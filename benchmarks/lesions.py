"""Are lesions found in a FLAIR that was never scanned?  ``python -m benchmarks.lesions``.

The lesion judge segments the one test person with scans and a mask of all lesions (ms-07),
and simulated people of the test part, given

* all modalities; all but FLAIR; T1 alone;
* all but FLAIR, and a FLAIR imputed from them; T1 alone, and all others imputed from it;
* FLAIR alone, as scanned, as imputed, and black: what a segmenter meets that needs one.

`recovered` is (imputed - missing) / (all - missing), of the mean Dice.  ``--model`` is a
package of an MMHVAE or a run's weights; by default the installed package.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from training.compare.imputers import FamilyImputer, Imputer
from training.compare.loading import imputer_of
from training.data.grids import MODALITIES
from training.data.multimodal import Visit, load_visits
from training.harness.figures import write_picture
from training.judges.lesions.calibrate import calibrated
from training.judges.lesions.drawing import outlines
from training.judges.lesions.scoring import Agreement, agreement, drawn, volumes
from training.judges.lesions.simulated import load_subjects

from benchmarks.reporting import report
from napari_medsyn.models.families import load_judge
from napari_medsyn.models.judges.lesions import LesionJudge, Segmenter
from napari_medsyn.models.mmhvae import MMHVAE, Topology
from napari_medsyn.registry.card import read_card
from napari_medsyn.registry.catalogue import Catalogue

JUDGE, IMPUTER = "judge-lesions-mr", "mmhvae-brain-mr-1mm"
#: Seed of the simulated people; calibration and training have others.
SEED = 1000
#: A smaller loss of Dice than this is none, and no share of it can be told.
SMALLEST_LOSS = 0.01
Volumes = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Given:
    """What the judge is given.

    Parameters
    ----------
    name : of the case.
    scanned : modalities as scanned, if the visit has them.
    imputed : modalities that are imputed ...
    source : ... from these.
    black : modalities that are there, but 0 everywhere.
    """

    name: str
    scanned: tuple[str, ...]
    imputed: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    black: tuple[str, ...] = ()


OTHERS = ("T1", "T1c", "T2")
CASES = (
    Given("all", MODALITIES),
    Given("without FLAIR", OTHERS),
    Given("FLAIR imputed", OTHERS, ("FLAIR",), OTHERS),
    Given("FLAIR black", OTHERS, black=("FLAIR",)),
    Given("T1 and T2", ("T1", "T2")),
    Given("T1 and T2, FLAIR imputed", ("T1", "T2"), ("FLAIR",), ("T1", "T2")),
    Given("T1 alone", ("T1",)),
    Given("T1, others imputed", ("T1",), ("T1c", "T2", "FLAIR"), ("T1",)),
    Given("FLAIR alone", ("FLAIR",)),
    Given("imputed FLAIR alone", (), ("FLAIR",), OTHERS),
)
#: Cases that are drawn, and on whose FLAIR.
PICTURED = ("all", "without FLAIR", "FLAIR imputed", "T1 alone")
#: Name to the cases with everything, with something missing, and with it imputed.
RECOVERED = {
    "FLAIR, next to T1, T1c and T2": ("all", "without FLAIR", "FLAIR imputed"),
    "FLAIR, where black before": ("all", "FLAIR black", "FLAIR imputed"),
    "FLAIR, next to T1 and T2": ("all", "T1 and T2", "T1 and T2, FLAIR imputed"),
    "all but T1": ("all", "T1 alone", "T1, others imputed"),
}


def main() -> None:
    """Segment everybody in every case; print tables, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", type=Path, help="package or weights that impute")
    parser.add_argument("--judge", type=Path, help="folder of a run in place of the package")
    parser.add_argument("--n", type=int, default=20, help="simulated people")
    parser.add_argument("--slices", type=int, default=42, help="neighbouring slices of each")
    parser.add_argument("--without-imputing", action="store_true", help="only scanned modalities")
    parser.add_argument("--out", type=Path, help="folder for lesions.json, metrics, pictures")
    args = parser.parse_args()
    torch.set_num_threads(1)
    segment = load_segmenter(args.judge)
    imputer = None if args.without_imputing else load_imputer(args.model)
    cohorts = {
        "ms-07": [v for v in load_visits(args.data, parts=("test",)) if v.lesions is not None],
        "simulated": load_subjects(args.data, ("test",), args.n, SEED, args.slices),
    }
    rows: list[dict[str, Any]] = []
    for cohort, visits in cohorts.items():
        for visit in visits:
            for row in score_visit(visit, segment, imputer, args.out):
                rows.append({"cohort": cohort, **row})
                print(json.dumps(rows[-1]), flush=True)
    summary = averages(rows)
    model = str(args.model or IMPUTER)
    report("lesions", summary, model=model, slices=args.slices)
    shares = recovered(summary)
    if shares:
        report("lesions recovered", shares, model=model)
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        record = {"model": model, "rows": rows, "summary": summary, "recovered": shares}
        (args.out / "lesions.json").write_text(json.dumps(record, indent=2) + "\n")
        metrics = json.dumps(card_metrics(summary), indent=2) + "\n"
        (args.out / f"{JUDGE}.json").write_text(metrics)


def load_segmenter(run: Path | None) -> Segmenter:
    """That of a run's folder, or of the installed judge if None."""
    if run is not None:
        return calibrated(run)
    entry = Catalogue().get(JUDGE, "judge")
    assert entry.card is not None
    judge = load_judge(entry.package, entry.card, "cpu")
    assert isinstance(judge, LesionJudge)
    return judge.segment


def load_imputer(model: Path | None) -> Imputer:
    """A package's folder or a run's weights; the installed package if None."""
    if model is not None and not model.is_dir():
        return imputer_of(model)
    package = Catalogue().get(IMPUTER, "generator").package if model is None else model
    card = read_card(package)
    network = MMHVAE(Topology.from_card(card.architecture))
    network.load_state_dict(load_file(package / card.weights.name))
    return FamilyImputer(network, torch.device("cpu"), temperature=0.0)


def score_visit(
    visit: Visit, segment: Segmenter, imputer: Imputer | None, out: Path | None = None
) -> Iterator[dict[str, Any]]:
    """One row for each case that the visit has the scans for."""
    shape = drawn(visit).shape
    made: dict[tuple[str, ...], Volumes] = {}
    found = {}
    for case in CASES:
        if case.imputed and imputer is None:
            continue
        given = dict(volumes(visit, case.scanned))
        given |= {m: np.zeros(shape, np.float32) for m in case.black}
        if case.imputed and imputer is not None:
            if case.source not in made:
                made[case.source] = imputed(visit, imputer, case.source)
            given |= {m: made[case.source][m] for m in case.imputed}
        found[case.name] = segment(given)
        result = agreement(found[case.name], drawn(visit))
        yield {"person": visit.person, "given": case.name, **rounded(result)}
    if out is not None:
        pictured = [n for n in PICTURED if n in found]
        flair = volumes(visit)["FLAIR"]
        seen = [made[OTHERS]["FLAIR"] if n == "FLAIR imputed" else flair for n in pictured]
        slices = outlines(seen, [found[n] for n in pictured], drawn(visit))
        out.mkdir(parents=True, exist_ok=True)
        write_picture(out / f"{visit.name}.png", slices)


def imputed(visit: Visit, imputer: Imputer, source: Sequence[str]) -> Volumes:
    """Modality to (X, Y, Z): what `imputer` makes of some of a visit's scans."""
    shape = drawn(visit).shape
    heights = torch.nonzero(visit.mask.any(dim=2).any(dim=1))[:, 0].tolist()
    result = imputer(visit, source, heights)
    out = {}
    for modality, planes in result.mean.items():
        out[modality] = np.zeros(shape, np.float32)
        out[modality][:, :, heights] = planes
    return out


def rounded(result: Agreement) -> dict[str, Any]:
    """The figures of one person, short enough to be read."""
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(result).items()}


def averages(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Mean of every figure over the people of a cohort, by case."""
    out = []
    for cohort in dict.fromkeys(r["cohort"] for r in rows):
        for case in dict.fromkeys(r["given"] for r in rows):
            some = [r for r in rows if (r["cohort"], r["given"]) == (cohort, case)]
            figures = [k for k in some[0] if k not in ("cohort", "given", "person")] if some else []
            if some:
                means = {k: float(np.nanmean([r[k] for r in some])) for k in figures}
                out.append({"cohort": cohort, "given": case, "n": len(some), **means})
    return out


def recovered(summary: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """How much of the Dice that is lost without a modality its imputation brings back."""
    out = []
    for cohort in dict.fromkeys(r["cohort"] for r in summary):
        dice = {r["given"]: r["dice"] for r in summary if r["cohort"] == cohort}
        for name, (everything, missing, imputed_) in RECOVERED.items():
            if not {everything, missing, imputed_} <= dice.keys():
                continue
            lost = dice[everything] - dice[missing]
            row = {"cohort": cohort, "missing": name, "all": dice[everything]}
            row |= {"without": dice[missing], "imputed": dice[imputed_]}
            row["recovered"] = (
                (dice[imputed_] - dice[missing]) / lost if lost >= SMALLEST_LOSS else None
            )
            out.append(row)
    return out


def card_metrics(summary: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The cases with scanned modalities as figures of the judge's card."""
    sets = {
        "ms-07": "Lesjak et al. 2017, patient 07, held out",
        "simulated": "simulated people, held-out label maps and lesion masks",
    }
    shown = ("all", "without FLAIR", "T1 and T2", "T1 alone", "FLAIR alone")
    labels = (
        ("dice", "Dice", "higher"),
        ("dice_tolerant", "Dice within 1 mm", "higher"),
        ("sensitivity", "Lesions found (share)", "higher"),
        ("false_lesions", "False lesions", "lower"),
    )
    return [
        {
            "name": label,
            "value": round(row[key], 3),
            "direction": direction,
            "data_set": sets[row["cohort"]],
            "n": row["n"],
            "note": f"given {row['given']}; benchmarks/lesions.py",
        }
        for row in summary
        if row["given"] in shown
        for key, label, direction in labels
    ]


if __name__ == "__main__":
    main()
