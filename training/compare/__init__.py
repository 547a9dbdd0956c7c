"""Score models of one split on the same slices: ``python -m training.compare --help``."""
