"""MSSG-mini: the published multi-source StyleGAN, small, on slices of 64 × 64 pixels."""
