"""`python -m napari_medsyn.cli` does what `medsyn` does."""

from napari_medsyn.cli import main

main()
