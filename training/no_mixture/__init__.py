"""The baseline without the mixture over subsets: ``python -m training.no_mixture --help``."""
