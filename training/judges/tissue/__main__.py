"""Train the tissue judge: ``python -m training.judges.tissue --data … --out … [--resume]``."""

from __future__ import annotations

from training.harness.command import main
from training.judges.tissue.recipe import TissueRecipe

if __name__ == "__main__":
    main(TissueRecipe, "training.judges.tissue")
