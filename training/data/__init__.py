"""All of the shared data by person: read, checked, split, on two grids."""
