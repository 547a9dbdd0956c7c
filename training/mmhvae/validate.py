"""Score one run's weights on visits: ``python -m training.mmhvae.validate --weights FILE``.

Quick figures for choosing between runs, one JSON line a visit, case and target; models are
compared by `training.compare`, and the figures that are quoted come from
``benchmarks/imputation.py``, which goes through the product's own door.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from training.compare.loading import imputer_of
from training.compare.scoring import rows_of
from training.data.multimodal import load_visits
from training.data.splits import PARTS


def main() -> None:
    """Print one JSON line a visit, case and target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data folder or packed file")
    parser.add_argument("--weights", type=Path, required=True, help="of a run of any recipe")
    parser.add_argument("--part", choices=PARTS, default="validation")
    parser.add_argument("--every", type=int, default=4, help="one slice in N")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    imputer = imputer_of(args.weights)
    for visit in load_visits(args.data, parts=(args.part,)):
        for row in rows_of(imputer, visit, args.every):
            shown = {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}
            print(json.dumps(shown), flush=True)


if __name__ == "__main__":
    main()
