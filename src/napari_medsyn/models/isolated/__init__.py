"""Models that bring their own code: run in a process of their own, behind fences.

`runner`, `frames`, `fences` and `residence` are copied to that process and know nothing
but the standard library, numpy and, where the package uses it, torch.  The others are
this side: `environment` finds the Python, `process` starts it, `family` asks it.
"""
