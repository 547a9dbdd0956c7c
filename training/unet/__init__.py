"""The baseline with modality dropout: ``python -m training.unet --help``."""
