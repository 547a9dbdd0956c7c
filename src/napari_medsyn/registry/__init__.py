"""Which models there are, what they say of themselves, and whether they can be trusted."""
