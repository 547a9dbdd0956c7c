"""The rows behind the table: listed, compared with the study, searched and sorted on threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from napari_medsyn.plugin.dispatch import Background, Outcome
from napari_medsyn.plugin.models.arranging import Arranged, Facets, Query, arrange, facets_of
from napari_medsyn.plugin.models.latest import Latest
from napari_medsyn.plugin.models.rows import HasConsent, Row, compare_rows, list_rows
from napari_medsyn.registry.catalogue import Catalogue
from napari_medsyn.scans.study import Study


@dataclass(frozen=True, slots=True)
class _Listed:
    """What one listing found."""

    rows: tuple[Row, ...]
    facets: Facets


@dataclass(frozen=True, slots=True)
class Listeners:
    """Whom a listing tells, on the thread of the interface.

    Parameters
    ----------
    listed : the models were listed, or compared with the study, again.
    arranged : a query was answered.
    failed : with a sentence and a detail.
    """

    listed: Callable[[Facets], None]
    arranged: Callable[[Arranged], None]
    failed: Callable[[str, str], None]


class Listing:
    """Lists the catalogue and answers queries; every method returns at once.

    Models are first listed without a look at the study, which takes milliseconds, and then
    compared with it, which reads their cards.

    Parameters
    ----------
    background : of the dock; two of its threads are used.
    has_consent : whether the code of a package may run.
    listeners : are told.
    """

    def __init__(
        self, background: Background, has_consent: HasConsent, listeners: Listeners
    ) -> None:
        self._has_consent = has_consent
        self._listeners = listeners
        self._listing, self._arranging = Latest(background), Latest(background)
        self._facets = Facets()
        self._query = Query()
        self.rows: tuple[Row, ...] = ()

    @property
    def busy(self) -> bool:
        """Whether anything is being listed, compared or searched."""
        return self._listing.busy or self._arranging.busy

    def reload(self, catalogue: Catalogue, study: Study) -> None:
        """List the packages that are on disk now."""

        def job() -> _Listed:
            rows = list_rows(catalogue.entries())
            return _Listed(rows, facets_of(rows))

        self._listing.start(job, lambda outcome: self._on_listed(outcome, study))

    def compare(self, study: Study) -> None:
        """Find out anew which models fit `study`."""
        rows, facets = self.rows, self._facets

        def job() -> _Listed:
            return _Listed(compare_rows(rows, study, self._has_consent), facets)

        self._listing.start(job, self._on_compared)

    def ask(self, query: Query) -> None:
        """Find the rows that answer `query`; of several questions the last is answered."""
        self._query = query
        rows = self.rows
        self._arranging.start(lambda: arrange(rows, query), self._on_arranged)

    def _on_listed(self, outcome: Outcome, study: Study) -> None:
        if self._took(outcome):
            self.compare(study)

    def _on_compared(self, outcome: Outcome) -> None:
        self._took(outcome)

    def _took(self, outcome: Outcome) -> bool:
        if not outcome.ok:
            self._listeners.failed(outcome.message, outcome.detail)
            return False
        listed: _Listed = outcome.value
        self.rows, self._facets = listed.rows, listed.facets
        self._listeners.listed(listed.facets)
        return True

    def _on_arranged(self, outcome: Outcome) -> None:
        if outcome.ok:
            self._listeners.arranged(outcome.value)
        else:
            self._listeners.failed(outcome.message, outcome.detail)
