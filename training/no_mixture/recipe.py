"""MMHVAE's network and loss, but one product of experts: no subset is ever sampled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from training.mmhvae.batches import draw_all_but_one
from training.mmhvae.recipe import MMHVAERecipe

if TYPE_CHECKING:
    import torch


class NoMixtureRecipe(MMHVAERecipe):
    """Train MMHVAE on all modalities of a visit but one, always: what does the mixture buy?

    The published posterior is a mixture of products over subsets (Dorent et al., TPAMI
    2025); here its one part is the product over all that is there without the target.
    """

    def draw_fed(self, present: Sequence[bool], generator: torch.Generator) -> list[int]:
        """All but one, at random."""
        return draw_all_but_one(present, generator)
