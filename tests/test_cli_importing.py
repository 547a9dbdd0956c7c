"""`medsyn models import`: what the command adds to the importers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from napari_medsyn.cli import run


def test_the_importers_notes_are_told_and_the_folder_is_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, Any] = {}

    def importer(checkpoint: Path, out: Path, **options: Any) -> list[str]:
        asked.update(options, checkpoint=checkpoint, out=out)
        return ["the licence is not known"]

    module = "napari_medsyn.registry.importers.mmhvae_checkpoint"
    monkeypatch.setattr(f"{module}.import_checkpoint", importer)
    out = tmp_path / "out"
    options = ["--out", str(out), "--id", "mine", "--licence", "MIT", "--spacing", "0.5"]

    status = run(["models", "import", "mmhvae", "a.pth", *options])

    said = capsys.readouterr()
    assert status == 0
    assert said.out == f"{out}\n"
    assert said.err == "medsyn: the licence is not known\n"
    assert asked == {
        "checkpoint": Path("a.pth"),
        "out": out,
        "model_id": "mine",
        "licence": "MIT",
        "spacing_mm": 0.5,
    }


@pytest.mark.parametrize(
    "command",
    [
        ["mmhvae", "{file}"],
        ["stylegan", "{file}", "--labels", "{file}"],
        ["monai-bundle", "{file}"],
        ["medigan", "{file}"],
    ],
)
def test_rubbish_ends_in_one_line_that_names_it(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rubbish"
    file.write_bytes(b"\x80rubbish")
    out = tmp_path / "out"

    words = [word.format(file=file) for word in command]
    status = run(["models", "import", *words, "--out", str(out)])

    said = capsys.readouterr().err
    assert status == 2
    assert len(said.splitlines()) == 1
    assert str(file) in said
    assert not out.exists()
