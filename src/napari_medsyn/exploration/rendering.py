"""Driving one family through its regions, also when memory runs short.

Out of memory never ends a request at once: slabs are halved, then the work goes on on
the CPU, and the user is told.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari_medsyn.errors import DeviceOutOfMemory
from napari_medsyn.exploration.caching import Caches
from napari_medsyn.exploration.planning import split
from napari_medsyn.exploration.requests import Request
from napari_medsyn.models.families import resolve_device
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.packages import verify

if TYPE_CHECKING:
    from napari_medsyn.models.family import Family, Region, Rendered
    from napari_medsyn.scans.preparation import PreparedStudy


class Renderer:
    """A family, conditioned on one study, on the device that has room for it.

    Parameters
    ----------
    request, card : what to compute with which model.
    caches : loads the model, or has it.

    Raises
    ------
    UnusableDevice : the request names a device that is not there.
    UnusableModel : the package is damaged.
    """

    def __init__(self, request: Request, card: ModelCard, caches: Caches) -> None:
        self._request = request
        self._card = card
        self._prepared: PreparedStudy | None = None
        self._caches = caches
        self._device = resolve_device(request.device)
        self._family: Family | None = None
        self._conditioning: Any = None
        #: Most slices in one region; None until memory has run short.
        self._most: int | None = None
        self.notes: list[str] = []
        # Refused here, not by `start`: the preparation between the two may take a minute.
        if not caches.has_family(request.package, card, self._device):
            verify(request.package)

    @property
    def device_name(self) -> str:
        """What it was computed on, for the provenance."""
        torch = sys.modules.get("torch")
        if torch is None or not self._device.startswith("cuda"):
            return self._device
        return f"{self._device} {torch.cuda.get_device_name(self._device)}"

    @property
    def threads(self) -> int | None:
        """How many threads torch computed with, on which the last bits depend."""
        torch = sys.modules.get("torch")
        return None if torch is None else int(torch.get_num_threads())

    def start(self, prepared: PreparedStudy) -> None:
        """Load the model and condition it on the study.

        Raises
        ------
        DeviceOutOfMemory : not even the CPU has room for it.
        """
        self._prepared = prepared
        self._load()

    def plan(self, first: Sequence[int], slices: Sequence[int]) -> list[Region]:
        """Regions that cover `slices`, those of `first` before all."""
        if not slices:
            return []
        regions = list(self._loaded.plan(first, slices, self._request.controls))
        return regions if self._most is None else split(regions, self._most)

    def next(self, regions: list[Region]) -> tuple[Rendered, list[Region]]:
        """Render the first region, or what fits of it; give the result and what is left.

        Raises
        ------
        DeviceOutOfMemory : one slice on the CPU is too much.
        """
        while True:
            try:
                rendered = self._loaded.render(
                    self._conditioning, self._request.controls, regions[0]
                )
                return rendered, regions[1:]
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            _free_device_memory()
            if len(regions[0].slices) > 1:
                regions = self._halve(regions)
            else:
                self._go_to_cpu()

    @property
    def _loaded(self) -> Family:
        if self._family is None:
            raise RuntimeError("Renderer.start has not been called")
        return self._family

    def _load(self) -> None:
        """Load and condition; on the CPU if this device has no room."""
        try:
            self._family = self._caches.family(self._request.package, self._card, self._device)
            # A blank grid says nothing to a family: it gets no study at all.
            study = self._prepared if len(self._request.study) else None
            self._conditioning = self._family.condition(study, self._request.controls)
            # Most families have nothing to say; the user should read what one does.
            said = getattr(self._family, "notes", ())
            self.notes += [note for note in said if note not in self.notes]
            return
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Outside the handler: the error's traceback would hold the memory it complains of.
        self._go_to_cpu()

    def _halve(self, regions: list[Region]) -> list[Region]:
        if self._most is None:
            self.notes.append("Memory was short: the volume was computed in smaller slabs.")
        self._most = max(1, len(regions[0].slices) // 2)
        return split(regions, self._most)

    def _go_to_cpu(self) -> None:
        """Go on on the CPU; refuse if that is where memory ran out."""
        if self._device == "cpu":
            raise DeviceOutOfMemory(
                "This computer's memory does not suffice even for one slice; close other "
                "programs or ask for fewer samples."
            )
        self._caches.forget_family(self._request.package, self._card, self._device)
        self._family = self._conditioning = None
        _free_device_memory()
        self.notes.append(
            "The GPU ran out of memory: the rest was computed on the CPU, which is slower."
        )
        self._device = "cpu"
        self._most = None
        self._load()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out: Python's own, CUDA's, or the CPU allocator's."""
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    # torch has no class of its own for these: the CPU's allocator, cuDNN's and cuBLAS's.
    signs = ("DefaultCPUAllocator", "ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)


def _free_device_memory() -> None:
    """Give back what torch keeps of the GPU for later, so that a smaller slab finds room."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
