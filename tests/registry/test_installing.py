from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path

import pytest
from tests._fakes import card_values, make_package
from tests.registry._cards import Site, listing, serving

from napari_medsyn.errors import MedsynError, UnusableFile, UnusableModel
from napari_medsyn.registry import installing
from napari_medsyn.registry.archives import pack
from napari_medsyn.registry.catalogue import Catalogue
from napari_medsyn.registry.installing import install, remove


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    """The user's folder, empty, and one embedded model."""
    monkeypatch.setenv("MEDSYN_HOME", str(tmp_path / "home"))
    make_package(tmp_path / "embedded" / "ours", id="ours")
    monkeypatch.setattr(
        "napari_medsyn.registry.catalogue.embedded_folder", lambda: tmp_path / "embedded"
    )
    return tmp_path / "home" / "models"


@pytest.fixture
def package(tmp_path):
    return make_package(tmp_path / "from" / "package")


def refusal(tmp_path: Path, source: Path, **more: bool) -> str:
    """Why an installation is refused; nothing may have changed anywhere."""
    before = listing(tmp_path)
    before.setdefault("home", None)
    before.setdefault("home/models", None)
    with pytest.raises(MedsynError) as caught:
        install(source, **more)
    assert listing(tmp_path) == before
    return str(caught.value)


def edit(package: Path, **changes: object) -> None:
    path = package / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# ---- installing ------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_a_package_is_installed_under_its_id(package, models, tmp_path, form):
    source = package
    (package / "stray.txt").write_text("not on the card")
    if form == "zip":
        source = tmp_path / "from" / "a.zip"
        pack(package, source)
    entry = install(source)
    assert (entry.id, entry.package, entry.origin) == ("fake-brain", models / "fake-brain", "user")
    assert {path.name for path in entry.package.iterdir()} == {"card.json", "weights.safetensors"}
    assert Catalogue().get("fake-brain").package == entry.package
    assert [path.name for path in models.iterdir()] == ["fake-brain"]
    assert package.is_dir()


def test_what_is_installed_already_is_left_alone(package, models):
    first = install(package)
    before = (models / "fake-brain" / "card.json").stat()
    assert install(package).package == first.package
    assert (models / "fake-brain" / "card.json").stat() == before


@pytest.mark.parametrize("change", [b"\7", b"longer"])
def test_weights_that_were_changed_are_told_of_the_folder_given(package, tmp_path, change):
    weights = package / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + change)
    message = refusal(tmp_path, package)
    assert message.startswith(f"{weights}: ")
    assert message.endswith(f"run `medsyn models seal {package}`")
    assert ".medsyn-" not in message


def test_weights_that_were_changed_are_told_of_the_zip_given(package, tmp_path):
    source = tmp_path / "from" / "a.zip"
    weights = package / "weights.safetensors"
    with zipfile.ZipFile(source, "w") as archive:
        archive.write(package / "card.json", "card.json")
        archive.writestr("weights.safetensors", weights.read_bytes()[:-1] + b"\7")
    message = refusal(tmp_path, source)
    assert message.startswith(f"{source}: weights.safetensors: its SHA-256 is not")
    assert message.endswith("run `medsyn models seal` on its folder, then `medsyn models pack`")
    assert ".medsyn-" not in message


def test_what_to_type_for_a_folder_with_a_blank_is_quoted(package, tmp_path):
    mine = package.rename(package.with_name("my package"))
    (mine / "weights.safetensors").write_bytes(b"other")
    assert refusal(tmp_path, mine).endswith(f"run `medsyn models seal '{mine}'`")


def test_a_card_alone_is_called_by_its_own_name(tmp_path):
    (tmp_path / "mine.json").write_text("{}")
    assert refusal(tmp_path, tmp_path / "mine.json").startswith(f"{tmp_path}/mine.json: schema_")


@pytest.mark.parametrize("name", ["net.zip", "net.pth"])
def test_a_checkpoint_is_to_be_imported(tmp_path, name):
    source = tmp_path / name
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("net/data.pkl", b"")
        archive.writestr("net/data/0", b"0")
    message = refusal(tmp_path, source)
    assert "is a checkpoint, not a package" in message
    assert "medsyn models import" in message


def test_another_version_needs_replace(package, models, tmp_path):
    install(package)
    edit(package, version="1.3.0", limitations=["Knows more."])
    message = refusal(tmp_path, package)
    assert "fake-brain: version 1.2.0 of fake-brain is installed in" in message
    assert "--replace it" in message
    install(package, replace=True)
    card = Catalogue().get("fake-brain").card
    assert card is not None
    assert (card.version, card.limitations) == ("1.3.0", ("Knows more.",))
    assert [path.name for path in models.iterdir()] == ["fake-brain"]


def test_the_same_version_with_other_content_needs_replace(package, tmp_path):
    install(package)
    edit(package, limitations=["Says something else."])
    assert "version 1.2.0 of fake-brain, with other files," in refusal(tmp_path, package)


def test_a_damaged_installation_may_be_replaced_by_the_same(package, models, tmp_path):
    install(package)
    weights = models / "fake-brain" / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + b"\7")
    assert "--replace it" in refusal(tmp_path, package)
    weights.unlink()
    assert "a broken package is in the way; --replace it" in refusal(tmp_path, package)
    install(package, replace=True)
    assert weights.read_bytes() == whole


def test_a_package_in_another_folder_is_replaced_there(package, models):
    make_package(models / "by-hand", version="1.0.0")
    entry = install(package, replace=True)
    assert entry.package == models / "fake-brain"
    assert [path.name for path in models.iterdir()] == ["fake-brain"]


def test_embedded_models_are_not_replaced(package, tmp_path):
    edit(package, id="ours")
    for replace in (False, True):
        message = refusal(tmp_path, package, replace=replace)
        assert "a model of this id ships with napari-medsyn and cannot be replaced" in message


def test_when_the_last_step_fails_the_old_package_is_back(package, models, tmp_path, monkeypatch):
    install(package)
    edit(package, version="1.3.0")
    rename = os.rename

    def failing(source: Path, target: Path) -> None:
        if Path(source).name == "package":
            raise PermissionError(13, "Permission denied")
        rename(source, target)

    monkeypatch.setattr(installing.os, "rename", failing)
    assert "cannot be written to (Permission denied)" in refusal(tmp_path, package, replace=True)


def test_packages_that_bring_code_are_installed_and_not_run(tmp_path, models):
    name = "code/__init__.py"
    code = f"open({str(tmp_path / 'ran')!r}, 'w')".encode()
    file = {"name": name, "bytes": len(code), "sha256": hashlib.sha256(code).hexdigest()}
    source = tmp_path / "from"
    (source / "code").mkdir(parents=True)
    (source / name).write_bytes(code)
    values = card_values(files=[file], execution="isolated", architecture={"weights": name})
    (source / "card.json").write_text(json.dumps(values))
    assert install(source).can_run
    assert (models / "fake-brain" / name).read_bytes() == code
    assert not (tmp_path / "ran").exists()


# ---- fetching --------------------------------------------------------------------------


def test_a_card_alone_fetches_its_files(package, models, tmp_path, monkeypatch):
    content = (package / "weights.safetensors").read_bytes()
    path = f"/{hashlib.sha256(content).hexdigest()}"
    told = []
    with serving(Site({path: content})) as site:
        monkeypatch.setenv("MEDSYN_MIRROR", site.url)
        entry = install(package / "card.json", progress=lambda *args: told.append(args))
    assert (entry.package / "weights.safetensors").read_bytes() == content
    assert told[-1] == ("weights.safetensors", len(content), len(content))


def test_an_archive_of_a_card_alone_fetches_its_files(package, tmp_path, monkeypatch):
    content = (package / "weights.safetensors").read_bytes()
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / hashlib.sha256(content).hexdigest()).write_bytes(content)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(package / "card.json", "card.json")
    monkeypatch.setenv("MEDSYN_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("MEDSYN_OFFLINE", "1")
    assert install(tmp_path / "a.zip").is_usable


def test_what_cannot_be_fetched_is_not_installed(package, tmp_path):
    message = refusal(tmp_path, package / "card.json")
    assert "weights.safetensors is missing, and its card does not say where" in message


# ---- refusing --------------------------------------------------------------------------


def test_a_wrong_hash_is_refused(package, tmp_path):
    weights = package / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\7")
    assert "its SHA-256 is not the one on the card" in refusal(tmp_path, package)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_links_are_not_followed(tmp_path, package, what):
    """A link to a file whose content would even be right."""
    if what == "file":
        weights = package / "weights.safetensors"
        weights.rename(tmp_path / "elsewhere")
        weights.symlink_to(tmp_path / "elsewhere")
    else:
        (package / "card.json").rename(tmp_path / "card.json")
        (package / "card.json").symlink_to(tmp_path / "card.json")
    assert "is a link or not an ordinary file" in refusal(tmp_path, package)


@pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil.txt", "code/../../evil.txt"])
def test_a_card_whose_files_lead_elsewhere_is_refused(package, tmp_path, name):
    file = {"name": name, "bytes": 1, "sha256": "0" * 64}
    edit(package, files=[file])
    assert "files[0].name: " in refusal(tmp_path, package)


def test_an_id_that_leads_elsewhere_is_refused(package, tmp_path):
    edit(package, id="../../evil")
    assert "id: String should match pattern" in refusal(tmp_path, package)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("nothing.zip", None, "does not exist"),
        ("model.pth", b"\x80\x04pickle", "not a package"),
        ("empty.zip", b"", "is not a package"),
        ("card.json", b"{}", "Field required"),
        ("large.json", b" " * (4 * 2**20 + 1), "so not a card"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, reason):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert reason in refusal(tmp_path, tmp_path / name)


def test_a_folder_without_a_card_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "is not a package: it holds no card.json" in refusal(tmp_path, tmp_path / "empty")


# ---- removing --------------------------------------------------------------------------


def test_a_package_is_removed_whole(package, models):
    install(package)
    assert remove("fake-brain") == models / "fake-brain"
    assert list(models.iterdir()) == []


def test_embedded_models_are_not_removed(tmp_path):
    before = listing(tmp_path)
    with pytest.raises(UnusableModel, match="ours: ships with napari-medsyn and cannot be removed"):
        remove("ours")
    assert listing(tmp_path) == before


def test_a_users_copy_of_an_embedded_model_can_be_removed(tmp_path, models):
    make_package(models / "copy", id="ours")
    # It is listed as broken, under its id, since the embedded one is used.
    assert remove("ours") == models / "copy"
    assert Catalogue().get("ours").is_embedded


def test_a_broken_package_is_removed_by_its_folders_name(models):
    (models / "torn").mkdir(parents=True)
    assert remove("torn") == models / "torn"
    assert list(models.iterdir()) == []


def test_what_a_link_leads_to_is_not_removed(package, models):
    models.mkdir(parents=True)
    (models / "dev").symlink_to(package)
    remove("fake-brain")
    assert list(models.iterdir()) == []
    assert (package / "card.json").is_file()


def test_an_unknown_id_is_refused_with_the_known_ones():
    with pytest.raises(UnusableModel, match="no model 'x'; known models: ours"):
        remove("x")
    with pytest.raises(UnusableModel, match=r"no model '\.\./\.\./x'"):
        remove("../../x")


def test_a_package_that_cannot_be_moved_is_said(package, models, monkeypatch):
    install(package)

    def failing(*_args: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(installing.os, "rename", failing)
    with pytest.raises(UnusableFile, match=r"cannot be removed \(Permission denied\)"):
        remove("fake-brain")
    assert Catalogue().get("fake-brain").is_usable
