"""What is kept between requests: studies on a model's grid, and loaded models."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from napari_medsyn.exploration.requests import PreparationOptions, Request
    from napari_medsyn.models.family import Family
    from napari_medsyn.registry.card import ModelCard
    from napari_medsyn.scans.preparation import PreparedStudy
    from napari_medsyn.scans.study import Study

V = TypeVar("V")


class Recent(Generic[V]):
    """The values used last, at most `most` of them."""

    def __init__(self, most: int) -> None:
        self._values: OrderedDict[Hashable, V] = OrderedDict()
        self._most = most

    def __contains__(self, key: Hashable) -> bool:
        return key in self._values

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value of `key`, made if it is not kept; the oldest may go for it."""
        if key not in self._values:
            # Room first: two prepared studies more than `most` need not fit in memory.
            while len(self._values) >= self._most:
                self._values.popitem(last=False)
            self._values[key] = make()
        self._values.move_to_end(key)
        return self._values[key]

    def forget(self, key: Hashable) -> None:
        """Drop the value of `key`, if there is one."""
        self._values.pop(key, None)


class Caches:
    """Prepared studies and loaded models of one engine.

    Parameters
    ----------
    families : family to "module:function" instead of `models.families.TABLE`; for tests.
    """

    def __init__(self, families: Mapping[str, str] | None = None) -> None:
        self._table = families
        # Two of each: a user who compares two models, or goes back to the last study.
        self._prepared: Recent[PreparedStudy] = Recent(2)
        self._families: Recent[Family] = Recent(2)

    def has_prepared(self, study: Study, card: ModelCard, options: PreparationOptions) -> bool:
        """Whether `prepared` would give its answer at once."""
        return not len(study) or preparation_key(study, card, options) in self._prepared

    def prepared(
        self, study: Study, card: ModelCard, options: PreparationOptions, **hooks: Any
    ) -> PreparedStudy:
        """`study` on the grid of `card`; `hooks` are those of `scans.preparation.prepare`."""
        if not len(study):
            from napari_medsyn.exploration.blank import blank_study

            return blank_study(card.grid.grid())

        def make() -> PreparedStudy:
            from napari_medsyn.scans.preparation import prepare

            return prepare(study, card.grid.grid(), options, **hooks)

        return self._prepared.get(preparation_key(study, card, options), make)

    def family(self, package: Path, card: ModelCard, device: str) -> Family:
        """The model of `package`, loaded on `device` ("cpu", "cuda", …)."""

        def make() -> Family:
            from napari_medsyn.models.families import TABLE, load_family

            return load_family(package, card, device, self._table or TABLE)

        return self._families.get(_family_key(package, card, device), make)

    def has_family(self, package: Path, card: ModelCard, device: str) -> bool:
        """Whether `family` would give its answer at once."""
        return _family_key(package, card, device) in self._families

    def forget_family(self, package: Path, card: ModelCard, device: str) -> None:
        """Drop a loaded model, so that its memory can be used."""
        self._families.forget(_family_key(package, card, device))


def preparation_key(study: Study, card: ModelCard, options: PreparationOptions) -> Hashable:
    """What decides about a prepared study: content, grid, options; no modality switch."""
    return study.content_hash, card.grid, card.intensity, options


def prepares_alike(one: Request, other: Request) -> bool:
    """Whether both requests need the same preparation."""
    return (
        one.package == other.package
        and one.options == other.options
        and one.study.content_hash == other.study.content_hash
    )


def _family_key(package: Path, card: ModelCard, device: str) -> Hashable:
    return package, card.model_dump_json(), device
