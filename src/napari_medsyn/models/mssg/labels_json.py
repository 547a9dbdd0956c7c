"""The label model as JSON, checked: it comes with a model package and may be anybody's.

Only names, finite numbers of a bounded size and short lists are read; nothing is run.
"""

from __future__ import annotations

from itertools import combinations
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from napari_medsyn.errors import UnusableModel
from napari_medsyn.models.mssg.labels_beta import Beta
from napari_medsyn.models.mssg.labels_logistic import Logistic
from napari_medsyn.models.mssg.labels_mixture import Mixture
from napari_medsyn.models.mssg.labels_source import (
    VOLUMES,
    AgeScale,
    SourceModel,
    Transform,
    Volume,
)
from napari_medsyn.models.mssg.labels_support import ANY, subset

#: More than any fit can give; a larger file is something else.
COMPONENTS, DIMENSIONS, LEVELS, SUBSETS = 32, 1 + len(VOLUMES), 32, 2 ** (2 + len(VOLUMES))
#: Encoded coordinates are of the order of 1; worse conditioned covariances are not inverted.
LEAST_EIGENVALUE = 1e-6

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Number = Annotated[float, Field(ge=-1e4, le=1e4)]
Positive = Annotated[float, Field(ge=1e-6, le=1e4)]
Row = Annotated[list[Number], Field(min_length=1, max_length=DIMENSIONS)]
Matrix = Annotated[list[Row], Field(min_length=1, max_length=DIMENSIONS)]
Levels = Annotated[list[Number], Field(min_length=2, max_length=LEVELS)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Ages(_Part):
    """Years."""

    low: Annotated[float, Field(ge=0, le=130)]
    high: Annotated[float, Field(ge=0, le=130)]

    @model_validator(mode="after")
    def _is_ordered(self) -> Ages:
        if self.high - self.low < 1e-3:
            raise ValueError(f"the oldest, {self.high:g}, must be above the youngest, {self.low:g}")
        return self


class BetaPart(Ages):
    """Ages of a source."""

    alpha: Positive
    beta: Positive


class LogisticPart(_Part):
    """Sex given age."""

    intercept: Annotated[float, Field(ge=-100, le=100)]
    slope: Annotated[float, Field(ge=-100, le=100)]


class VolumePart(_Part):
    """How a volume is encoded."""

    name: Name
    transform: Transform
    centre: Annotated[float, Field(ge=-50, le=50)]
    scale: Annotated[float, Field(ge=1e-3, le=20)]
    low: Annotated[float, Field(ge=0, le=1e4)]
    high: Annotated[float, Field(ge=0, le=1e4)]

    @model_validator(mode="after")
    def _fits_together(self) -> VolumePart:
        if VOLUMES.get(self.name) != self.transform:
            offered = ", ".join(f"{name} ({how})" for name, how in VOLUMES.items())
            raise ValueError(f"{self.name} ({self.transform}) is not one of the volumes {offered}")
        if not self.low < self.high or (self.transform == "log" and self.low <= 0):
            raise ValueError(f"{self.name} from {self.low:g} to {self.high:g} ml is no range")
        return self


class MixturePart(_Part):
    """A Gaussian mixture."""

    weights: Annotated[list[Positive], Field(min_length=1, max_length=COMPONENTS)]
    means: Annotated[list[Row], Field(max_length=COMPONENTS)]
    sex_shifts: Annotated[list[Row], Field(max_length=COMPONENTS)]
    covariances: Annotated[list[Matrix], Field(max_length=COMPONENTS)]

    @model_validator(mode="after")
    def _is_a_mixture(self) -> MixturePart:
        K, D = len(self.weights), len(self.means[0]) if self.means else 0
        if abs(sum(self.weights) - 1) > 1e-6:
            raise ValueError(f"weights add up to {sum(self.weights):g}, not 1")
        rows = [*self.means, *self.sex_shifts, *(row for m in self.covariances for row in m)]
        lists = (self.means, self.sex_shifts, self.covariances)
        square = all(len(matrix) == D for matrix in self.covariances)
        if any(len(each) != K for each in lists) or any(len(r) != D for r in rows) or not square:
            raise ValueError("weights, means, sex_shifts and covariances differ in size")
        for k, matrix in enumerate(np.array(self.covariances)):
            if not np.allclose(matrix, matrix.T, rtol=0, atol=1e-9):
                raise ValueError(f"covariance {k} is not symmetric")
            if np.linalg.eigvalsh(matrix)[0] < LEAST_EIGENVALUE:
                raise ValueError(f"covariance {k} is not positive definite")
        return self

    def build(self) -> Mixture:
        """With arrays."""
        return Mixture(
            np.array(self.weights),
            np.array(self.means),
            np.array(self.sex_shifts),
            np.array(self.covariances),
        )


class SourcePart(_Part):
    """One source."""

    name: Name
    people: Annotated[int, Field(ge=1, le=10**7)]
    age: BetaPart | None
    sex: LogisticPart | None
    volumes: Annotated[list[VolumePart], Field(max_length=len(VOLUMES))]
    given_age: bool
    mixture: MixturePart | None

    @model_validator(mode="after")
    def _fits_together(self) -> SourcePart:
        wanted = len(self.volumes) + self.given_age if self.volumes else 0
        found = len(self.mixture.means[0]) if self.mixture is not None else 0
        if found != wanted:
            raise ValueError(f"its mixture has {found} coordinates instead of {wanted}")
        if self.given_age and (self.age is None or not self.volumes):
            raise ValueError("given_age needs ages and volumes")
        return self

    def build(self) -> SourceModel:
        """As the label model uses it."""
        return SourceModel(
            self.name,
            self.people,
            None if self.age is None else Beta(**self.age.model_dump()),
            None if self.sex is None else Logistic(**self.sex.model_dump()),
            tuple(Volume(**volume.model_dump()) for volume in self.volumes),
            self.given_age,
            None if self.mixture is None else self.mixture.build(),
        )


class SupportPart(_Part):
    """Quantiles of the log density of the training people.

    Parameters
    ----------
    levels : percentiles, rising from 0 to 100.
    quantiles : name of a source, or "any", to the names of the known covariates joined by "+"
        to the quantile at each level.
    """

    levels: Levels
    quantiles: Annotated[
        dict[str, Annotated[dict[str, Levels], Field(max_length=SUBSETS)]], Field(max_length=3)
    ]

    @model_validator(mode="after")
    def _rise(self) -> SupportPart:
        if self.levels[0] != 0 or self.levels[-1] != 100 or np.diff(self.levels).min() <= 0:
            raise ValueError("levels must rise from 0 to 100")
        for who, subsets in self.quantiles.items():
            for names, values in subsets.items():
                if len(values) != len(self.levels) or np.diff(values).min() < 0:
                    raise ValueError(f"the quantiles of {who}, {names} do not rise with the levels")
        return self


class LabelPart(_Part):
    """All of it."""

    schema_version: Literal[1]
    age: Ages
    sources: Annotated[list[SourcePart], Field(min_length=2, max_length=2)]
    support: SupportPart

    @model_validator(mode="after")
    def _fits_together(self) -> LabelPart:
        names = [source.name for source in self.sources]
        volumes = [volume.name for source in self.sources for volume in source.volumes]
        if len(set(names)) < 2 or "any" in names:
            raise ValueError("the two sources need two names, neither of them 'any'")
        if len(set(volumes)) < len(volumes):
            raise ValueError("a volume is recorded by one source only")
        for what in ("age", "sex"):
            if all(getattr(source, what) is None for source in self.sources):
                raise ValueError(f"no source has recorded {what}")
        covariates, stored = ("age", "sex", *volumes), self.support.quantiles
        wanted = {
            subset(n) for k in range(len(covariates)) for n in combinations(covariates, k + 1)
        }
        if set(stored) != {*names, ANY} or any(set(s) != wanted for s in stored.values()):
            raise ValueError("the quantiles of support are not those of these sources")
        return self


def read(data: Any) -> LabelPart:
    """Checked JSON.

    Raises
    ------
    UnusableModel
        It is not a label model; the sentence says where and why.
    """
    try:
        return LabelPart.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "label_model"
        reason = str(first["msg"]).removeprefix("Value error, ")
        raise UnusableModel(f"the card's label model cannot be used: {place}: {reason}") from error


def dump(
    sources: tuple[SourceModel, ...], scale: AgeScale, support: dict[str, Any]
) -> dict[str, Any]:
    """The JSON that `read` reads; numbers in full, so that nothing changes on the way."""
    return {
        "schema_version": 1,
        "age": {"low": scale.low, "high": scale.high},
        "sources": [_dump_source(source) for source in sources],
        "support": support,
    }


def _dump_source(source: SourceModel) -> dict[str, Any]:
    def fields(part: Any) -> dict[str, Any] | None:
        return None if part is None else {name: getattr(part, name) for name in part.__slots__}

    mixture = source.mixture
    return {
        "name": source.name,
        "people": source.people,
        "age": fields(source.age),
        "sex": fields(source.sex),
        "volumes": [fields(volume) for volume in source.volumes],
        "given_age": source.given_age,
        "mixture": mixture
        and {
            "weights": mixture.weights.tolist(),
            "means": mixture.means.tolist(),
            "sex_shifts": mixture.shifts.tolist(),
            "covariances": mixture.covariances.tolist(),
        },
    }
