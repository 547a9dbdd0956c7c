from __future__ import annotations

import pytest

from napari_medsyn.errors import UnusableFile
from napari_medsyn.registry.settings import (
    Settings,
    load_settings,
    save_settings,
    settings_file,
    stored_settings,
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSYN_HOME", str(tmp_path))
    monkeypatch.delenv("MEDSYN_MIRROR", raising=False)
    monkeypatch.delenv("MEDSYN_OFFLINE", raising=False)
    return tmp_path


def test_without_settings_there_is_no_mirror_and_downloads_are_on(home):
    assert load_settings() == Settings(mirror=None, offline=False)
    assert list(home.iterdir()) == []


def test_settings_are_kept_and_change_one_by_one(home):
    save_settings(mirror="https://mirror.example/medsyn/")
    save_settings(offline=True)
    assert load_settings() == Settings(mirror="https://mirror.example/medsyn", offline=True)
    save_settings(mirror="")
    assert load_settings() == Settings(mirror=None, offline=True)
    assert [path.name for path in home.iterdir()] == ["settings.json"]


def test_the_environment_goes_before_but_is_not_kept(home, monkeypatch):
    save_settings(mirror="/mirror", offline=True)
    monkeypatch.setenv("MEDSYN_MIRROR", "http://pacs.local:8080/models")
    monkeypatch.setenv("MEDSYN_OFFLINE", "0")
    assert load_settings() == Settings(mirror="http://pacs.local:8080/models", offline=False)
    assert stored_settings() == Settings(mirror="/mirror", offline=True)
    monkeypatch.setenv("MEDSYN_MIRROR", "")
    monkeypatch.setenv("MEDSYN_OFFLINE", "TRUE")
    assert load_settings() == Settings(mirror=None, offline=True)


@pytest.mark.parametrize(
    ("mirror", "reason"),
    [
        ("ftp://a.example/x", "neither a folder nor an http or https address"),
        ("file:///x", "neither a folder nor an http or https address"),
        ("http://", "neither a folder nor an http or https address"),
        ("some/folder", "is not a full path"),
    ],
)
def test_other_mirrors_are_refused(home, mirror, reason, monkeypatch):
    with pytest.raises(UnusableFile, match=reason):
        save_settings(mirror=mirror)
    assert list(home.iterdir()) == []
    monkeypatch.setenv("MEDSYN_MIRROR", mirror)
    with pytest.raises(UnusableFile, match=f"MEDSYN_MIRROR: .*{reason}"):
        load_settings()


def test_a_variable_that_is_neither_yes_nor_no_is_refused(monkeypatch):
    # Who meant "offline" must not go online because of a slip.
    monkeypatch.setenv("MEDSYN_OFFLINE", "yess")
    with pytest.raises(UnusableFile, match="MEDSYN_OFFLINE: is 'yess' instead of 1 or 0"):
        load_settings()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 10_000, "is not JSON"),
        (b"[]", "delete it to begin anew"),
        (b'{"surprise": 1}', "Extra inputs are not permitted"),
        (b" " * 70_000, "is too large"),
    ],
)
def test_a_damaged_file_is_refused_with_its_path(content, reason):
    settings_file().write_bytes(content)
    with pytest.raises(UnusableFile, match=reason) as caught:
        load_settings()
    assert caught.value.path == settings_file()
