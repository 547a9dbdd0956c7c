"""`medsyn models`: searching, ranking, installing, citing, the schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests._fakes import make_package
from tests.registry._cards import listing, metric

from napari_medsyn import cli
from napari_medsyn.registry.card import json_schema
from napari_medsyn.registry.extras import EXTRAS

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    """An embedded model and three of the user's, one of them broken."""
    monkeypatch.setenv("MEDSYN_HOME", str(tmp_path / "home"))
    for name in ("MEDSYN_MIRROR", "MEDSYN_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(
        "napari_medsyn.registry.catalogue.embedded_folder", lambda: tmp_path / "embedded"
    )
    folder = tmp_path / "home" / "models"
    make_package(tmp_path / "embedded" / "brain", id="brain", name="Brain", tags=["MR"])
    breast = {
        "name": "Breast", "tags": ["Mammography"], "outputs": ["MG"], "inputs": [],
        "min_inputs": 0, "controls": [],
    }  # fmt: skip
    make_package(folder / "dense", id="dense", metrics=[metric("FID", 30.5, n=12)], **breast)
    make_package(folder / "mass", id="mass", metrics=[metric("FID", 4.25)], **breast)
    (folder / "torn").mkdir()
    return folder


def ran(capsys: pytest.CaptureFixture[str], *arguments: str | Path, status: int = 0) -> str:
    """What `medsyn models …` answers on standard output."""
    assert cli.run(["models", *map(str, arguments)]) == status
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line that `medsyn models …` says when it refuses."""
    assert cli.run(["models", *map(str, arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


def found(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    return [entry["id"] for entry in json.loads(ran(capsys, *arguments, "--json"))]


# ---- search ----------------------------------------------------------------------------


def test_search_joins_words_as_asked(capsys):
    assert found(capsys, "search", "BREAST") == ["dense", "mass"]
    assert found(capsys, "search", "mass", "brain") == []
    assert found(capsys, "search", "mass", "brain", "--operator", "or") == ["brain", "mass"]
    assert found(capsys, "search", "mass", "breast", "--operator", "xor") == ["dense"]
    assert found(capsys, "search", "MRI") == ["brain"]
    assert found(capsys, "search", "torn") == ["torn"]
    assert found(capsys, "search", "nothing like this") == []


def test_search_as_json_says_what_a_program_needs(capsys, models):
    (entry,) = json.loads(ran(capsys, "search", "mass", "--json"))
    assert {k: entry[k] for k in ("id", "name", "family", "embedded", "path")} == {
        "id": "mass", "name": "Breast", "family": "fake", "embedded": False,
        "path": str(models / "mass"),
    }  # fmt: skip
    (entry,) = json.loads(ran(capsys, "search", "brain", "--json"))
    assert entry["embedded"] is True


def test_search_for_people(capsys):
    lines = ran(capsys, "search", "breast").splitlines()
    assert lines == [
        "dense  1.2.0  Breast: unconditional, 2D axial",
        "mass  1.2.0  Breast: unconditional, 2D axial",
    ]
    assert cli.run(["models", "search", "nothing like this"]) == 0
    assert "no model has these words" in capsys.readouterr().err


def test_an_unknown_field_is_refused(capsys):
    assert "there is no field 'colour' to search; fields are id" in refused(
        capsys, "search", "colour:red"
    )
    assert found(capsys, "search", "10.1000/x:y") == []


def test_an_unknown_operator_is_refused(capsys):
    assert "'nor' is not one of 'and', 'or', 'xor'" in refused(
        capsys, "search", "a", "--operator", "nor"
    )


# ---- rank ------------------------------------------------------------------------------


def test_rank_knows_that_a_low_fid_is_good(capsys):
    assert found(capsys, "rank", "fid") == ["mass", "dense", "brain"]
    assert found(capsys, "search", "breast", "--rank", "FID") == ["mass", "dense"]
    assert found(capsys, "rank", "fid", "--of", "dense", "--of", "breast") == ["dense"]


def test_rank_as_json_has_scores_and_says_who_has_none(capsys):
    first, _, last = json.loads(ran(capsys, "rank", "FID", "--json"))
    assert (first["score"], first["direction"], first["comparable"]) == (4.25, "lower", True)
    assert (last["id"], last["score"], last["notes"]) == ("brain", None, ["its card gives no FID"])


def test_rank_for_people(capsys):
    head, first, second, last = ran(capsys, "rank", "fid").splitlines()
    assert head == "FID: lower is better"
    assert first.split() == ["1", "4.25", "mass", "on", "here"]
    assert second.split() == ["2", "30.5", "dense", "on", "here,", "n", "=", "12"]
    assert "without" in last
    assert "its card gives no fid" in last


def test_found_models_without_the_metric_are_listed_and_it_is_said(capsys):
    assert found(capsys, "search", "brain", "--rank", "fid") == ["brain"]
    assert "fid: lower is better" in ran(capsys, "search", "brain", "--rank", "fid")


def test_an_unknown_metric_is_refused_with_the_known_ones(capsys):
    assert "no metric 'beauty'; known metrics: FID; PSNR" in refused(capsys, "rank", "beauty")


def test_a_slip_of_the_keyboard_is_told(capsys, models):
    for number in range(12):
        make_package(models / f"n{number}", id=f"n{number}")
    told = refused(capsys, "info", "brian")
    assert "no model 'brian'; did you mean brain?; known models: brain, dense, mass, " in told
    assert told.endswith(" … and 5 more; see medsyn models list\n")
    assert "no metric 'pnsr'; did you mean PSNR?" in refused(capsys, "rank", "pnsr")


def test_nothing_found_is_nothing_to_rank(capsys):
    assert found(capsys, "search", "nothing like this", "--rank", "fid") == []


# ---- info, list, schema ----------------------------------------------------------------


def test_info_gives_a_citation(capsys):
    text = ran(capsys, "info", "brain", "--bibtex")
    assert text.startswith("@misc{brain-1.2.0,\n")
    assert text.endswith("}\n")
    assert json.loads(ran(capsys, "info", "brain", "--json"))["bibtex"].startswith("@misc{brain")


def test_info_of_a_model_that_is_only_listed_says_why(capsys, models):
    make_package(
        models / "lost", id="lost", execution="none", files=[], anatomy=["liver"],
        requires={"note": "its weights are lost", "memory_gb": 58, "gpu": True, "extra": "monai"},
        doi=["10.1000/x"],
    )  # fmt: skip
    lines = ran(capsys, "info", "lost").splitlines()
    assert "not run: its weights are lost" in lines
    assert "needs: 58 GB of memory" in lines
    assert 'needs: pip install "napari-medsyn[monai]"' in lines
    assert {"needs: a GPU", "anatomy: liver", "see https://doi.org/10.1000/x"} <= set(lines)
    assert "lost  1.2.0  Fake brain: " in ran(capsys, "list")
    assert "[not run: its weights are lost]" in ran(capsys, "list")


def test_a_long_reason_is_short_in_the_list_and_whole_in_info(capsys, models):
    note = "its weights are lost " * 20 + "for ever"
    make_package(models / "lost", id="lost", execution="none", files=[], requires={"note": note})
    (line,) = [line for line in ran(capsys, "list").splitlines() if line.startswith("lost")]
    assert line.endswith(f"[not run: {note[:119].rstrip()}…]")
    assert f"not run: {note}" in ran(capsys, "info", "lost").splitlines()


def test_a_model_without_its_library_says_what_to_install(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(EXTRAS, "monai", ("no_such_library",))
    package = make_package(tmp_path / "a", id="lacking", requires={"extra": "monai"})
    needs = 'needs no_such_library: pip install "napari-medsyn[monai]"'
    assert cli.run(["models", "install", str(package)]) == 0
    assert f"medsyn: lacking cannot run yet: it {needs}\n" in capsys.readouterr().err
    assert f"[not run: {needs}]" in ran(capsys, "list")
    (entry,) = json.loads(ran(capsys, "search", "id:lacking", "--json"))
    assert (entry["id"], entry["can_run"], entry["why_not"]) == ("lacking", False, needs)


def test_the_list_says_who_needs_no_scan(capsys):
    assert "mass  1.2.0  Breast: reads no scan; gives MG" in ran(capsys, "list").splitlines()


def test_the_published_schema_is_that_of_the_cards(capsys):
    published = (ROOT / "docs" / "card.schema.json").read_text(encoding="utf-8")
    assert json.loads(published) == json_schema(), "medsyn models schema > docs/card.schema.json"
    assert ran(capsys, "schema") == published


def test_the_published_schema_takes_good_cards_and_no_others():
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((ROOT / "docs" / "card.schema.json").read_text(encoding="utf-8"))
    cards = sorted((ROOT / "resources" / "models").glob("*/card.json"))
    assert cards
    for path in cards:
        card = json.loads(path.read_text(encoding="utf-8"))
        jsonschema.validate(card, schema)
    with pytest.raises(jsonschema.ValidationError, match="surprise"):
        jsonschema.validate({**card, "surprise": 1}, schema)


# ---- pack, install, remove, settings ---------------------------------------------------


def test_a_package_travels(capsys, models, tmp_path):
    package = make_package(tmp_path / "mine", id="mine")
    (package / "stray.txt").write_text("x")
    (package / "README.md").write_text("x")
    assert cli.run(["models", "pack", str(package), "--out", str(tmp_path / "mine.zip")]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{tmp_path / 'mine.zip'}  SHA-256 ")
    assert "stray.txt is not packed" in captured.err
    assert "README.md is for you and stays out of the archive, as it should" in captured.err
    again = refused(capsys, "pack", package, "--out", tmp_path / "mine.zip")
    assert again == f"medsyn: {tmp_path / 'mine.zip'}: exists already; choose another --out\n"

    assert ran(capsys, "install", tmp_path / "mine.zip") == (
        f"mine 1.2.0 is installed: {models / 'mine'}\n"
    )
    assert found(capsys, "search", "id:mine") == ["mine"]
    assert ran(capsys, "verify", "mine") == "mine: ok\n"
    assert ran(capsys, "remove", "mine") == f"mine is removed: {models / 'mine'}\n"
    assert found(capsys, "search", "id:mine") == []


def test_install_answers_as_json(capsys, tmp_path):
    (entry,) = json.loads(ran(capsys, "install", make_package(tmp_path / "a", id="a"), "--json"))
    assert (entry["id"], entry["origin"], entry["can_run"]) == ("a", "user", True)


def test_several_are_installed_and_those_refused_are_told(capsys, models, tmp_path):
    sources = [make_package(tmp_path / name, id=name) for name in ("a", "brain", "b")]
    assert cli.run(["models", "install", *map(str, sources)]) == 2
    captured = capsys.readouterr()
    assert [line.split()[0] for line in captured.out.splitlines()] == ["a", "b"]
    assert captured.err.count("\n") == 1
    assert "brain: a model of this id ships with napari-medsyn" in captured.err


def test_what_is_refused_changes_nothing(capsys, tmp_path):
    (tmp_path / "home" / "cache").mkdir()
    before = listing(tmp_path)
    assert "does not exist" in refused(capsys, "install", tmp_path / "no.zip")
    assert "ships with napari-medsyn" in refused(capsys, "remove", "brain")
    assert "is not a folder" in refused(capsys, "pack", tmp_path / "no", "--out", tmp_path / "a")
    assert listing(tmp_path) == before


def test_code_is_installed_and_it_is_said_that_it_was_not_run(capsys, tmp_path):
    name = "code/net.py"
    package = make_package(tmp_path / "a", id="a")
    file = json.loads((package / "card.json").read_text())["files"][0]
    (package / "code").mkdir()
    (package / "weights.safetensors").rename(package / name)
    card = json.loads((package / "card.json").read_text())
    changes = {"execution": "isolated", "architecture": {"weights": name}}
    card.update(changes, files=[{**file, "name": name}])
    (package / "card.json").write_text(json.dumps(card))
    assert cli.run(["models", "install", str(package)]) == 0
    assert "has not been run; look at it, then medsyn models trust a" in capsys.readouterr().err


def test_settings_are_shown_and_changed(capsys, tmp_path):
    assert json.loads(ran(capsys, "settings", "--json")) == {
        "mirror": None, "offline": False, "file": str(tmp_path / "home" / "settings.json"),
    }  # fmt: skip
    text = ran(capsys, "settings", "--mirror", "https://mirror.example/x", "--offline")
    assert "mirror: https://mirror.example/x\n" in text
    assert "downloads: off, the mirror only" in text
    assert "downloads: on" in ran(capsys, "settings", "--online", "--mirror", "")
    assert "neither a folder nor" in refused(capsys, "settings", "--mirror", "ftp://x")
