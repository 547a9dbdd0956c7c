"""Look inside medical generative models, live, next to the patient's own scan.

Research use; not for diagnosis.  Importing this package imports neither torch
nor Qt nor SimpleITK: each floor is imported when it is first used.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
