"""The page of a model: all that the card says, nothing of it taken for HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.plugin.models._made import FREE, ISOLATED, made_card, metric

from napari_medsyn.plugin.models.card_page import PREVIEW, broken_html, page_html

PACKAGE = Path("/models/fake")
EVIL = "<script>x</script><img src='https://example.org/t.png'>"


class Tags(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_the_page_has_all_that_the_card_says() -> None:
    card = made_card(
        summary="Imputes.",
        metrics=[
            {**metric("PSNR", 25.125, "higher"), "note": "a note", "extractor": "VGG"},
            {**metric("FID", 9.5), "n": None},
        ],
        doi=["10.1000/a"],
        links=["https://example.org/code"],
        citation="Nobody, 2026.",
        year=2026,
        provenance={"command": "train.py", "trained_date": "May 2021", "nested": {"a": 1}},
        requires={"extra": "monai", "memory_gb": 4, "gpu": True, "note": "Slow."},
    )
    text = text_of(page_html(card, PACKAGE))
    for part in (
        "Fake brain 1.2.0",
        "Imputes.",
        "Research use; not for diagnosis.",
        "Intended use Tests.",
        "Limitations Knows nothing.",
        "Reads 1 or more of T1, T2, FLAIR; gives T1, T2, FLAIR, on a 2D axial grid of "
        "10 × 12 × 14 voxels (MNI152, 1 × 1 × 1 mm).",
        "Temperature 0 to 1; trained on 0 to 0.9.",
        "25.12 ↑ PSNR: made up, n = 3; features of VGG; a note",
        "9.5 ↓ FID: made up ",
        "made up, n = 3, CC0-1.0",
        "BSD-3-Clause",
        "Nobody, 2026",
        "https://doi.org/10.1000/a",
        "https://example.org/code",
        "pip install &quot;napari-medsyn[monai]&quot;",
        "4 GB of memory",
        "A graphics card",
        "Slow.",
        "command train.py",
        "trained date May 2021",
        "weights.safetensors, 1 B",
        "0" * 64,
        "/models/fake",
    ):
        assert part in text, part


def test_units_and_supports_of_controls_are_told() -> None:
    age = {
        "kind": "continuous",
        "name": "age",
        "label": "Age",
        "unit": "years",
        "minimum": 20,
        "maximum": 95,
        "step": 1,
        "default": 60,
        "support": [45, 82],
        "help": "Given to the model.",
    }
    latent = {"kind": "latent", "name": "z", "label": "Latent", "directions": ["a", "b"]}
    text = text_of(page_html(made_card(controls=[age, latent]), PACKAGE))
    assert "Age (years) 20 to 95; trained on 45 to 82. Given to the model." in text
    assert "Latent 2 directions, -3 to 3 σ each." in text


def test_a_model_that_reads_nothing_says_so() -> None:
    card = made_card(
        **FREE, grid={"shape": [8, 8, 1], "spacing_mm": None, "space": "image", "dim": "2D"}
    )
    text = text_of(page_html(card, PACKAGE))
    assert "Reads nothing; gives T1, on a 2D grid of 8 × 8 × 1 voxels" in text
    assert "spacing not known" in text


def test_code_is_told_of() -> None:
    card = made_card(**ISOLATED, requires={"packages": ["torch>=2.4"]})
    text = text_of(page_html(card, PACKAGE))
    assert "Your consent" in text
    assert "torch&gt;=2.4" in text


def test_nothing_that_a_card_says_becomes_a_tag() -> None:
    card = made_card(
        name=EVIL,
        summary=EVIL,
        authors=[EVIL],
        citation=EVIL,
        intended_use=EVIL,
        limitations=[EVIL],
        metrics=[{**metric(EVIL, 1.0), "note": EVIL, "data_set": EVIL, "extractor": EVIL}],
        training_data=[{"name": EVIL, "licence": EVIL, "citation": EVIL}],
        requires={"note": EVIL, "packages": [EVIL]},
        provenance={EVIL: EVIL},
        controls=[{"kind": "boolean", "name": "a", "label": EVIL, "help": EVIL}],
    )
    tags = {tag for tag, _ in Tags(page_html(card, Path("/models/<i>"))).found}
    assert "script" not in tags
    assert "img" not in tags
    assert "i" not in tags


def test_the_only_image_is_the_preview_and_links_are_https() -> None:
    card = made_card(doi=["10.1000/a"], links=["https://example.org/?a=1&b=2"])
    found = Tags(page_html(card, PACKAGE, 300)).found
    images = [attributes for tag, attributes in found if tag == "img"]
    assert images == [{"src": PREVIEW, "width": "300"}]
    links = [attributes["href"] for tag, attributes in found if tag == "a"]
    assert links == ["https://doi.org/10.1000/a", "https://example.org/?a=1&b=2"]


@pytest.mark.parametrize("reason", ["weights are missing", EVIL])
def test_the_page_of_a_broken_package_is_its_reason(reason: str) -> None:
    page = broken_html("torn", PACKAGE, reason)
    assert "script" not in {tag for tag, _ in Tags(page).found}
    assert "is broken and cannot be run" in page
