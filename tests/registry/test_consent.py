"""Consent: to one package as it is, remembered, withdrawn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.models.isolated._packages import GOOD, make_package
from tests.registry._cards import make_card

from napari_medsyn.errors import UnusableModel
from napari_medsyn.registry.card import read_card
from napari_medsyn.registry.consent import (
    code_facts,
    give_consent,
    has_consent,
    require_consent,
    withdraw_consent,
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("MEDSYN_HOME", str(folder))
    return folder


def test_there_is_none_before_it_is_given(tmp_path: Path) -> None:
    package, card = make_package(tmp_path / "p")

    assert not has_consent(package, card)
    with pytest.raises(UnusableModel) as refused:
        require_consent(package, card)
    facts = code_facts(package, card)
    assert str(package / "code") in str(refused.value)
    assert facts.sha256 in str(refused.value)
    assert "medsyn models trust made-code" in str(refused.value)


def test_it_is_remembered_and_withdrawn(tmp_path: Path, home: Path) -> None:
    package, card = make_package(tmp_path / "p")

    facts = give_consent(package, card)

    assert has_consent(package, card)
    assert [name for name, _ in facts.files] == ["code/model.py", "code/weights.txt"]
    remembered = json.loads((home / "consents.json").read_text())
    assert remembered[facts.sha256]["folder"] == str(package / "code")
    assert withdraw_consent(package, card)
    assert not has_consent(package, card)
    assert not withdraw_consent(package, card)


def test_the_same_package_elsewhere_is_the_same(tmp_path: Path) -> None:
    package, card = make_package(tmp_path / "p")
    copy, same = make_package(tmp_path / "q")
    give_consent(package, card)

    assert has_consent(copy, same)


@pytest.mark.parametrize(
    "changes", [{"version": "1.1"}, {"limitations": ["Knows something."]}, {"id": "another"}]
)
def test_another_card_is_another_package(tmp_path: Path, changes: dict[str, object]) -> None:
    give_consent(*make_package(tmp_path / "p"))

    assert not has_consent(*make_package(tmp_path / "q", **changes))


def test_one_byte_of_code_ends_it(tmp_path: Path) -> None:
    give_consent(*make_package(tmp_path / "p"))

    assert not has_consent(*make_package(tmp_path / "q", GOOD + "#"))


def test_a_card_in_hand_that_lists_other_files_is_not_the_one(tmp_path: Path) -> None:
    package, card = make_package(tmp_path / "p")
    _, other = make_package(tmp_path / "q", GOOD + "#")
    give_consent(package, card)

    assert not has_consent(package, card.model_copy(update={"files": other.files}))


def test_it_is_given_only_to_what_the_card_says(tmp_path: Path) -> None:
    package, card = make_package(tmp_path / "p")
    model = package / "code" / "model.py"
    model.write_bytes(model.read_bytes().replace(b"100", b"999"))

    with pytest.raises(UnusableModel, match="SHA-256"):
        give_consent(package, card)

    assert not has_consent(package, card)


def test_a_card_that_was_edited_is_not_the_one_consented_to(tmp_path: Path) -> None:
    package, card = make_package(tmp_path / "p")
    give_consent(package, card)
    path = package / "card.json"
    path.write_text(path.read_text().replace('"generate"', '"destroy"').replace("Tests.", "Texts."))

    assert not has_consent(package, read_card(package))


@pytest.mark.parametrize("content", ["", "[]", "{", '"x"', "[" * 100_000])
def test_a_file_that_cannot_be_read_is_no_consent(tmp_path: Path, home: Path, content: str) -> None:
    package, card = make_package(tmp_path / "p")
    home.mkdir()
    (home / "consents.json").write_text(content)

    assert not has_consent(package, card)
    give_consent(package, card)
    assert has_consent(package, card)


def test_a_package_without_code_has_nothing_to_trust(tmp_path: Path) -> None:
    with pytest.raises(UnusableModel, match="brings no code"):
        code_facts(tmp_path, make_card())
