"""Recipes of the judges: networks that measure, trained on real scans only.

Nothing that trains a generator may import them, nor `napari_medsyn.models.judges`
(`tests/architecture/test_judges.py`): what a generator was trained against cannot judge it.
"""
