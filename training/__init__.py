"""Recipes that make the embedded models; not shipped in the wheel."""
