"""Whether the chosen model and the study go together, as the line below the model says it."""

from __future__ import annotations

from napari_medsyn.exploration.controls import PRESENT, TARGETS
from napari_medsyn.exploration.resolving import needs_no_scan
from napari_medsyn.exploration.session import Session


def fit_line(session: Session) -> tuple[str, str]:
    """A sentence and its degree: "good", "note" or "bad"."""
    readiness = session.readiness()
    if not readiness.ok:
        return readiness.reason, "note" if not len(session.study) else "bad"
    if readiness.warnings:
        return " ".join(readiness.warnings), "note"
    controls, card = session.controls, session.card
    reads, gives = ", ".join(controls[PRESENT]), ", ".join(controls[TARGETS])
    if not reads and card is not None and needs_no_scan(card):
        shape = card.grid.shape[:2] if card.grid.dim == "2D" else card.grid.shape
        size = " × ".join(str(number) for number in shape)
        unread = "; the loaded scans are not read" if len(session.study) else ""
        return f"Needs no scan: generates {gives}, {size}{unread}", "good"
    return f"Fits: reads {reads}" + (f"; imputes {gives}" if gives else ""), "good"


def makes_images_of_nobody(session: Session) -> bool:
    """Whether what would be computed now is on the model's own grid."""
    return session.card is not None and needs_no_scan(session.card) and not session.present
