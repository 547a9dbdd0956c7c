"""Sweeps in the dock: asked for in the panel, shown as layers, saved and animated."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_medsyn.plugin.comparison import Comparison
from napari_medsyn.plugin.connections import Connections
from napari_medsyn.plugin.fitting import whether_ready
from napari_medsyn.plugin.keeping import Keeping
from napari_medsyn.plugin.patient_part import Attempt
from napari_medsyn.plugin.sweep_layers import SweepLayers
from napari_medsyn.plugin.sweep_panel import SweepPanel, nearest_step
from napari_medsyn.plugin.view import displayed_plane
from napari_medsyn.plugin.wording import covariates_of

if TYPE_CHECKING:
    from napari.utils.events import Event
    from napari.viewer import Viewer

    from napari_medsyn.exploration.session import Session
    from napari_medsyn.exploration.sweeping import Swept


#: Axes of a scan.
_SPACE: Final = 3


class SweepPart:
    """Wires the sweep's panel and layers to the session.

    Parameters
    ----------
    window : parent of the dialogs.
    viewer, session, connections, keeping, comparison : of the dock.
    attempt : wraps an action so that a refusal becomes a sentence.
    """

    def __init__(
        self,
        window: QWidget,
        viewer: Viewer,
        session: Session,
        connections: Connections,
        keeping: Keeping,
        attempt: Attempt,
        comparison: Comparison,
    ) -> None:
        self.panel = SweepPanel()
        self.layers = SweepLayers(viewer)
        self._window = window
        self._viewer = viewer
        self._session = session
        self._keeping = keeping
        self.panel.sweep_asked.connect(attempt(self._on_sweep))
        self.panel.animation_asked.connect(self._on_animation)
        self.panel.volumes_asked.connect(self._on_volumes)
        connections.add(session.study_changed, self._on_study_changed)
        for signal in (session.own_changed, session.controls_changed, session.state_changed):
            connections.add(signal, self._show_ready)
        connections.add(session.sweep_finished, self._on_finished)
        connections.add(session.slab_ready, self._on_slab)
        connections.add(viewer.layers.events.removed, self._on_layer_removed)
        connections.add(viewer.dims.events.point, self._on_point)
        self._show_step = comparison.show_mark
        comparison.remark = lambda: self.text_on_screen
        self._stood_at: float | None = None

    @property
    def text_on_screen(self) -> str:
        """What the step on screen is: "Age 62 years"; "" while no sweep is in sight."""
        swept, step = self.layers.swept, self.layers.step_on_screen()
        return "" if swept is None or step is None else swept.value_text(step)

    # ---- what the user does --------------------------------------------------------

    def _on_sweep(self, name: str, values: tuple[Any, ...]) -> None:
        self._session.sweep(name, values)

    def _on_animation(self) -> None:
        swept = self.layers.swept
        if swept is None:
            return
        chosen, _ = QFileDialog.getSaveFileName(
            self._window, "Save the animation", f"sweep_{swept.control}.gif", "Animation (*.gif)"
        )
        if chosen:
            path = Path(chosen)
            self.animate(path if path.suffix else path.with_suffix(".gif"))

    def animate(self, path: Path) -> None:
        """Write the sweep of the plane on screen as an animation, on a thread."""
        swept = self.layers.swept
        if swept is None:
            return
        plane = displayed_plane(self._viewer, swept.reference)
        shape = swept.reference.voxels.shape
        axis, index = (plane.axis, plane.index) if plane is not None else (2, shape[2] // 2)
        output = next(iter(swept.arrays))

        def job() -> list[Path]:
            from napari_medsyn.exploration.animating import animate

            animate(swept, path, output, axis, index)
            return [path]

        self._keeping.write(job)

    def _on_volumes(self) -> None:
        folder = self._keeping.ask_folder("Save the sweep into a folder")
        if folder is not None:
            self.save(folder)

    def save(self, folder: Path) -> None:
        """Write the sweep as 4D files with their provenance into `folder`, on a thread."""
        swept = self.layers.swept
        if swept is None:
            return

        def job() -> list[Path]:
            from napari_medsyn.exploration.sweeping import save_sweep

            return save_sweep(swept, folder, existing="number")

        self._keeping.write(job)

    # ---- what session and viewer say -----------------------------------------------

    def show_model(self) -> None:
        """Another model is chosen."""
        card = self._session.card
        self.panel.show_card(card)
        self.panel.setVisible(bool(covariates_of(card)))
        self._show_ready()

    def _on_study_changed(self) -> None:
        # It was of another patient.
        self.layers.put_aside()
        self._show_ready()

    def _show_ready(self, *_: object) -> None:
        session = self._session
        is_found = session.own is not None or not session.can_invert
        ready = is_found and whether_ready(session)[0]
        size = 0
        if ready and session.reference is not None:
            size = 4 * session.reference.voxels.size * len(session.outputs())
        self.panel.show_ready(ready, size)
        self.panel.show_sweeping(session.is_sweeping)

    def _on_finished(self, swept: Swept) -> None:
        self.layers.show(swept, nearest_step(swept.values, self._session.controls, swept.control))
        self.panel.show_savable(True)
        self._show_ready()
        self._show_step()

    def _on_slab(self, _slab: object) -> None:
        """Something newer is being shown: it must not lie beneath the sweep."""
        if self.layers.is_seen:
            self.layers.put_aside()
            self._show_step()

    def _on_point(self, *_: object) -> None:
        """Who moves the sweep's own slider wants to see the sweep."""
        dims = self._viewer.dims
        point = float(dims.point[0]) if dims.ndim > _SPACE and self.layers.swept else None
        if None not in (point, self._stood_at) and point != self._stood_at:
            self.layers.bring_back()
        self._stood_at = point
        self._show_step()

    def _on_layer_removed(self, event: Event) -> None:
        self.layers.forget(event.value)
        self.panel.show_savable(self.layers.swept is not None)
