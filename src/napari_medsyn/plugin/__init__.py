"""The napari plugin: Qt and napari are used here and nowhere else."""
