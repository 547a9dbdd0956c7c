"""``python -m training.unet --data ../shared/data --out runs/unet [--steps N] …``."""

from training.harness.command import main
from training.unet.recipe import UNetRecipe

if __name__ == "__main__":
    main(UNetRecipe, "training.unet")
