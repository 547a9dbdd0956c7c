from __future__ import annotations

import shutil

import pytest
from tests._fakes import make_package
from tests.evaluation._judges import make_judge

from napari_medsyn.errors import UnusableModel
from napari_medsyn.registry.catalogue import Catalogue, user_folder


@pytest.fixture
def folder(tmp_path):
    make_package(tmp_path / "models" / "a", id="model-a")
    make_package(tmp_path / "models" / "b", id="model-b")
    return tmp_path / "models"


def test_every_package_is_listed_in_order(folder):
    entries = Catalogue([(folder, "user")]).entries()
    assert [(entry.id, entry.is_usable, entry.origin) for entry in entries] == [
        ("model-a", True, "user"),
        ("model-b", True, "user"),
    ]


def test_a_broken_package_is_listed_with_the_reason_and_cannot_be_got(folder):
    (folder / "a" / "card.json").write_text("{}")
    catalogue = Catalogue([(folder, "user")])
    broken, whole = catalogue.entries()
    assert (broken.id, broken.card, whole.is_usable) == ("a", None, True)
    assert "schema_version: Field required" in broken.reason
    with pytest.raises(UnusableModel, match="schema_version: Field required"):
        catalogue.get("a")


def test_a_folder_without_a_card_is_broken_and_other_things_are_left_out(folder):
    (folder / "empty").mkdir()
    (folder / ".hidden").mkdir()
    (folder / "README.txt").write_text("x")
    entries = Catalogue([(folder, "user")]).entries()
    assert [(entry.id, entry.is_usable) for entry in entries] == [
        ("model-a", True),
        ("model-b", True),
        ("empty", False),
    ]


def test_the_first_package_of_an_id_is_used_and_the_second_says_so(folder, tmp_path):
    shutil.copytree(folder / "a", tmp_path / "mine" / "a-again")
    catalogue = Catalogue([(folder, "embedded"), (tmp_path / "mine", "user")])
    again = catalogue.entries()[-1]
    assert (again.id, again.is_usable) == ("model-a", False)
    assert "has the same id 'model-a'" in again.reason
    assert catalogue.get("model-a").package == folder / "a"


def test_an_unknown_id_is_refused_with_the_known_ones(folder):
    with pytest.raises(UnusableModel, match="no model 'c'; known models: model-a, model-b"):
        Catalogue([(folder, "user")]).get("c")


def test_the_default_is_the_first_usable_model(folder):
    (folder / "a" / "card.json").unlink()
    assert Catalogue([(folder, "user")]).default().id == "model-b"


def test_generators_and_judges_are_told_apart(folder):
    make_judge(folder / "0-judge")
    (folder / "b" / "card.json").unlink()
    catalogue = Catalogue([(folder, "user")])
    assert [entry.id for entry in catalogue.judges()] == ["0-judge"]
    # Of a broken package nobody knows what it is; it is shown where a model is chosen.
    assert [entry.id for entry in catalogue.generators()] == ["model-a", "b"]
    assert catalogue.default().id == "model-a"
    assert catalogue.get("0-judge", "judge").as_dict()["kind"] == "judge"
    with pytest.raises(UnusableModel, match="0-judge is a judge, not a generator"):
        catalogue.get("0-judge", "generator")
    with pytest.raises(UnusableModel, match=r"no model 'c'; known models: 0-judge$"):
        catalogue.get("c", "judge")


def test_no_folder_is_no_error_but_there_is_no_default(tmp_path):
    catalogue = Catalogue([(tmp_path / "nowhere", "user")])
    assert catalogue.entries() == ()
    with pytest.raises(UnusableModel, match="no model is installed"):
        catalogue.default()


def test_packages_that_are_added_later_are_found(folder):
    catalogue = Catalogue([(folder, "user")])
    make_package(folder / "c", id="model-c")
    assert catalogue.get("model-c").is_usable


def test_medsyn_home_decides_where_the_users_packages_lie(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSYN_HOME", str(tmp_path))
    assert user_folder() == tmp_path / "models"
    monkeypatch.delenv("MEDSYN_HOME")
    assert user_folder().parts[-2:] == ("napari-medsyn", "models")
