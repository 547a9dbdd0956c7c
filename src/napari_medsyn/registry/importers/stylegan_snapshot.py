"""A StyleGAN2 or StyleGAN3 training snapshot becomes weights and a card; its code is not run.

Karras et al., "Training generative adversarial networks with limited data" (StyleGAN2-ada),
NeurIPS 2020, arXiv 2006.06676; "Alias-free generative adversarial networks" (StyleGAN3),
NeurIPS 2021, arXiv 2106.12423.  Multi-source StyleGAN (Lai et al., MIDL 2024) saves its
models so, too.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np

from napari_medsyn import __version__
from napari_medsyn.errors import UnusableFile
from napari_medsyn.registry.building import build_package, refuse_occupied
from napari_medsyn.registry.importers.checkpoints import read_checkpoint
from napari_medsyn.registry.importers.checkpoints_package import (
    identifier,
    refuse_repeats,
    refuse_unusual_licence,
    safetensors_of,
)
from napari_medsyn.registry.importers.stylegan_snapshot_labels import Labels, read_labels
from napari_medsyn.registry.importers.stylegan_snapshot_modules import (
    MAY_STAY,
    ForeignSnapshot,
    Network,
    generator,
)
from napari_medsyn.registry.packages import sha256_of

_UNSTATED: Final = "not stated in the snapshot"
#: Layout to a tensor that only it has.
_LAYOUTS: Final = {"stylegan2": "synthesis.b4.const", "stylegan3": "synthesis.input.freqs"}
#: Settings of the synthesis that the family `stylegan2` computes with; others are listed only.
_RUNNABLE: Final[dict[str, Any]] = {"architecture": "skip", "use_noise": True}


def import_snapshot(
    snapshot: Path,
    labels: Path,
    out: Path,
    *,
    model_id: str | None = None,
    licence: str | None = None,
) -> list[str]:
    """Write a package from the averaged generator of a snapshot; nothing in it is run.

    Parameters
    ----------
    snapshot : `network-snapshot-….pkl`, a pickle or what `torch.save` wrote.
    labels : `SPEC.json`, what each number of the label vector means.
    out : folder of the package, new or empty.
    model_id : of the card; from the file's name by default.
    licence : SPDX identifier; "NOASSERTION" by default.

    Returns
    -------
    What could not be known or was left out, a sentence each.

    Raises
    ------
    UnusableFile : the snapshot or the labels are none, do not fit each other, or `out`
        holds something.
    UnusableModel : the id or the licence is not a possible one.
    """
    refuse_occupied(out)
    refuse_unusual_licence(licence)
    spec = read_labels(labels)
    card_id = identifier(model_id, snapshot)
    try:
        network = generator(read_checkpoint(snapshot, may_stay=MAY_STAY))
        layout = _layout(network)
        _check(network)
        refuse_repeats(network.tensors, snapshot)
        _refuse_diverged(network)
    except ForeignSnapshot as error:
        raise UnusableFile(snapshot, f"cannot be imported: {error}") from error
    if spec.width != network.settings["c_dim"]:
        raise UnusableFile(
            labels,
            f"describes {spec.width} numbers where the label vector of {snapshot.name} has "
            f"{network.settings['c_dim']}",
        )
    fields = _card(network, layout, spec, card_id)
    fields["licence"] = licence or "NOASSERTION"
    fields["provenance"] = _provenance(network, snapshot)
    build_package(out, fields, {"weights.safetensors": safetensors_of(network.tensors)})
    return _notes(network, layout, spec, licence)


def _layout(network: Network) -> str:
    for layout, telling in _LAYOUTS.items():
        if telling in network.tensors:
            return layout
    raise ForeignSnapshot(
        f"its G_ema ({network.class_name}) is not a generator of StyleGAN2 or StyleGAN3"
    )


def _why_not(network: Network, layout: str) -> str:
    """Why the family cannot run this generator; empty if it can."""
    if layout != "stylegan2":
        return "the StyleGAN3 layout cannot be run here; the weights are kept"
    synthesis = network.settings.get("synthesis_kwargs")
    given = synthesis if isinstance(synthesis, dict) else {}
    for name, known in _RUNNABLE.items():
        if given.get(name, known) != known:
            return f"{name} {given[name]!r} cannot be run, only {known!r}; the weights are kept"
    if network.settings["img_channels"] not in (1, 3):
        return "only grey and RGB pictures can be run; the weights are kept"
    if "mapping.w_avg" not in network.tensors:
        return "without the mean style (w_avg) it cannot be run; the weights are kept"
    return ""


def _check(network: Network) -> None:
    """Compare the settings with the shapes of the tensors.

    Raises
    ------
    ForeignSnapshot : a setting is missing, or a tensor contradicts one.
    """
    settings, tensors = network.settings, network.tensors
    for name in ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels"):
        value = settings.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ForeignSnapshot(f"its G_ema does not say its {name}")
    if not 4 <= settings["img_resolution"] <= 2048 or not 1 <= settings["img_channels"] <= 4:
        raise ForeignSnapshot("its images have an impossible size or number of channels")
    w, c, size = settings["w_dim"], settings["c_dim"], settings["img_resolution"]
    expected: dict[str, tuple[int, ...]] = {
        "mapping.w_avg": (w,),
        f"synthesis.b{size}.torgb.bias": (settings["img_channels"],),
    }
    if c:
        expected["mapping.embed.weight"] = (w, c)
        if "mapping.embed.weight" not in tensors:
            raise ForeignSnapshot(f"its G_ema claims {c} labels and reads none")
    for name, shape in expected.items():
        if name in tensors and tensors[name].shape != shape:
            raise ForeignSnapshot(
                f"its {name} has shape {tensors[name].shape} where its settings say {shape}"
            )


def _refuse_diverged(network: Network) -> None:
    for name, value in network.tensors.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ForeignSnapshot(f"{name} holds values that are not finite; its training diverged")


def _card(network: Network, layout: str, spec: Labels, card_id: str) -> dict[str, Any]:
    """The card but for files, licence and provenance."""
    settings = network.settings
    size = settings["img_resolution"]
    why_not = _why_not(network, layout)
    limitations = [
        "Imported, not measured by us: no figure of quality is known for it here.",
        "What each label means, its range and its unit are as the importing person wrote them.",
        "A single slice or picture; nothing ties it to a patient or to neighbouring slices.",
    ]
    return {
        "schema_version": 1,
        "id": card_id,
        "version": "0.1.0",
        "name": spec.name or f"{layout} {card_id}",
        "summary": spec.summary,
        "task": "conditional" if spec.labels else "unconditional",
        "anatomy": list(spec.anatomy),
        "tags": [layout, "GAN", "imported"],
        "execution": "none" if why_not else "native",
        "requires": {"note": why_not},
        "family": layout,
        "architecture": {
            **settings,
            "layout": layout,
            "labels": [label.encoding() for label in spec.labels],
        },
        "grid": {
            "shape": [size, size, 1],
            "spacing_mm": [*spec.spacing_mm, 1.0] if spec.spacing_mm else None,
            "space": "picture",
            "dim": "2D",
        },
        "intensity": {"rule": "unit"},
        "inputs": [],
        "outputs": [spec.modality],
        "min_inputs": 0,
        "controls": [*(label.control() for label in spec.labels), *_OWN_CONTROLS],
        "training_data": [data.model_dump(mode="json") for data in spec.training_data]
        or [{"name": _UNSTATED, "licence": "NOASSERTION"}],
        "authors": list(spec.authors) or [_UNSTATED],
        "citation": spec.citation,
        "intended_use": "Research on the imported weights. Not for diagnosis.",
        "limitations": limitations,
    }


#: What every generator of this kind has besides its labels.
_OWN_CONTROLS: Final[tuple[dict[str, Any], ...]] = (
    {
        "kind": "continuous",
        "name": "truncation",
        "label": "Truncation",
        "help": "How far styles go from their mean: 1 all the way, 0 the mean image.",
        "minimum": 0.0,
        "maximum": 1.0,
        "default": 1.0,
        "step": 0.05,
    },
    {
        "kind": "seed",
        "name": "seed",
        "label": "Seed",
        "help": "The same seed gives the same result.",
    },
)


def _provenance(network: Network, snapshot: Path) -> dict[str, Any]:
    return {
        "command": "medsyn models import stylegan",
        "importer": f"napari-medsyn {__version__}",
        "source": snapshot.name,
        "source_sha256": sha256_of(snapshot),
        "taken": "G_ema",
        "class_name": network.class_name,
        "code_left_out_sha256": sorted(
            hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
            for source in network.sources
        ),
    }


def _notes(network: Network, layout: str, spec: Labels, licence: str | None) -> list[str]:
    """What could not be taken over."""
    why_not = _why_not(network, layout)
    notes = [why_not] if why_not else []
    if network.settings["img_channels"] == 3:
        notes.append("colours are given as their brightness (ITU-R BT.601)")
    if network.sources:
        written = sum(len(source) for source in network.sources)
        notes.append(
            f"the snapshot holds Python code ({written} characters); it was not run and is "
            "not in the package"
        )
    notes.append("the discriminator and the generator before averaging were left out")
    if not spec.training_data or not spec.authors:
        notes.append("training data and authors are not in a snapshot; complete card.json")
    if spec.spacing_mm is None:
        notes.append("the pixel size is not in a snapshot; spacing_mm of the labels file gives it")
    if licence is None:
        notes.append("the licence is not in a snapshot; NOASSERTION until you state one")
    return notes
