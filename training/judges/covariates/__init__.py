"""The recipe of the covariate judge: linear maps of morphometry to age and sex."""
