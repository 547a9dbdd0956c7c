"""What a model card says, as simple HTML.

A card is somebody else's text: every word of it is escaped, and the only image that the
page names is the preview of the package.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from napari_medsyn.plugin.models.texts import ARROWS, size_text
from napari_medsyn.registry.card import Metric, ModelCard
from napari_medsyn.registry.controls import Control

#: Name under which the page asks for the preview.
PREVIEW: Final = "preview"

_ANNEX: Final = "Research use; not for diagnosis."


def page_html(card: ModelCard, package: Path, preview_width: int = 0) -> str:
    """The whole page.

    Parameters
    ----------
    card, package : the model and its folder.
    preview_width : pixels; 0 leaves the preview out.
    """
    return _join(
        f"<h2>{_text(card.name)} {_text(card.version)}</h2>",
        f"<p>{_text(card.summary)}</p>" if card.summary else "",
        f"<p><img src='{PREVIEW}' width='{preview_width}'></p>" if preview_width else "",
        f"<p><b>{_ANNEX}</b></p>",
        _purpose(card),
        _section("Controls", _table(_control(control) for control in card.controls)),
        _section("Figures", _table(_figure(metric) for metric in card.metrics)),
        _origin(card),
        _section("Needs", _list(_needs(card))),
        _section("Provenance", _table(_provenance(card))),
        _section("Files", _files(card)),
        _section("Folder", f"<p>{_text(str(package))}</p>"),
    )


def broken_html(name: str, package: Path, reason: str) -> str:
    """The page of a package that is broken."""
    return _join(
        f"<h2>{_text(name)}</h2>",
        f"<p>This package is broken and cannot be run: {_text(reason)}</p>",
        _section("Folder", f"<p>{_text(str(package))}</p>"),
    )


def _purpose(card: ModelCard) -> str:
    shape = " × ".join(str(size) for size in card.grid.shape)
    spacing = card.grid.spacing_mm
    size = " × ".join(f"{mm:g}" for mm in spacing) + " mm" if spacing else "spacing not known"
    gives = ", ".join((*card.outputs, *(reading.label for reading in card.readings)))
    if not card.inputs:
        reads = "Reads nothing"
    elif card.min_inputs == len(card.inputs):
        reads = f"Reads {', '.join(card.inputs)}"
    else:
        reads = f"Reads {card.min_inputs} or more of {', '.join(card.inputs)}"
    return _join(
        _section("Intended use", f"<p>{_text(card.intended_use)}</p>"),
        _section("Limitations", _list(card.limitations)),
        _section(
            "Reads and gives",
            f"<p>{_text(reads)}; gives {_text(gives)}, on a {card.grid.dim} grid of {shape} voxels "
            f"({_text(card.grid.space)}, {size}).</p>",
        ),
    )


def _origin(card: ModelCard) -> str:
    data = (
        f"{d.name}{_count(d.n)}, {d.licence}{f'. {d.citation}' if d.citation else ''}"
        for d in card.training_data
    )
    links = [f"https://doi.org/{doi}" for doi in card.doi] + list(card.links)
    year = f", {card.year}" if card.year else ""
    return _join(
        _section("Trained on", _list(data)),
        _section("Licence of the weights", f"<p>{_text(card.licence)}</p>"),
        _section("Authors", f"<p>{_text(', '.join(card.authors) + year)}</p>"),
        _section("To cite", f"<p>{_text(card.citation)}</p>" if card.citation else ""),
        _section("Links", "".join(_link(url) for url in links)),
    )


def _control(control: Control) -> tuple[str, str]:
    unit = getattr(control, "unit", "")
    name = f"{control.label} ({unit})" if unit else control.label
    return name, " ".join(part for part in (_range(control), control.help) if part)


def _range(control: Control) -> str:
    """Which values it takes and which of them the model has seen in training."""
    match control.kind:
        case "continuous" | "integer":
            text = f"{control.minimum:g} to {control.maximum:g}"
            if control.support is None:
                return f"{text}."
            low, high = control.support
            return f"{text}; trained on {low:g} to {high:g}."
        case "categorical":
            return f"{', '.join(category.label for category in control.categories)}."
        case "modality_set":
            return f"{', '.join(control.choices)}."
        case "latent":
            count = len(control.directions)
            return f"{count} directions, {control.minimum:g} to {control.maximum:g} σ each."
        case "boolean":
            return "on or off."
    return ""


def _figure(metric: Metric) -> tuple[str, str]:
    said = [f"{metric.name}: {metric.data_set}{_count(metric.n)}"]
    if metric.extractor:
        said.append(f"features of {metric.extractor}")
    if metric.note:
        said.append(metric.note)
    return f"{metric.value:.4g} {ARROWS[metric.direction]}", "; ".join(said)


def _provenance(card: ModelCard) -> list[tuple[str, str]]:
    """How the weights came to be, as far as it is said in words and numbers."""
    return [
        (name.replace("_", " "), str(value))
        for name, value in card.provenance.items()
        if isinstance(value, str | int | float) and str(value)
    ]


def _needs(card: ModelCard) -> list[str]:
    needs = card.requires
    said = []
    if card.execution == "isolated":
        said.append("Your consent: it brings code of its own, which runs in a process of its own.")
    if needs.extra:
        said.append(f'pip install "napari-medsyn[{needs.extra}]"')
    if needs.packages:
        said.append(f"In its own environment: {', '.join(needs.packages)}")
    if needs.memory_gb is not None:
        said.append(f"{needs.memory_gb:g} GB of memory")
    if needs.gpu:
        said.append("A graphics card")
    if needs.note:
        said.append(needs.note)
    return said


def _files(card: ModelCard) -> str:
    """Name, size and hash of each file."""
    return "".join(
        f"<p>{_text(file.name)}, {size_text(file.bytes)}<br>"
        f"<span style='font-family: monospace'>SHA-256 {file.sha256}</span></p>"
        for file in card.files
    )


def _count(count: int | None) -> str:
    return "" if count is None else f", n = {count}"


def _link(url: str) -> str:
    return f"<p><a href='{_text(url)}'>{_text(url)}</a></p>"


def _section(title: str, body: str) -> str:
    return f"<h3>{title}</h3>{body}" if body else ""


def _table(lines: Iterable[tuple[str, str]]) -> str:
    """Two columns, which fit a narrow dock as well as a wide one."""
    cells = "".join(
        f"<tr><td><b>{_text(name)}</b></td><td>{_text(said)}</td></tr>" for name, said in lines
    )
    return f"<table cellpadding='3'>{cells}</table>" if cells else ""


def _list(items: Iterable[str]) -> str:
    lines = "".join(f"<li>{_text(item)}</li>" for item in items)
    return f"<ul>{lines}</ul>" if lines else ""


def _text(text: str) -> str:
    return html.escape(text, quote=True)


def _join(*blocks: str) -> str:
    return "".join(blocks)
