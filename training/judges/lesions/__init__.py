"""The recipe of the lesion judge: lesions painted into simulated and real slices."""
