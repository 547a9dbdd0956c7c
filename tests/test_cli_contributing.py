from __future__ import annotations

import json

import pytest
from tests.evaluation import _toy
from tests.evaluation._toy import FAMILIES, make_toy

from napari_medsyn import cli
from napari_medsyn.registry.consent import give_consent, has_consent
from napari_medsyn.registry.packages import verify


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """No model is embedded, `toy` is the user's own, and the work goes on in a folder."""
    monkeypatch.setenv("MEDSYN_HOME", str(tmp_path / "home"))
    embedded = tmp_path / "embedded"
    monkeypatch.setattr("napari_medsyn.registry.catalogue.embedded_folder", lambda: embedded)
    table = {**FAMILIES, "dcgan": "napari_medsyn.models.dcgan_family:load"}
    monkeypatch.setattr("napari_medsyn.models.families.TABLE", table)
    make_toy(tmp_path / "home" / "models" / "toy")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def fill_in(value):
    """The JSON values of a card with every mark replaced."""
    if isinstance(value, dict):
        return {key: fill_in(item) for key, item in value.items()}
    if isinstance(value, list):
        return [fill_in(item) for item in value]
    if isinstance(value, str):
        return value.replace("LicenseRef-FILL-IN", "CC0-1.0").replace("FILL IN", "Told")
    return value


def finish(folder):
    path = folder / "card.json"
    path.write_text(json.dumps(fill_in(json.loads(path.read_text()))))


# ---- test ------------------------------------------------------------------------------


def test_a_model_is_tested_by_its_id(home, capsys):
    assert cli.run(["models", "test", "toy"]) == 0
    out = capsys.readouterr().out
    assert "toy 1.2.0" in out
    assert "control latent" in out
    assert "golden output" in out
    assert out.splitlines()[-2:] == [
        "11 checks: 10 ok, 1 warning",
        str(home / "models" / "toy"),
    ]


def test_the_report_as_json(capsys):
    assert cli.run(["models", "test", "toy", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["model"], answer["ok"], len(answer["checks"])) == ("toy", True, 11)
    assert answer["checks"][0]["name"] == "package"


def test_a_model_that_does_not_pass_ends_with_1(monkeypatch, capsys):
    class Unsteady(_toy.Toy):
        def render(self, conditioning, controls, region):
            rendered = super().render(conditioning, controls, region)
            for values in rendered.mean.values():
                values *= 10
            return rendered

    monkeypatch.setattr(_toy, "load", lambda card, *_: Unsteady(card))
    assert cli.run(["models", "test", "toy"]) == 1
    assert "failed" in capsys.readouterr().out


def test_a_damaged_model_ends_with_2(home, capsys):
    (home / "models" / "toy" / "weights.safetensors").write_bytes(b"x")
    assert cli.run(["models", "test", str(home / "models" / "toy")]) == 2
    assert "bytes where the card says" in capsys.readouterr().err


def test_an_unknown_model_ends_with_2(capsys):
    assert cli.run(["models", "test", "nobody"]) == 2
    assert "there is no model 'nobody'" in capsys.readouterr().err


def test_a_folder_comes_before_an_installed_model_of_its_name(tmp_path, capsys):
    make_toy(tmp_path / "work" / "toy", version="9.9")
    assert cli.run(["models", "test", "toy"]) == 0
    assert "toy 9.9" in capsys.readouterr().out


def test_a_golden_output_is_recorded_in_a_folder(tmp_path, capsys):
    make_toy(tmp_path / "work" / "mine")
    assert cli.run(["models", "test", "mine", "--record"]) == 0
    assert "differs by at most 0;" in capsys.readouterr().out
    assert verify(tmp_path / "work" / "mine").golden is not None


def test_nothing_is_recorded_in_an_installed_model(home, capsys):
    assert cli.run(["models", "test", "toy", "--record"]) == 2
    assert "name its folder" in capsys.readouterr().err
    assert verify(home / "models" / "toy").golden is None


# ---- code of its own -------------------------------------------------------------------


@pytest.fixture
def isolated(tmp_path, monkeypatch):
    """The toy as if it brought code: what runs is ours, but consent is asked for."""
    folder = tmp_path / "work" / "isolated"
    make_toy(folder, execution="isolated", architecture={"weights": "weights.safetensors"})
    return folder


def test_code_is_not_run_without_consent(isolated, capsys):
    loaded = len(_toy.LOADED)
    assert cli.run(["models", "test", "isolated"]) == 2
    said = capsys.readouterr().err
    assert "brings code of its own (isolated/code, SHA-256 " in said
    assert "say the same with --trust" in said
    assert len(_toy.LOADED) == loaded


def test_consent_is_given_by_name_and_remembered(isolated, capsys):
    assert cli.run(["models", "test", "isolated", "--trust"]) == 0
    assert "it is trusted as it is now" in capsys.readouterr().err
    assert cli.run(["models", "test", "isolated"]) == 0
    assert capsys.readouterr().err == ""


def test_consent_stays_with_a_package_that_we_have_changed_ourselves(isolated):
    card = verify(isolated)
    give_consent(isolated, card)
    assert cli.run(["models", "test", "isolated", "--record"]) == 0
    recorded = verify(isolated)
    assert recorded.golden is not None
    assert has_consent(isolated, recorded)


# ---- new, seal, contribute -------------------------------------------------------------


def test_the_way_of_a_newcomer(tmp_path, home, capsys):
    assert cli.run(["models", "new", "My GAN"]) == 0
    folder = tmp_path / "work" / "My GAN"
    assert capsys.readouterr().err == (
        "medsyn: the model's id is my-gan; what to do next is in My GAN/README.md\n"
    )
    assert (verify(folder).id, verify(folder).name) == ("my-gan", "My gan")
    assert cli.run(["models", "test", "My GAN"]) == 0

    assert cli.run(["models", "contribute", "My GAN", "--out", "submission"]) == 2
    assert "still to be filled in: summary, anatomy[0]" in capsys.readouterr().err
    assert not (tmp_path / "work" / "submission").exists()

    finish(folder)
    (folder / "preview.png").write_bytes(b"a picture")
    assert cli.run(["models", "seal", "My GAN"]) == 0
    assert capsys.readouterr().err == "medsyn: preview.png is new on the card\n"
    assert cli.run(["models", "contribute", "My GAN", "--out", "submission"]) == 0
    said = capsys.readouterr()
    assert said.out == "submission\n"
    assert "12 checks: 12 ok; nothing was uploaded" in said.err

    archive = tmp_path / "work" / "submission" / "my-gan-0.1.zip"
    assert cli.run(["models", "install", str(archive)]) == 0
    assert verify(home / "models" / "my-gan").golden is not None
    assert cli.run(["models", "test", "my-gan"]) == 0


def test_a_model_that_does_not_pass_is_not_packed(tmp_path, monkeypatch, capsys):
    make_toy(tmp_path / "work" / "mine")
    monkeypatch.setattr(_toy, "load", lambda card, *_: _Leaving(card))
    assert cli.run(["models", "contribute", "mine", "--out", "submission"]) == 1
    said = capsys.readouterr()
    assert "nothing was written: the package does not pass its test" in said.err
    assert "failed" in said.out
    assert not (tmp_path / "work" / "submission").exists()


def test_a_model_that_is_not_filled_in_is_not_even_tried(tmp_path, capsys):
    make_toy(tmp_path / "work" / "mine", authors=["FILL IN: you"])
    loaded = len(_toy.LOADED)
    assert cli.run(["models", "contribute", "mine", "--out", "submission"]) == 2
    assert "to be filled in: authors[0]" in capsys.readouterr().err
    assert len(_toy.LOADED) == loaded


class _Leaving(_toy.Toy):
    def plan(self, first, slices, controls):
        return super().plan(first, slices, controls)[:-1]


def test_a_template_is_chosen_with_id_and_name(tmp_path, capsys):
    arguments = ["--family", "python", "--id", "other", "--name", "Other model"]
    assert cli.run(["models", "new", "mine", *arguments]) == 0
    card = verify(tmp_path / "work" / "mine")
    assert (card.id, card.name, card.family) == ("other", "Other model", "python")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["new", "."], "is not empty"),
        (["new", "mine", "--id", "No id!"], "id: "),
        (["new", "mine", "--family", "stylegan3"], "stylegan3"),
        (["seal", "nowhere"], "cannot be read"),
        (["contribute", "nowhere", "--out", "x"], "is not a folder"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path, capsys, arguments, reason):
    (tmp_path / "work" / "notes.txt").write_text("mine")
    assert cli.run(["models", *arguments]) == 2
    assert reason in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["notes.txt"]
