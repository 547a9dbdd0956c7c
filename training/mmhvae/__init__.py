"""Train the embedded MMHVAE: ``python -m training.mmhvae --help``."""
