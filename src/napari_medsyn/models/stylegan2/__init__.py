"""StyleGAN2: the generator of Karras et al. 2020 in the layout of published snapshots."""
