"""The voxel-wise baseline: ``python -m training.voxelwise --help``."""
