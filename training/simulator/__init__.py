"""From a label map to a paired multi-contrast brain with known covariates."""
