"""``python -m training.mmhvae --data ../shared/data --out runs/mmhvae [--steps N] …``."""

from training.harness.command import main
from training.mmhvae.recipe import MMHVAERecipe

if __name__ == "__main__":
    main(MMHVAERecipe, "training.mmhvae")
