"""The table of models: rows are turned into text only when they come into view."""

from __future__ import annotations

from typing import Any, Final

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, Signal
from qtpy.QtGui import QColor, QFont, QKeyEvent, QResizeEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from napari_medsyn.plugin.models.arranging import Arranged, Column, Figure
from napari_medsyn.plugin.models.rows import STATE_NAMES, Row
from napari_medsyn.plugin.models.texts import ARROWS, SIGNS, size_text
from napari_medsyn.plugin.widgets import tooltip

#: Columns in order: key, heading, typical content (for its width), place in the queue for room.
COLUMNS: Final[tuple[tuple[Column, str, str, int], ...]] = (
    ("state", "State", "○ Needs packages", 0),
    ("name", "Name", "Brain MR imputation 1 mm", 0),
    ("task", "Task", "counterfactual", 3),
    ("modality", "Modality", "T1, T1c, FLAIR", 2),
    ("organ", "Organ", "brain, breast", 5),
    ("covariates", "Covariates", "Age, Sex, Volume", 4),
    ("dim", "2D/3D", "2D/3D ", 6),
    ("size", "Size", "888.8 MB", 7),
    ("metric", "Metric", "0.8888 ↑*", 1),
    ("licence", "Licence", "CC-BY-SA-4.0", 8),
    ("origin", "Origin", "embedded", 9),
)  # fmt: skip

_KEYS: Final = tuple(key for key, *_ in COLUMNS)
_URGENCY: Final = {key: place for key, *_, place in COLUMNS}
_TIPS: Final[dict[str, str]] = {
    "state": "Whether the model can be used on the study that is loaded",
    "covariates": "What can be turned: the labels of the model's controls",
    "size": "Size of weights and all other files of the package",
    "metric": "The measured figure chosen above; ↑ higher is better, ↓ lower is better, "
    "* measured on other data or in another way than most",
}

_INDEX = QModelIndex | QPersistentModelIndex
_ROOT: Final = QModelIndex()


class ModelTable(QAbstractTableModel):
    """Rows of the catalogue for Qt; it answers for the cells that are asked for, no others.

    Attributes
    ----------
    formatted : how many cells have been turned into text so far.
    compact : whether the state is a sign without its word.
    """

    def __init__(self) -> None:
        super().__init__()
        self._arranged = Arranged()
        self._in_use = ""
        self.formatted = 0
        self.compact = False

    def show_rows(self, arranged: Arranged) -> None:
        """Show other rows."""
        self.beginResetModel()
        self._arranged = arranged
        self.endResetModel()

    def show_in_use(self, package: str) -> None:
        """Set off the model that the session uses; "" for none."""
        if package != self._in_use:
            self._in_use = package
            self._repaint()

    def show_compact(self, compact: bool) -> None:
        """Show states as signs alone, or with their words."""
        if compact != self.compact:
            self.compact = compact
            self._repaint()

    @property
    def has_metric(self) -> bool:
        """Whether a metric is chosen, so that its column has something to say."""
        return bool(self._arranged.query.metric)

    def row(self, number: int) -> Row:
        """The model in line `number`."""
        return self._arranged.rows[number]

    def number_of(self, key: str) -> int:
        """The line of the model in the folder `key`; -1 if it is not shown."""
        keys = (number for number, row in enumerate(self._arranged.rows) if row.key == key)
        return next(keys, -1)

    def _repaint(self) -> None:
        if self._arranged.rows:
            last = self.index(self.rowCount() - 1, self.columnCount() - 1)
            self.dataChanged.emit(self.index(0, 0), last)

    # ---- what Qt asks --------------------------------------------------------------

    def rowCount(self, parent: _INDEX = _ROOT) -> int:
        """Number of models."""
        return 0 if parent.isValid() else len(self._arranged.rows)

    def columnCount(self, parent: _INDEX = _ROOT) -> int:
        """Number of columns, hidden ones included."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Headings; that of the figures names the metric."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        key, heading, *_ = COLUMNS[section]
        if role == Qt.ItemDataRole.ToolTipRole:
            return _TIPS.get(key)
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        if key == "state" and self.compact:
            return ""
        return (self._arranged.query.metric or heading) if key == "metric" else heading

    def data(self, index: _INDEX, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Text, colour, font and tooltip of a cell."""
        if not index.isValid():
            return None
        row, key = self.row(index.row()), _KEYS[index.column()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                self.formatted += 1
                return self._text(row, key)
            case Qt.ItemDataRole.ToolTipRole:
                return tooltip(self._tip(row, key))
            case Qt.ItemDataRole.AccessibleTextRole:
                return self._spoken(row, key)
            case Qt.ItemDataRole.ForegroundRole if key == "state":
                return QColor(SIGNS[row.badge.state][1])
            case Qt.ItemDataRole.FontRole if row.key == self._in_use and key == "name":
                return _bold()
            case Qt.ItemDataRole.TextAlignmentRole if key in ("size", "metric"):
                return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def _text(self, row: Row, key: Column) -> str:
        if key == "state":
            sign = SIGNS[row.badge.state][0]
            return sign if self.compact else f"{sign} {STATE_NAMES[row.badge.state]}"
        if key == "modality":
            return ", ".join(row.modalities)
        if key == "size":
            return size_text(row.size)
        if key == "metric":
            return figure_text(self._arranged.figures.get(row.key))
        return str(getattr(row, key))

    def _tip(self, row: Row, key: Column) -> str:
        if key == "state":
            return f"{STATE_NAMES[row.badge.state]}: {row.badge.sentence}"
        if key == "metric":
            figure = self._arranged.figures.get(row.key)
            return "; ".join(figure.notes) if figure is not None else ""
        if key == "name" and row.entry.facts is not None:
            return f"{row.name}. {row.entry.facts.summary}".strip()
        return self._text(row, key)

    def _spoken(self, row: Row, key: Column) -> str:
        text = self._tip(row, key) if key == "state" else self._text(row, key)
        return f"{text}, in use" if key == "name" and row.key == self._in_use else text


class TableView(QTableView):
    """The table; columns for which there is no room are left to the detail page."""

    current_changed = Signal()
    activated_row = Signal()
    sort_asked = Signal(str, bool)
    remove_asked = Signal()
    refresh_asked = Signal()
    search_asked = Signal()

    def __init__(self, table: ModelTable) -> None:
        super().__init__()
        self._table = table
        # Gone before the view, it would leave a selection without a model.
        table.setParent(self)
        self.setModel(table)
        self.setAccessibleName("Models")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.setShowGrid(False)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self._build_headers()
        self.doubleClicked.connect(lambda _: self.activated_row.emit())

    def _build_headers(self) -> None:
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        if rows is None or columns is None:
            raise RuntimeError("a table without headers")
        rows.hide()
        # Rows of one height: Qt then asks no cell for its size.
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(self.fontMetrics().height() + 8)
        columns.setHighlightSections(False)
        columns.setSectionsClickable(True)
        columns.setSortIndicatorShown(True)
        columns.setMinimumSectionSize(24)
        columns.setSectionResizeMode(_KEYS.index("name"), QHeaderView.ResizeMode.Stretch)
        columns.sectionClicked.connect(self._on_heading)
        self._sorted_by: tuple[Column, bool] = ("state", False)

    def current_row(self) -> Row | None:
        """The model that is selected."""
        index = self.currentIndex()
        return self._table.row(index.row()) if index.isValid() else None

    def show_rows(self, arranged: Arranged, wanted: str) -> None:
        """Show other rows and select the model in the folder `wanted`, or else the first."""
        self._sorted_by = (arranged.query.sort, arranged.query.descending)
        self._table.show_rows(arranged)
        self._show_columns()
        self._show_sorting()
        self.show_current(wanted)

    def show_current(self, wanted: str) -> None:
        """Select the model in the folder `wanted`, or else the first; tell of it."""
        number = max(self._table.number_of(wanted), 0)
        if self._table.rowCount():
            index = self._table.index(number, _KEYS.index("name"))
            self.setCurrentIndex(index)
            self.scrollTo(index)
        else:
            self.current_changed.emit()

    def currentChanged(self, current: QModelIndex, previous: QModelIndex) -> None:
        super().currentChanged(current, previous)
        self.current_changed.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Return uses the model, Delete removes it, F5 lists again, / goes to the search."""
        match event.key():
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self.activated_row.emit()
            case Qt.Key.Key_Delete:
                self.remove_asked.emit()
            case Qt.Key.Key_F5:
                self.refresh_asked.emit()
            case Qt.Key.Key_Slash:
                self.search_asked.emit()
            case _:
                super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show_columns()

    def _on_heading(self, section: int) -> None:
        column = _KEYS[section]
        self.sort_asked.emit(column, self._sorted_by == (column, False))

    def _show_sorting(self) -> None:
        column, descending = self._sorted_by
        order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
        header = self.horizontalHeader()
        if header is not None:
            header.setSortIndicator(_KEYS.index(column), order)

    def _show_columns(self) -> None:
        """Give room to as many columns as there is, the more telling ones first."""
        viewport = self.viewport()
        room = viewport.width() if viewport is not None else 0
        sizes = {key: self._width(typical, heading) for key, heading, typical, _ in COLUMNS}
        compact = room < 460
        sizes["state"] = 28 if compact else sizes["state"]
        self._table.show_compact(compact)
        if not self._table.has_metric:
            self.setColumnHidden(_KEYS.index("metric"), True)
            del sizes["metric"]
        for key in sorted(sizes, key=_URGENCY.__getitem__):
            section = _KEYS.index(key)
            room -= sizes[key]
            self.setColumnHidden(section, room < 0 and _URGENCY[key] > 0)
            if key != "name":
                self.setColumnWidth(section, sizes[key])

    def _width(self, typical: str, heading: str) -> int:
        metrics = self.fontMetrics()
        # A heading also holds the mark of the sorting.
        return max(metrics.horizontalAdvance(typical), metrics.horizontalAdvance(heading) + 14) + 10


def _bold() -> QFont:
    font = QFont()
    font.setBold(True)
    return font


def figure_text(figure: Figure | None) -> str:
    """A figure with an arrow that points to the better, and a star if it stands alone."""
    if figure is None:
        return ""
    star = "" if figure.is_comparable else "*"
    return f"{figure.value:.4g} {ARROWS[figure.direction]}{star}"
