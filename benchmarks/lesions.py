"""What a missing FLAIR costs a lesion segmenter, and how much an imputed one gives back.

``python -m benchmarks.lesions --data ../shared/data --model resources/models/mmhvae-brain-mr-1mm``

Test people only: patient 07 of Lesjak et al. 2017 (manual consensus of three raters) and
simulated people made of the test part's label maps and lesion masks.  Each is segmented
with all modalities, without FLAIR, with the FLAIR that the model imputes from the others,
and the same from T1 alone.  The share of the loss that comes back is

    recovered = (Dice with imputed FLAIR - Dice without FLAIR) / (Dice with all - Dice without)

A segmenter that has learnt to do without FLAIR loses little by it, and knows all that the
imputing model can tell it; ``--needs-flair`` adds one that has never seen a study without,
which is how most segmenters in use were trained.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from training.data.grids import MODALITIES, model_affine
from training.data.multimodal import load_visits

from benchmarks.reporting import report
from napari_medsyn.models.families import load_family, load_judge
from napari_medsyn.registry.card import read_card
from napari_medsyn.scans.geometry import Grid
from napari_medsyn.scans.preparation import IntensityScale, PreparedStudy

if TYPE_CHECKING:
    from napari_medsyn.models.family import Family
    from napari_medsyn.models.judges.judge import Judge

Volume = NDArray[np.float32]
Mask = NDArray[np.bool_]

FLAIR = "FLAIR"
ALL, WITHOUT, IMPUTED = "all", "without FLAIR", "imputed FLAIR"
T1_ALONE, T1_IMPUTED = "T1 alone", "T1, imputed FLAIR"
#: What is compared: (missing, imputed).
COMPARED = ((WITHOUT, IMPUTED), (T1_ALONE, T1_IMPUTED))
#: A smaller loss of Dice than this is none, and no share of it can be told.
SMALLEST_LOSS = 0.01
#: Groups of voxels that touch, if only at a corner, are one lesion.
TOUCHING = np.ones((3, 3, 3))
#: Figures that are averaged over a cohort.
FIGURES = ("dice", "dice_1mm", "sensitivity", "false_lesions", "found_ml", "true_ml")


@dataclass(frozen=True, eq=False)
class Subject:
    """One test person on the model grid.

    Parameters
    ----------
    name : "ms-07" or "simulated-03".
    cohort : "real" or "simulated".
    volumes : modality to (X, Y, Z) float32 in normalised intensity, 0 outside `brain`.
    brain, lesions : (X, Y, Z) bool.
    scored : (Z,) bool, axial planes that count.
    """

    name: str
    cohort: str
    volumes: Mapping[str, Volume]
    brain: Mask
    lesions: Mask
    scored: Mask

    def between(self, first: int, last: int) -> Subject:
        """With the axial planes [first, last) only, of which the outermost are context."""
        kept = np.zeros(self.brain.shape[2], bool)
        kept[first:last] = True
        volumes = {m: v * kept for m, v in self.volumes.items()}
        inner = kept.copy()
        if first > 0:
            inner[first] = False
        if last < len(kept):
            inner[last - 1] = False
        return replace(self, volumes=volumes, brain=self.brain & kept, scored=self.scored & inner)


def real_subjects(data: Path) -> Iterable[Subject]:
    """Test people with scans and drawn lesions."""
    for visit in load_visits(data, parts=("test",)):
        if visit.lesions is None:
            continue
        there = [(m, image) for m, image, p in zip(MODALITIES, visit.images, visit.present,
                                                   strict=True) if p]  # fmt: skip
        volumes = {m: _volume(image).astype(np.float32) for m, image in there}
        brain, lesions = _volume(visit.mask), _volume(visit.lesions)
        yield Subject(visit.person, "real", volumes, brain, lesions, _planes(brain))


def simulated_subjects(data: Path, n: int, seed: int) -> Iterable[Subject]:
    """People made of the test part's label maps and lesion masks, on the model grid."""
    from training.simulator import Simulator

    simulator = Simulator(data, parts=("test",))
    for i in range(n):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + i)
        made = simulator.draw(1, generator, spacing=1.0)
        brain = made.brain[0].numpy().astype(bool)
        volumes = {m: made.images[0, k].float().numpy() * brain for k, m in enumerate(MODALITIES)}
        lesions = made.lesions[0].numpy().astype(bool) & brain
        scored = _planes(brain)
        yield Subject(f"simulated-{i + 1:02d}", "simulated", volumes, brain, lesions, scored)


def prepared(subject: Subject, volumes: Mapping[str, Volume], version: str) -> PreparedStudy:
    """Some volumes of a subject as if the preparation had brought them to the model grid.

    Parameters
    ----------
    version : tells contents of the same subject apart.
    """
    x, y, z = subject.brain.shape
    grid = Grid((x, y, z), model_affine())
    return PreparedStudy(
        volumes=volumes,
        mask=subject.brain,
        grid=grid,
        reference=grid,
        reference_mask=subject.brain,
        to_model=np.eye(4),
        scales={m: IntensityScale(0.0, 1.0) for m in volumes},
        reference_volumes=volumes,
        steps=(),
        notes=(),
        content_hash=f"{subject.name}-{version}",
    )


def imputed_flair(
    family: Family, subject: Subject, present: Sequence[str], settings: Mapping[str, Any]
) -> Volume:
    """(X, Y, Z): FLAIR as `family` imputes it from the modalities `present` alone."""
    given = {m: subject.volumes[m] for m in present}
    controls = {**settings, "present": tuple(present), "targets": (FLAIR,)}
    conditioning = family.condition(prepared(subject, given, "+".join(present)), controls)
    slices = np.flatnonzero(subject.brain.any(axis=(0, 1))).tolist()
    out = np.zeros(subject.brain.shape, np.float32)
    for region in family.plan((), slices, controls):
        out[:, :, list(region.slices)] = family.render(conditioning, controls, region).mean[FLAIR]
    return out


def versions(
    family: Family, subject: Subject, settings: Mapping[str, Any]
) -> dict[str, dict[str, Volume]]:
    """What the segmenters are given of a subject, by the name of the case."""
    all_of_it = dict(subject.volumes)
    others = {m: v for m, v in all_of_it.items() if m != FLAIR}
    t1 = {"T1": all_of_it["T1"]}
    return {
        ALL: all_of_it,
        WITHOUT: others,
        IMPUTED: {**others, FLAIR: imputed_flair(family, subject, tuple(others), settings)},
        T1_ALONE: t1,
        T1_IMPUTED: {**t1, FLAIR: imputed_flair(family, subject, ("T1",), settings)},
    }


def score(found: Mask, lesions: Mask, voxel_ml: float = 1e-3) -> dict[str, float | None]:
    """How well found lesions agree with drawn ones.

    Parameters
    ----------
    found, lesions : (X, Y, Z) bool.

    Returns
    -------
    dice : 2 |F L| / (|F| + |L|); None if both are empty.
    dice_1mm : the same where a voxel counts as right if the other mask has one at most one
        voxel away along an axis: the border of a lesion is known no better.
    sensitivity : share of the drawn lesions of which at least one voxel was found.
    false_lesions : groups of found voxels that touch no drawn lesion.
    found_ml, true_ml : volumes.
    """
    size = int(found.sum()) + int(lesions.sum())
    near_found, near_lesions = ndimage.binary_dilation(found), ndimage.binary_dilation(lesions)
    right = int((found & near_lesions).sum()) + int((lesions & near_found).sum())
    drawn, of_them = ndimage.label(lesions, TOUCHING)
    groups, of_groups = ndimage.label(found, TOUCHING)
    hit = len(np.unique(drawn[found & lesions]))
    true_groups = len(np.unique(groups[found & lesions]))
    return {
        "dice": 2 * int((found & lesions).sum()) / size if size else None,
        "dice_1mm": right / size if size else None,
        "sensitivity": hit / of_them if of_them else None,
        "false_lesions": float(of_groups - true_groups),
        "found_ml": float(found.sum()) * voxel_ml,
        "true_ml": float(lesions.sum()) * voxel_ml,
    }


def score_subject(
    judges: Mapping[str, Judge], family: Family, subject: Subject, settings: Mapping[str, Any]
) -> Iterable[dict[str, Any]]:
    """One row for each segmenter and case."""
    given = versions(family, subject, settings)
    for name, judge in judges.items():
        for case, volumes in given.items():
            verdict = judge.read(prepared(subject, volumes, case))
            found = (verdict.maps[judge.card.outputs[0]] > 0) & subject.scored
            row = {"subject": subject.name, "cohort": subject.cohort, "segmenter": name}
            figures = score(found, subject.lesions & subject.scored)
            yield {**row, "given": case, **figures}


def summary(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Means over each cohort, by segmenter and case."""
    keys = dict.fromkeys((r["cohort"], r["segmenter"], r["given"]) for r in rows)
    out = []
    for key in keys:
        group = [r for r in rows if (r["cohort"], r["segmenter"], r["given"]) == key]
        line: dict[str, Any] = dict(zip(("cohort", "segmenter", "given"), key, strict=True))
        for name in FIGURES:
            values = [r[name] for r in group if r[name] is not None]
            line[name] = mean(values) if values else None
        out.append({**line, "n": len(group)})
    return out


def recoveries(rows: Sequence[Mapping[str, Any]], by: str) -> list[dict[str, Any]]:
    """How much of the Dice that is lost without FLAIR comes back with the imputed one.

    Parameters
    ----------
    rows : with "dice", "segmenter", "given".
    by : "subject", or "cohort" for the figures of `summary`: a share of means, since shares
        of tiny losses are noise.
    """
    out = []
    for whose, segmenter in dict.fromkeys((r[by], r["segmenter"]) for r in rows):
        dice = {
            r["given"]: r["dice"] for r in rows if (r[by], r["segmenter"]) == (whose, segmenter)
        }
        for missing, imputed in COMPARED:
            line = {by: whose, "segmenter": segmenter, "compared": missing}
            line |= {"all": dice[ALL], "missing": dice[missing], "imputed": dice[imputed]}
            out.append({**line, "recovered": recovered(dice[ALL], dice[missing], dice[imputed])})
    return out


def recovered(whole: float | None, missing: float | None, imputed: float | None) -> float | None:
    """Share of the loss that is made good; None where next to nothing is lost."""
    if whole is None or missing is None or imputed is None or whole - missing < SMALLEST_LOSS:
        return None
    return (imputed - missing) / (whole - missing)


def _volume(planes: torch.Tensor) -> NDArray[Any]:
    """(X, Y, Z) of (Z, X, Y)."""
    return np.ascontiguousarray(planes.numpy().transpose(1, 2, 0))


def _planes(brain: Mask) -> Mask:
    """(Z,) bool: axial planes with brain."""
    return np.asarray(brain.any(axis=(0, 1)), bool)


def _judge(package: Path) -> Judge:
    return load_judge(package, read_card(package), "cpu")


def main() -> None:
    """Run the experiment; print tables, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    models = Path("resources/models")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", type=Path, default=models / "mmhvae-brain-mr-1mm")
    parser.add_argument("--judge", type=Path, default=models / "judge-lesions-mr")
    parser.add_argument("--needs-flair", type=Path, help="package of a segmenter that needs FLAIR")
    parser.add_argument("--simulated", type=int, default=20, help="simulated people")
    parser.add_argument("--planes", default="0:160", help="of the simulated: first:last + 1")
    parser.add_argument("--temperature", type=float, default=0.0, help="of the imputing model")
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for lesions.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    judges = {"any subset": _judge(args.judge)}
    if args.needs_flair:
        judges["needs FLAIR"] = _judge(args.needs_flair)
    family = load_family(args.model, read_card(args.model), "cpu")
    settings = {"temperature": args.temperature, "samples": args.samples, "seed": args.seed}
    first, last = (int(k) for k in args.planes.split(":"))

    rows: list[dict[str, Any]] = []
    subjects = [*real_subjects(args.data)]
    for subject in subjects:
        rows += score_subject(judges, family, subject, settings)
    for subject in simulated_subjects(args.data, args.simulated, args.seed):
        found = [*score_subject(judges, family, subject.between(first, last), settings)]
        print(json.dumps(found), flush=True)
        rows += found
    show(rows, args.out)


def show(rows: Sequence[Mapping[str, Any]], out: Path | None) -> None:
    """Print what each subject and each cohort got; write it into `out`."""
    means = summary(rows)
    each = recoveries(rows, "subject")
    report("lesions, each", rows)
    report("lesions, cohorts", means)
    report("lesions, FLAIR recovered, each", each)
    report("lesions, FLAIR recovered, cohorts", recoveries(means, "cohort"))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        record = {"rows": list(rows), "summary": means, "recovered": each,
                  "recovered_by_cohort": recoveries(means, "cohort")}  # fmt: skip
        (out / "lesions.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
