"""Other people's model files, read as data: nothing in them is ever run."""
