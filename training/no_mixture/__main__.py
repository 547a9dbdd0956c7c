"""``python -m training.no_mixture --data ../shared/data --out runs/no_mixture …``."""

from training.harness.command import main
from training.no_mixture.recipe import NoMixtureRecipe

if __name__ == "__main__":
    main(NoMixtureRecipe, "training.no_mixture")
