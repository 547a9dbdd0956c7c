"""Generators built from MONAI's own network classes, and bundles turned into packages."""
