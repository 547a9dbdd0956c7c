"""From a label map to a paired multi-contrast brain with known covariates."""

from training.simulator.covariates import Covariates
from training.simulator.simulator import Simulated, Simulator

__all__ = ["Covariates", "Simulated", "Simulator"]
