from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
from tests._fakes import FAMILIES, FakeFamily, make_package

from napari_medsyn.errors import UnusableDevice, UnusableModel
from napari_medsyn.models import families
from napari_medsyn.models.families import TABLE, load_family, resolve_device, usable_cpus
from napari_medsyn.registry.card import read_card


@pytest.fixture
def package(tmp_path):
    return make_package(tmp_path / "fake")


def test_a_family_is_loaded_with_card_and_device(package):
    family = load_family(package, read_card(package), "cpu", FAMILIES)
    assert isinstance(family, FakeFamily)
    assert (family.card.id, family.device) == ("fake-brain", "cpu")


def test_the_table_names_modules_of_ours_only():
    assert TABLE["mmhvae"] == "napari_medsyn.models.mmhvae_family:load"
    assert all(target.startswith("napari_medsyn.models.") for target in TABLE.values())


def test_a_card_cannot_name_code(tmp_path):
    package = make_package(tmp_path / "evil", family="os.system")
    with pytest.raises(UnusableModel, match=r"family 'os\.system' is not one of .*mmhvae"):
        load_family(package, read_card(package), "cpu")


def test_damaged_weights_are_refused_before_the_family_sees_them(package):
    card = read_card(package)
    weights = package / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\7")
    with pytest.raises(UnusableModel, match="SHA-256"):
        load_family(package, card, "cpu", {"fake": "no.such.module:load"})


def test_another_card_than_the_one_asked_for_is_refused(package):
    card = read_card(package)
    make_package(package, version="9.9")
    with pytest.raises(UnusableModel, match="the card has changed"):
        load_family(package, card, "cpu", FAMILIES)


def test_the_table_is_read_without_torch():
    code = (
        "import sys, napari_medsyn.models.families as f; f.resolve_device('cpu');"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("has_cuda", "asked", "given"),
    [
        (True, "auto", "cuda"),
        (False, "auto", "cpu"),
        (True, "cuda", "cuda"),
        (True, "cuda:0", "cuda:0"),
        (True, "cpu", "cpu"),
    ],
)
def test_auto_takes_the_gpu_where_there_is_one(monkeypatch, has_cuda, asked, given):
    fake = SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: has_cuda))
    monkeypatch.setitem(sys.modules, "torch", fake)
    assert resolve_device(asked) == given


@pytest.mark.parametrize("asked", ["cuda", "tpu"])
def test_a_device_that_is_not_there_is_refused(monkeypatch, asked):
    fake = SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False))
    monkeypatch.setitem(sys.modules, "torch", fake)
    with pytest.raises(UnusableDevice, match=f"no device '{asked}' on this computer; choose cpu"):
        resolve_device(asked)


def test_a_quota_limits_the_processors(monkeypatch, tmp_path):
    monkeypatch.setattr(families.os, "sched_getaffinity", lambda _: range(64), raising=False)
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(families, "Path", lambda _: quota)
    assert usable_cpus() == 64
    for text, cpus in (("max 100000", 64), ("250000 100000", 2), ("50000 100000", 1)):
        quota.write_text(text)
        assert usable_cpus() == cpus


def test_torch_gets_no_more_threads_than_processors_but_keeps_fewer(monkeypatch):
    monkeypatch.setattr(families, "usable_cpus", lambda: 4)
    threads = [64]
    fake = SimpleNamespace(
        get_num_threads=lambda: threads[-1], set_num_threads=lambda n: threads.append(n)
    )
    monkeypatch.setitem(sys.modules, "torch", fake)
    families._limit_threads()
    families._limit_threads()
    assert threads == [64, 4]
