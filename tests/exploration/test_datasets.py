"""Samples as a torch dataset: the same items in any order, epoch and process."""

from __future__ import annotations

import pickle  # noqa: TID251 - what a DataLoader does

import numpy as np
import pytest
import torch
from tests import _fakes
from tests._fakes import SHAPE as BRAIN
from tests._fakes import make_package, make_scan
from tests.exploration._painting import FAMILIES, make_painter, painted
from torch.utils.data import DataLoader, Dataset

from napari_medsyn.errors import UnusableModel
from napari_medsyn.exploration.datasets import SyntheticDataset, data_loader
from napari_medsyn.scans.study import Study


@pytest.fixture(autouse=True)
def _table(monkeypatch):
    monkeypatch.setattr("napari_medsyn.models.families.TABLE", FAMILIES)


@pytest.fixture
def painter(tmp_path):
    return make_painter(tmp_path / "painter", outputs=["MG", "label"])


def as_seen(image: np.ndarray) -> np.ndarray:
    """Rows and columns of a grid's array: both axes run against the picture's."""
    return image[::-1, ::-1, 0].T


def test_item_i_is_made_of_the_seed_plus_i(painter):
    items = SyntheticDataset(painter, 5, seed=20, controls={"brightness": 0.5}, device="cpu")
    assert isinstance(items, Dataset)
    assert len(items) == 5
    item = items[3]
    assert item["seed"] == 23
    assert item["controls"]["brightness"] == 0.5
    assert item["controls"]["seed"] == 23
    assert set(item["controls"]) == {"seed", "brightness", "latent", "mirror", "grade", "mood"}
    assert item["sample"].dtype == torch.float32
    assert item["sample"].shape == (2, 5, 6)
    np.testing.assert_array_equal(item["sample"][0], as_seen(painted(23, 0.5)))
    np.testing.assert_allclose(item["sample"][1], as_seen(painted(23, 0.5)) + 0.1, atol=1e-6)


def test_items_end(painter):
    items = SyntheticDataset(painter, 3, device="cpu")
    assert [item["seed"] for item in items] == [0, 1, 2]
    assert items[-1]["seed"] == 2
    with pytest.raises(IndexError):
        items[3]


def test_volumes_keep_their_axes(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_medsyn.scans.preparation.prepare", _fakes.prepare)
    package = make_package(tmp_path / "fake")
    study = Study((make_scan("T1"),))
    items = SyntheticDataset(package, 1, study=study, device="cpu")
    assert items[0]["sample"].shape == (2, *BRAIN)


def test_a_transform_is_given_each_tensor(painter):
    items = SyntheticDataset(painter, 1, device="cpu", transform=lambda tensor: tensor * 2)
    np.testing.assert_array_equal(items[0]["sample"][0], 2 * as_seen(painted(0)))


def test_a_copy_in_another_process_carries_no_weights_and_gives_the_same(painter):
    items = SyntheticDataset(painter, 3, device="cpu")
    before = items[2]["sample"]
    copy = pickle.loads(pickle.dumps(items))  # noqa: S301 - our own bytes
    assert copy._made is None
    assert items._made is not None
    assert torch.equal(copy[2]["sample"], before)


def test_a_model_loaded_before_a_fork_is_not_used_after_it(painter, monkeypatch):
    items = SyntheticDataset(painter, 1, device="cpu")
    before = items[0]["sample"]
    parents = items._made
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert torch.equal(items[0]["sample"], before)
    assert items._made is not parents


def test_batches_of_a_loader(painter):
    loader = data_loader(painter, 5, seed=7, device="cpu", batch_size=2)
    assert isinstance(loader, DataLoader)
    batches = list(loader)
    assert [len(batch["sample"]) for batch in batches] == [2, 2, 1]
    assert batches[0]["sample"].shape == (2, 2, 5, 6)
    assert torch.cat([batch["seed"] for batch in batches]).tolist() == [7, 8, 9, 10, 11]
    np.testing.assert_array_equal(batches[1]["sample"][0, 0], as_seen(painted(9)))


def test_workers_are_spawned_unless_it_is_said_otherwise(painter):
    loader = data_loader(painter, 4, num_workers=1)
    assert loader.multiprocessing_context.get_start_method() == "spawn"
    loader = data_loader(painter, 4, num_workers=1, multiprocessing_context="forkserver")
    assert loader.multiprocessing_context.get_start_method() == "forkserver"


def test_workers_give_the_same_items(painter):
    # Forked, since a spawned one would know nothing of the painter.
    loader = data_loader(
        painter, 4, device="cpu", num_workers=2, multiprocessing_context="fork", batch_size=None
    )
    for seed, item in enumerate(loader):
        assert item["seed"] == seed
        np.testing.assert_array_equal(item["sample"][0], as_seen(painted(seed)))


def test_what_cannot_be_made_is_refused_at_once(painter):
    with pytest.raises(UnusableModel, match="no control 'size'"):
        SyntheticDataset(painter, 1, controls={"size": 1})


def test_the_module_has_no_other_names():
    from napari_medsyn.exploration import datasets

    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        datasets.Nothing  # noqa: B018
