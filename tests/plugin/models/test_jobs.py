"""What is done to packages: real folders, no Qt, no network, medsyn itself played by a fake."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests._fakes import make_package

from napari_medsyn.errors import Cancelled, MedsynError, UnusableModel
from napari_medsyn.evaluation.checks import Check, Report
from napari_medsyn.plugin.models import jobs
from napari_medsyn.plugin.models.jobs import Ticket
from napari_medsyn.plugin.models.programs import Printed
from napari_medsyn.registry.catalogue import Catalogue
from napari_medsyn.registry.consent import has_consent
from napari_medsyn.registry.packages import sha256_of

Medsyn = Callable[[list[str]], Printed]


class Told:
    """Collects progress."""

    def __init__(self) -> None:
        self.shares: list[float | None] = []
        self.texts: list[str] = []

    def __call__(self, share: float | None, text: str) -> None:
        self.shares.append(share)
        self.texts.append(text)


@pytest.fixture
def ticket() -> Ticket:
    return Ticket(Told())


def plays_medsyn(ticket: Ticket, medsyn: Medsyn) -> list[list[str]]:
    """Have `medsyn` answer instead of the program; gives what it was asked."""
    asked: list[list[str]] = []

    def run(arguments: list[str]) -> Printed:
        asked.append(list(arguments))
        return medsyn(list(arguments))

    ticket.run = run  # type: ignore[method-assign, assignment]
    return asked


def isolated_package(folder: Path) -> Path:
    package = make_package(
        folder,
        id="with-code",
        execution="isolated",
        architecture={"weights": "weights.safetensors"},
    )
    code = package / "code" / "generate.py"
    code.parent.mkdir()
    code.write_text("raise SystemExit('must not run')\n")
    card = json.loads((package / "card.json").read_text())
    size, digest = code.stat().st_size, sha256_of(code)
    card["files"].append({"name": "code/generate.py", "bytes": size, "sha256": digest})
    (package / "card.json").write_text(json.dumps(card))
    return package


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name[0] != ".")


# ---- verify ------------------------------------------------------------------------


def test_a_whole_package_is_told_with_its_hashes(tmp_path: Path) -> None:
    told = Told()
    package = make_package(tmp_path / "fake")
    done = jobs.verify_package(package, Ticket(told))
    assert done.sentence == "Fake brain: 1 file is as the card says."
    assert done.detail == f"{sha256_of(package / 'weights.safetensors')}  weights.safetensors"
    assert told.texts == ["Comparing weights.safetensors"]
    assert told.shares == [0.0]


def test_a_changed_file_of_the_same_size_is_found(tmp_path: Path, ticket: Ticket) -> None:
    package = make_package(tmp_path / "fake")
    weights = package / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UnusableModel, match=r"weights\.safetensors: its SHA-256 is not"):
        jobs.verify_package(package, ticket)


def test_verifying_stops_when_it_is_cancelled(tmp_path: Path, ticket: Ticket) -> None:
    package = make_package(tmp_path / "fake")
    ticket.cancel()
    with pytest.raises(Cancelled):
        jobs.verify_package(package, ticket)


# ---- install, remove ---------------------------------------------------------------


def test_a_folder_is_installed(tmp_path: Path, home: Path, ticket: Ticket) -> None:
    source = make_package(tmp_path / "new", id="new-model", name="New model")
    done = jobs.install_packages([source], ticket)
    assert done.sentence == "Installed New model."
    assert done.package == home / "models" / "new-model"
    assert names_in(home / "models") == ["new-model"]


def test_a_package_that_is_refused_does_not_keep_the_others_out(
    tmp_path: Path, home: Path, ticket: Ticket
) -> None:
    bad = tmp_path / "notes.txt"
    bad.write_text("hello")
    good = make_package(tmp_path / "good", id="good", name="Good")
    done = jobs.install_packages([bad, good], ticket)
    assert (done.sentence, done.degree) == ("Installed Good; 1 package not.", "bad")
    assert done.detail.startswith(f"{bad}: ")
    assert names_in(home / "models") == ["good"]


def test_if_all_are_refused_the_first_reason_is_told(tmp_path: Path, ticket: Ticket) -> None:
    with pytest.raises(UnusableModel, match=r"a\.zip: does not exist"):
        jobs.install_packages([tmp_path / "a.zip", tmp_path / "b.zip"], ticket)


def test_many_models_are_counted(tmp_path: Path, ticket: Ticket) -> None:
    made = [make_package(tmp_path / str(n), id=f"m{n}") for n in range(4)]
    assert jobs.install_packages(made, ticket).sentence == "Installed 4 models."


def test_another_version_in_the_way_is_told_in_the_words_of_the_dock(
    tmp_path: Path, ticket: Ticket
) -> None:
    jobs.install_packages([make_package(tmp_path / "1", id="m")], ticket)
    other = make_package(tmp_path / "2", id="m", version="2.0.0")
    with pytest.raises(UnusableModel, match="remove it first") as refused:
        jobs.install_packages([other], ticket)
    assert "--" not in str(refused.value)


def test_a_package_is_removed(tmp_path: Path, home: Path, ticket: Ticket) -> None:
    jobs.install_packages([make_package(tmp_path / "a", id="a", name="A")], ticket)
    (entry,) = (e for e in Catalogue().entries() if e.id == "a")
    assert jobs.remove_package(entry).sentence == "Removed A."
    assert names_in(home / "models") == []


def test_of_two_packages_with_one_id_none_is_removed(home: Path) -> None:
    for name in ("one", "two"):
        make_package(home / "models" / name, id="twin")
    for entry in Catalogue().entries():
        if entry.id == "twin":
            with pytest.raises(UnusableModel, match="has the same id"):
                jobs.remove_package(entry)
    assert names_in(home / "models") == ["one", "two"]


# ---- consent -----------------------------------------------------------------------


def test_consent_is_given_and_taken_back(tmp_path: Path) -> None:
    from napari_medsyn.registry.card import read_card

    package = isolated_package(tmp_path / "code")
    card = read_card(package)
    done = jobs.trust_package(package, card)
    assert "may run its code, in a process of its own" in done.sentence
    assert has_consent(package, card)
    jobs.distrust_package(package, card)
    assert not has_consent(package, card)


def test_code_that_is_not_what_the_card_says_gets_no_consent(tmp_path: Path) -> None:
    from napari_medsyn.registry.card import read_card

    package = isolated_package(tmp_path / "code")
    card = read_card(package)
    code = package / "code" / "generate.py"
    code.write_text(code.read_text().replace("must", "shal"))
    with pytest.raises(UnusableModel):
        jobs.trust_package(package, card)
    assert not has_consent(package, card)


def test_an_environment_is_made_by_medsyn(tmp_path: Path, ticket: Ticket) -> None:
    asked = plays_medsyn(ticket, lambda _: Printed(0, "/env/bin/python", "medsyn: made\n"))
    done = jobs.set_up_package(tmp_path, "Fake", ticket)
    assert (done.sentence, done.detail) == ("Fake has what it needs.", "made")
    assert asked == [["models", "environment", "--", str(tmp_path)]]


def test_an_environment_that_cannot_be_made_is_told(tmp_path: Path, ticket: Ticket) -> None:
    plays_medsyn(ticket, lambda _: Printed(1, "", "medsyn: pip: no network\n"))
    with pytest.raises(UnusableModel, match="pip: no network"):
        jobs.set_up_package(tmp_path, "Fake", ticket)


# ---- import ------------------------------------------------------------------------


def out_of(arguments: list[str]) -> Path:
    return Path(arguments[arguments.index("--out") + 1])


def test_an_import_is_installed_and_its_notes_are_told(
    tmp_path: Path, home: Path, ticket: Ticket
) -> None:
    def medsyn(arguments: list[str]) -> Printed:
        make_package(out_of(arguments), id="imported", name="Imported")
        return Printed(0, "out", "medsyn: no preview\nmedsyn: no licence\n")

    asked = plays_medsyn(ticket, medsyn)
    source = tmp_path / "-weights.pth"
    options = [("--id", "imported"), ("--licence", "")]

    done = jobs.import_model("mmhvae", source, options, ticket)

    assert done.sentence == "Installed Imported. 2 notes in the details."
    assert (done.detail, done.degree) == ("no preview\nno licence", "note")
    assert names_in(home / "models") == ["imported"]
    (arguments,) = asked
    assert arguments[:3] == ["models", "import", "mmhvae"]
    assert arguments[-4:] == ["--id", "imported", "--", str(source)]
    assert not out_of(arguments).exists()


def test_an_importer_that_makes_several_packages_has_all_installed(
    tmp_path: Path, home: Path, ticket: Ticket
) -> None:
    def medsyn(arguments: list[str]) -> Printed:
        for name in ("a", "b"):
            make_package(out_of(arguments) / name, id=name, name=name)
        return Printed(0, "", "")

    plays_medsyn(ticket, medsyn)
    done = jobs.import_model("medigan", tmp_path / "global.json", [], ticket)
    assert (done.sentence, done.degree) == ("Installed a, b.", "good")
    assert names_in(home / "models") == ["a", "b"]


def test_an_importer_that_refuses_is_quoted_and_nothing_is_installed(
    tmp_path: Path, home: Path, ticket: Ticket
) -> None:
    plays_medsyn(ticket, lambda _: Printed(2, "", "medsyn: a.pkl: would run os.system\n"))
    with pytest.raises(UnusableModel, match=r"^a\.pkl: would run os\.system$"):
        jobs.import_model("stylegan", tmp_path / "a.pkl", [], ticket)
    assert not (home / "models").exists()


def test_an_importer_that_dies_without_a_word_is_told(tmp_path: Path, ticket: Ticket) -> None:
    plays_medsyn(ticket, lambda _: Printed(-9, "", ""))
    with pytest.raises(UnusableModel, match=r"The import of a\.pth failed"):
        jobs.import_model("mmhvae", tmp_path / "a.pth", [], ticket)


def test_an_import_without_models_is_no_success(tmp_path: Path, ticket: Ticket) -> None:
    def medsyn(arguments: list[str]) -> Printed:
        out_of(arguments).mkdir()
        return Printed(0, "", "")

    plays_medsyn(ticket, medsyn)
    with pytest.raises(MedsynError, match="holds no model"):
        jobs.import_model("medigan", tmp_path / "global.json", [], ticket)


def test_medsyn_itself_refuses_what_is_no_checkpoint(tmp_path: Path, ticket: Ticket) -> None:
    source = tmp_path / "weights.pth"
    source.write_text("hello")
    with pytest.raises(MedsynError, match=r"weights\.pth"):
        jobs.import_model("mmhvae", source, [], ticket)


# ---- test --------------------------------------------------------------------------


def report_of(*verdicts: str) -> str:
    """What `medsyn models test --json` prints."""
    checks = tuple(
        Check(f"check {n}", verdict != "failed", "seen", verdict == "warning")
        for n, verdict in enumerate(verdicts)
    )
    return json.dumps({**Report("fake", "1.0", checks).as_dict(), "folder": "/models/fake"})


@pytest.mark.parametrize(
    ("status", "verdicts", "sentence", "degree"),
    [
        (0, ("ok", "warning"), "Fake passed its tests (2 checks: 1 ok, 1 warning).", "good"),
        (1, ("ok", "failed"), "Fake failed a test (2 checks: 1 ok, 1 failed).", "bad"),
    ],
)
def test_the_report_of_a_test_is_taken_over(
    tmp_path: Path,
    ticket: Ticket,
    status: int,
    verdicts: tuple[str, ...],
    sentence: str,
    degree: str,
) -> None:
    asked = plays_medsyn(ticket, lambda _: Printed(status, report_of(*verdicts), "medsyn: x"))
    done = jobs.test_package(tmp_path, "Fake", ticket)
    assert (done.sentence, done.degree) == (sentence, degree)
    assert done.report is not None
    assert tuple(check.verdict for check in done.report.checks) == verdicts
    assert asked == [["models", "test", "--json", "--", str(tmp_path)]]


@pytest.mark.parametrize("answer", ["no json", "[]", '{"checks": [{}]}'])
def test_a_report_that_cannot_be_read_is_no_success(
    tmp_path: Path, ticket: Ticket, answer: str
) -> None:
    plays_medsyn(ticket, lambda _: Printed(0, answer, ""))
    with pytest.raises(UnusableModel, match="report of the test cannot be read"):
        jobs.test_package(tmp_path, "Fake", ticket)


def test_a_test_that_cannot_be_run_is_refused_with_the_reason(
    tmp_path: Path, ticket: Ticket
) -> None:
    plays_medsyn(ticket, lambda _: Printed(2, "", "medsyn: monai is missing\n"))
    with pytest.raises(UnusableModel, match="monai is missing"):
        jobs.test_package(tmp_path, "Fake", ticket)


def test_a_cancelled_ticket_runs_no_program(tmp_path: Path) -> None:
    ticket = Ticket(Told())
    ticket.cancel()
    with pytest.raises(Cancelled):
        ticket.run(["--version"])
    shutil.rmtree(tmp_path, ignore_errors=True)
