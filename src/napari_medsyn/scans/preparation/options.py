"""How a study is brought to a model's grid, as far as the user has a say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PreparationOptions:
    """How a study is brought to a model's grid.

    Parameters
    ----------
    register : "auto" registers only what is not already in place, "never" trusts the
        headers, "always" registers in any case.
    brain_mask : "auto" computes one where the scan has a skull, "never" takes all
        voxels above background.
    bias_field : whether to correct the bias field (N4) before normalisation.
    """

    register: str = "auto"
    brain_mask: str = "auto"
    bias_field: bool = False
