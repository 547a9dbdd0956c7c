"""How good is an image: by number, against what was really scanned."""
