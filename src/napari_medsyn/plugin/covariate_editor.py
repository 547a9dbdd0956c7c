"""Editors of what describes a person: each may be unknown, and goes back to the patient's own."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSignalBlocker

from napari_medsyn.plugin.editors import Editor, make_editor
from napari_medsyn.plugin.widgets import IconButton, tooltip
from napari_medsyn.plugin.wording import value_text
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.controls import Categorical, Control


def is_covariate(control: Control, card: ModelCard) -> bool:
    """Whether `control` gets such an editor: a covariate, or a value that may be unknown."""
    return control.name in card.covariates or bool(getattr(control, "unknown", False))


class CovariateEditor(Editor):
    """The control's usual editor with "back to this patient" and "not known" beside it.

    Parameters
    ----------
    control : what is edited.
    inner : its usual editor.

    Notes
    -----
    A list of choices has "not known" among its entries and needs no button for it.
    """

    def __init__(self, control: Control, inner: Editor) -> None:
        super().__init__(control)
        self.inner = inner
        self._own: Any = None
        self._known: Any = getattr(control, "default", None)
        self._value: Any = self._known
        self.row.setSpacing(2)
        self.reset = IconButton("reset", "")
        self.unknown = IconButton("question", "Not known: the model fills it in by itself")
        self.unknown.setCheckable(True)
        self.unknown.setStyleSheet(
            "QToolButton:checked { background-color: #3d5fc4; border-radius: 3px; }"
        )
        for button in (self.reset, self.unknown):
            button.setFixedSize(20, 24)
        self.row.addWidget(inner, stretch=1)
        self.row.addWidget(self.reset)
        self.row.addWidget(self.unknown)
        policy = self.reset.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.reset.setSizePolicy(policy)
        has_button = getattr(control, "unknown", False) and not isinstance(control, Categorical)
        self.unknown.setVisible(bool(has_button))
        inner.edited.connect(self.edited)
        self.reset.clicked.connect(lambda: self.edited.emit(self._own))
        self.unknown.toggled.connect(self._on_unknown)
        self._show_state()

    def show_value(self, value: Any) -> None:
        self._value = value
        if value is not None:
            self._known = value
        if value is not None or isinstance(self.control, Categorical):
            self.inner.show_value(value)
        with QSignalBlocker(self.unknown):
            self.unknown.setChecked(value is None)
        self._show_state()

    def show_own(self, value: Any) -> None:
        self._own = value
        self.inner.show_own(value)
        self._show_state()

    def show_amber(self, amber: bool) -> None:
        self.inner.show_amber(amber)

    def _show_state(self) -> None:
        text = value_text(self.control, self._own)
        self.reset.setVisible(self._own is not None and self._value != self._own)
        self.reset.setToolTip(tooltip(f"Back to this patient: {text}"))
        self.reset.setAccessibleName(f"{self.control.label} back to this patient: {text}")
        is_list = isinstance(self.control, Categorical)
        self.inner.setEnabled(is_list or self._value is not None)

    def _on_unknown(self, unknown: bool) -> None:
        self.edited.emit(None if unknown else self._known)


def covariate_editor(control: Control) -> Editor | None:
    """The editor for a covariate; None for a kind that no editor exists for."""
    inner = make_editor(control)
    return None if inner is None else CovariateEditor(control, inner)
