"""Families of generative models; the only floor that imports torch."""
