"""Multi-source StyleGAN: one generator, every covariate of every cohort."""
