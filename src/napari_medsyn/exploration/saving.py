"""Writing results: one NIfTI file for each output, and the provenance beside them."""
