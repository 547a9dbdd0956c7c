"""Recipes of the judges: networks that measure.

Those of T1 learn from real scans; the lesion judge, for want of drawn lesions, from lesions
painted into real and simulated slices.

Nothing that trains a generator may import them, nor `napari_medsyn.models.judges`
(`tests/architecture/test_judges.py`): what a generator was trained against cannot judge it.
"""
