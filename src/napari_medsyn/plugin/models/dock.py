"""The Models dock: every model, whether it fits, and what can be done with it.

The dock only wires.  What is shown is decided by pure functions on worker threads
(`listing`), what is done to packages by `jobs`; which model is chosen and which scans are
loaded is the business of the session, which the dock shares with the Explorer.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QResizeEvent
from qtpy.QtWidgets import QSplitter, QVBoxLayout, QWidget

from napari_medsyn.errors import MedsynError
from napari_medsyn.plugin import sessions
from napari_medsyn.plugin.adapters import plain_viewer
from napari_medsyn.plugin.connections import Connections
from napari_medsyn.plugin.dispatch import Background, GuiDispatcher, Outcome
from napari_medsyn.plugin.loading import dropped_paths
from napari_medsyn.plugin.models.action_bar import CatalogueActions, ModelActions, why_not_used
from napari_medsyn.plugin.models.actions import Actions
from napari_medsyn.plugin.models.arranging import Arranged, Facets
from napari_medsyn.plugin.models.details import DetailPage, read_details
from napari_medsyn.plugin.models.filter_bar import FilterBar
from napari_medsyn.plugin.models.latest import Latest
from napari_medsyn.plugin.models.listing import Listeners, Listing
from napari_medsyn.plugin.models.rows import Row
from napari_medsyn.plugin.models.table import ModelTable, TableView
from napari_medsyn.plugin.opening import bring_to_front
from napari_medsyn.plugin.widgets import MessageArea
from napari_medsyn.registry.catalogue import Catalogue, Entry
from napari_medsyn.registry.consent import has_consent
from napari_medsyn.scans.study import Study

if TYPE_CHECKING:
    import napari.viewer

    from napari_medsyn.exploration.session import Session

#: From this width on, in a dock that is wider than high, the page stands beside the table.
_WIDE = 700


class ModelsDock(QWidget):
    """The dock.

    Parameters
    ----------
    napari_viewer : the viewer it belongs to; napari fills it in.
    catalogue : the models; by default the embedded and the user's.
    """

    def __init__(
        self, napari_viewer: napari.viewer.Viewer, catalogue: Catalogue | None = None
    ) -> None:
        super().__init__()
        self.viewer = plain_viewer(napari_viewer)
        self.session: Session | None = None
        # Not the session's: that one is asked on another thread.
        self.catalogue = catalogue or Catalogue()
        self._connections, self._of_session = Connections(), Connections()
        self._dispatch = GuiDispatcher()
        # Two pairs of threads: a long job does not keep the search waiting.
        self._reading, self._working = Background(self._dispatch), Background(self._dispatch)
        self._build()
        told = Listeners(self._on_listed, self._show_arranged, self._show_failure)
        self.listing = Listing(self._reading, has_consent, told)
        self._details = Latest(self._reading)
        self.package_actions = Actions(
            self, self._working, self._dispatch, self.message, self, self.select
        )
        self._wanted = ""
        self._is_showing = False
        self._read: Entry | None = None
        self._closing_order()
        self._connect()
        self._find_session()
        self.reload()

    # ---- construction --------------------------------------------------------------

    def _closing_order(self) -> None:
        """Register what `close` does last: it undoes in reverse."""
        connections = self._connections
        for one in (self._dispatch, self._reading, self._working, self._of_session):
            connections.on_close(one.close)
        connections.on_close(self.package_actions.runner.cancel)
        atexit.register(connections.close)
        connections.on_close(lambda: atexit.unregister(connections.close))
        self.destroyed.connect(lambda: connections.close())

    def _build(self) -> None:
        # In the order of the Tab key.
        self.filters = FilterBar()
        self.catalogue_buttons = CatalogueActions()
        self.table = ModelTable()
        self.view = TableView(self.table)
        self.page = DetailPage()
        self.model_buttons = ModelActions()
        self.message = MessageArea()
        self.splitter = QSplitter(Qt.Orientation.Vertical)
        self.splitter.setChildrenCollapsible(False)
        beside = QWidget()
        column = QVBoxLayout(beside)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.page, stretch=1)
        column.addWidget(self.model_buttons)
        self.splitter.addWidget(self.view)
        self.splitter.addWidget(beside)
        self.splitter.setStretchFactor(0, 1)
        self.splitter.setStretchFactor(1, 1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(8, 6, 8, 6)
        outer.setSpacing(6)
        outer.addWidget(self.filters)
        outer.addWidget(self.catalogue_buttons)
        outer.addWidget(self.message)
        outer.addWidget(self.splitter, stretch=1)
        self.setMinimumWidth(300)
        self.setAcceptDrops(True)

    def sizeHint(self) -> QSize:
        """Room for the telling columns and a page below."""
        return QSize(460, 800)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the page beside the table where the dock is wide and low."""
        super().resizeEvent(event)
        size = event.size()
        is_wide = size.width() >= max(_WIDE, size.height())
        self.splitter.setOrientation(
            Qt.Orientation.Horizontal if is_wide else Qt.Orientation.Vertical
        )

    def _connect(self) -> None:
        self.filters.query_changed.connect(self._ask)
        self.filters.left_downwards.connect(self.view.setFocus)
        view, model, catalogue = self.view, self.model_buttons, self.catalogue_buttons
        actions = self.package_actions
        view.sort_asked.connect(self.filters.sort_by)
        view.current_changed.connect(self._on_selected)
        view.activated_row.connect(self.use)
        view.remove_asked.connect(self._with_current(actions.remove))
        view.refresh_asked.connect(self.reload)
        view.search_asked.connect(self.filters.words.setFocus)
        model.use.clicked.connect(lambda: self.use())
        model.verify.clicked.connect(self._with_current(actions.verify))
        model.test.clicked.connect(self._with_current(actions.test))
        model.trust.clicked.connect(lambda: self._on_trust())
        model.set_up.clicked.connect(self._with_current(actions.set_up))
        model.copy.clicked.connect(lambda: self.copy_citation())
        model.remove.clicked.connect(self._with_current(actions.remove))
        catalogue.file_asked.connect(actions.ask_for_file)
        catalogue.folder_asked.connect(actions.ask_for_folder)
        catalogue.import_asked.connect(actions.ask_to_import)
        catalogue.refresh_asked.connect(self.reload)
        catalogue.cancel_asked.connect(actions.runner.cancel)
        # Queued: they may come while a window, and this dock with it, is being taken down.
        self._connections.add(sessions.events.sessions_changed, self._on_sessions)
        self._connections.add(sessions.events.catalogue_changed, self._on_catalogue)

    # ---- the session of the viewer -------------------------------------------------

    def _on_sessions(self) -> None:
        self._dispatch(self._find_session)

    def _on_catalogue(self) -> None:
        self._dispatch(self.reload)

    def _find_session(self) -> None:
        """Follow the session that the viewer has now."""
        session = sessions.session_of(self.viewer)
        if session is self.session:
            return
        self._of_session.close()
        self.session = session
        if session is not None:
            self._of_session.add(session.study_changed, self._on_study)
            self._of_session.add(session.model_changed, self._show_in_use)
        self._show_in_use()
        self._on_study()

    @property
    def study(self) -> Study:
        """The scans that models are compared with."""
        return self.session.study if self.session is not None else Study()

    @property
    def has_work(self) -> bool:
        """Whether anything is being listed, searched, read or done."""
        return self._reading.busy or self._working.busy

    def _on_study(self) -> None:
        self.listing.compare(self.study)

    def _show_in_use(self) -> None:
        entry = self.session.model if self.session is not None else None
        package = str(entry.package) if entry is not None else ""
        self.table.show_in_use(package)
        self._wanted = self._wanted or package

    # ---- listing and selecting -----------------------------------------------------

    def reload(self) -> None:
        """List the packages that are on disk now."""
        self.listing.reload(self.catalogue, self.study)

    def select(self, package: Path) -> None:
        """Select the model in the folder `package`, now or when it is listed."""
        self._wanted = str(package)
        self.view.show_current(self._wanted)

    def current(self) -> Row | None:
        """The model that is selected."""
        return self.view.current_row()

    def _on_listed(self, facets: Facets) -> None:
        self.filters.show_facets(facets)
        self._ask()

    def _ask(self) -> None:
        self.listing.ask(self.filters.query())

    def _show_arranged(self, arranged: Arranged) -> None:
        self._is_showing = True
        self.view.show_rows(arranged, self._wanted)
        self._is_showing = False
        shown, all_rows = len(arranged.rows), len(self.listing.rows)
        self.catalogue_buttons.count.show_text(
            f"{shown} of {all_rows} models" if shown < all_rows else f"{all_rows} models"
        )

    def _on_selected(self) -> None:
        row = self.current()
        if row is not None and not self._is_showing:
            # The user's own choice; what a search puts first is not.
            self._wanted = row.key
        self.page.show_row(row)
        self.model_buttons.show_row(row)
        if row is not None:
            self._read_details(row.entry)

    def _read_details(self, entry: Entry) -> None:
        if entry is not self._read:
            self._read = entry
            self._details.start(lambda: read_details(entry), self._show_details)

    def _show_details(self, outcome: Outcome) -> None:
        if outcome.ok:
            self.page.show_details(outcome.value)
        else:
            self._show_failure(outcome.message, outcome.detail)

    def _show_failure(self, sentence: str, detail: str) -> None:
        self.message.show_message(sentence, "bad", detail)

    # ---- what is done --------------------------------------------------------------

    def use(self) -> None:
        """Choose the selected model in the viewer's session; its dock is opened if it was not."""
        row = self.current()
        if row is None or not row.is_usable:
            self.message.show_message(why_not_used(row), "bad")
            return
        session = self.session or self._open_explorer()
        try:
            session.choose_model(row.entry.id)
        except MedsynError as error:
            self.message.show_message(str(error), "bad")
        else:
            self.message.show_message(f"{row.name} is now used in the MedSyn dock.", "good")
            self._show_explorer()

    def _show_explorer(self) -> None:
        """Bring the dock in which the model is used to the front."""
        from napari_medsyn.plugin.explorer import Explorer

        window = self.window()
        for explorer in window.findChildren(Explorer) if window is not None else ():
            if explorer.session is self.session:
                bring_to_front(explorer)

    def _open_explorer(self) -> Session:
        from napari_medsyn.plugin.contributions import open_explorer

        return open_explorer(self.viewer).session

    def copy_citation(self) -> None:
        """Put the citation of the selected model on the clipboard, as BibTeX."""
        from napari_medsyn.registry.bibtex import bibtex

        details, clipboard = self.page.details, QGuiApplication.clipboard()
        if details is not None and details.card is not None and clipboard is not None:
            clipboard.setText(bibtex(details.card))
            self.message.show_message("The citation is on the clipboard, as BibTeX.", "good")

    def _on_trust(self) -> None:
        row, details = self.current(), self.page.details
        if row is not None and details is not None and details.card is not None:
            self.package_actions.trust(row, details.card)

    def _with_current(self, action: Callable[[Row], None]) -> Callable[..., None]:
        """`action` on the selected model, for a button."""

        def act(*_: object) -> None:
            row = self.current()
            if row is not None:
                action(row)

        return act

    def show_running(self, running: bool) -> None:
        """Show that a job has begun or ended."""
        self.model_buttons.show_running(running)
        self.catalogue_buttons.show_running(running)

    def show_progress(self, share: float | None, text: str) -> None:
        """Show how far the job is."""
        self.catalogue_buttons.show_progress(share, text)

    # ---- drops ---------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Accept files and folders."""
        if dropped_paths(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Install the packages that were dropped."""
        event.acceptProposedAction()
        self.package_actions.install([Path(path) for path in dropped_paths(event)])

    def release(self) -> None:
        """Let go of threads and connections; the dock is of no use afterwards."""
        self._connections.close()
