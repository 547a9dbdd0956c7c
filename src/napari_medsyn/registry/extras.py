"""Libraries that some models need beyond the base installation, and whether they are here.

Asked anew each time and never remembered on disk: installing a library changes no package.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Final

#: Our extras that models may need, with the modules that each brings; as in pyproject.toml.
EXTRAS: Final = {"monai": ("monai", "einops")}


def why_missing(extra: str) -> str:
    """What an extra lacks here and how to install it; "" if nothing, or if it is not ours.

    No module is imported for it.
    """
    lacking = [name for name in EXTRAS.get(extra, ()) if not _is_importable(name)]
    if not lacking:
        return ""
    return f'needs {" and ".join(lacking)}: pip install "napari-medsyn[{extra}]"'


def _is_importable(module: str) -> bool:
    if sys.modules.get(module) is not None:
        return True
    return find_spec(module) is not None
