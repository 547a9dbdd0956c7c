"""The one place where grids change: a study to a model's grid, and results back."""

from napari_medsyn.scans.preparation.intensity import IntensityScale
from napari_medsyn.scans.preparation.options import PreparationOptions
from napari_medsyn.scans.preparation.pipeline import prepare
from napari_medsyn.scans.preparation.prepared import PreparedStudy

__all__ = ["IntensityScale", "PreparationOptions", "PreparedStudy", "prepare"]
