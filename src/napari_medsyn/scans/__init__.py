"""Files to scans and back, on exact grids; no torch, no Qt."""
