"""What a new package begins with: cards with fields to fill in, steps, an example of code."""
