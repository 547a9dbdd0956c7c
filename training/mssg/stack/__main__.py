"""``python -m training.mssg.stack --data ../shared/data --out runs/mssg/stack [--steps N] …``."""

from training.harness.command import main
from training.mssg.stack.recipe import StackRecipe

if __name__ == "__main__":
    main(StackRecipe, "training.mssg.stack")
