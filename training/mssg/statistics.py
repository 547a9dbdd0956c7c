"""How coefficients go with covariates in the training people: a conditional Gaussian.

Means are linear in age, its square, sex and the logarithm of the ventricles; what is left is
Gaussian.  The mapping network learns from this what so few people can say, and starts from
it; see `fields`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: Penalty of the regression's slopes, in people.
RIDGE = 4.0
#: Directions kept of what covariates do not explain: those of the latent.
RESIDUALS = 40


def terms(labels: Tensor) -> Tensor:
    """(N, 7) of label vectors (N, 5): age, age², sex, ventricles, age · sex, cohort, 1.

    Ventricles that are not known are NaN in the vector and 0, the mean, here.
    """
    age, sex, cohort = labels[:, 0], labels[:, 1], labels[:, 4]
    ventricles = torch.nan_to_num(labels[:, 2])
    ones = torch.ones_like(age)
    return torch.stack([age, age**2 - 1 / 3, sex, ventricles, age * sex, cohort, ones], 1)


@dataclass(frozen=True, eq=False)
class Conditional:
    """Coefficients of the people there are.

    Parameters
    ----------
    slopes : (7, k) of `terms`.
    spread : (RESIDUALS, k), each direction a standard deviation long.
    """

    slopes: Tensor
    spread: Tensor

    def draw(self, labels: Tensor, normal: Tensor) -> Tensor:
        """(N, k) of people with these labels (N, 5); `normal` (N, RESIDUALS) says which."""
        return terms(labels) @ self.slopes + normal @ self.spread


def fit(coefficients: Tensor, labels: Tensor) -> Conditional:
    """Fit to people: (N, k) coefficients, (N, 5) label vectors."""
    x, y = terms(labels).double(), coefficients.double()
    penalty = RIDGE * torch.eye(x.shape[1], dtype=torch.float64)
    penalty[-1, -1] = 0  # the level is not shrunk
    slopes = torch.linalg.solve(x.T @ x + penalty, x.T @ y)
    _, values, directions = torch.linalg.svd(y - x @ slopes, full_matrices=False)
    count = min(RESIDUALS, len(values))
    spread = torch.zeros(RESIDUALS, y.shape[1], dtype=torch.float64)
    freedom = max(len(x) - x.shape[1], 1)
    spread[:count] = directions[:count] * values[:count, None] / freedom**0.5
    return Conditional(slopes.float(), spread.float())
