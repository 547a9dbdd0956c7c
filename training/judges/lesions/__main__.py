"""Train the lesion judge: ``python -m training.judges.lesions --data … --out … [--resume]``."""

from __future__ import annotations

from training.harness.command import main
from training.judges.lesions.recipe import LesionRecipe

if __name__ == "__main__":
    main(LesionRecipe, "training.judges.lesions")
