"""An output of the original tells what shapes of weights do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.models.monai import _pipelines
from tests.models.monai._bundles import (
    network,
    plain,
    write_brain,
    write_gan,
    write_hands,
    write_slices,
)
from tests.registry.importers._monai_configs import GAN, SLICES

from napari_medsyn.errors import UnusableFile
from napari_medsyn.models.families import load_family
from napari_medsyn.models.monai import golden
from napari_medsyn.models.monai.importing import import_bundle
from napari_medsyn.registry.card import read_card


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(11))


def put(bundle: Path, **arrays: Any) -> Path:
    np.savez(bundle / "golden.npz", **{n: np.asarray(a, np.float32) for n, a in arrays.items()})
    return bundle


def told(notes: list[str]) -> str:
    return next(note for note in notes if "original" in note or "golden" in note)


def test_a_generator_is_compared(tmp_path: Path) -> None:
    z = torch.rand(3, 6)
    with torch.no_grad():
        image = network(plain(GAN, "network_def"), 3)(z).sigmoid()
    bundle = put(write_gan(tmp_path / "bundle"), z=z, image=image)
    notes = import_bundle(bundle, tmp_path / "package")
    assert "equals the original's golden output" in told(notes)


def test_the_brain_is_compared_with_other_covariates_and_steps(tmp_path: Path) -> None:
    noise, covariates = drawn(1, 3, 4, 8, 4), [1.0, 0.9, 0.1, 0.5]
    image = _pipelines.brain(noise, covariates, 4)
    bundle = put(
        write_brain(tmp_path / "bundle"), noise=noise, image=image, steps=4, covariates=covariates
    )
    assert "equals" in told(import_bundle(bundle, tmp_path / "package"))


@pytest.mark.parametrize("part", ["autoencoder_def", "network_def"])
def test_a_wrong_flag_is_caught_and_nothing_is_written(tmp_path: Path, part: str) -> None:
    noise = drawn(1, 1, 8, 4)
    image = _pipelines.slices(noise, 6, leading=True)
    right = put(write_slices(tmp_path / "right"), noise=noise, image=image)
    import_bundle(right, tmp_path / "package")
    wrong_part = {**SLICES[part], "include_fc": True}
    wrong = put(write_slices(tmp_path / "wrong", **{part: wrong_part}), noise=noise, image=image)
    with pytest.raises(UnusableFile, match=r"differs from it by up to .*include_fc"):
        import_bundle(wrong, tmp_path / "other")
    assert not (tmp_path / "other").exists()
    # Without it the wrong flag loads, and the note says that nothing was compared.
    (wrong / "golden.npz").unlink()
    assert "could not be compared" in told(import_bundle(wrong, tmp_path / "other"))


def test_noise_on_the_way_cannot_be_compared(tmp_path: Path) -> None:
    bundle = put(write_hands(tmp_path / "b"), noise=drawn(1, 1, 8, 8), image=drawn(1, 1, 8, 8))
    assert "adds noise at each step" in told(import_bundle(bundle, tmp_path / "package"))


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"z": np.zeros((1, 6))}, "image"),
        ({"z": np.zeros((1, 6)), "image": np.zeros((1, 1, 4, 4))}, "its image is"),
        ({"z": np.zeros((1, 5)), "image": np.zeros((1, 1, 8, 8))}, "cannot be compared"),
        ({"z": np.zeros((1, 6)), "image": np.full((1, 1, 8, 8), np.nan)}, "differs"),
    ],
)
def test_a_golden_file_that_does_not_fit_is_refused(
    tmp_path: Path, arrays: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UnusableFile, match=reason):
        import_bundle(put(write_gan(tmp_path / "bundle"), **arrays), tmp_path / "package")


def test_pickles_links_and_huge_files_are_refused(tmp_path: Path, monkeypatch: Any) -> None:
    bundle = write_gan(tmp_path / "bundle")
    path = bundle / "golden.npz"
    np.savez(path, z=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UnusableFile, match="not a file of numpy arrays"):
        import_bundle(bundle, tmp_path / "package")
    path.write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(UnusableFile, match="not a file of numpy arrays"):
        import_bundle(bundle, tmp_path / "package")
    np.savez_compressed(path, z=np.zeros(100_000), image=np.zeros(4))
    monkeypatch.setattr(golden, "_MAX_BYTES", 10_000)
    with pytest.raises(UnusableFile, match="unpacks to more"):
        import_bundle(bundle, tmp_path / "package")
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnusableFile, match="is a link"):
        import_bundle(bundle, tmp_path / "package")


@pytest.mark.parametrize("name", ["gan_package", "brain_package", "slices_package"])
def test_what_is_recorded_is_what_the_package_gives(
    name: str, request: pytest.FixtureRequest
) -> None:
    package: Path = request.getfixturevalue(name)
    card = read_card(package)
    assert card.golden is not None
    values: dict[str, Any] = {c.name: getattr(c, "default", None) for c in card.controls}
    values |= card.golden.controls
    family = load_family(package, card, "cpu")
    region = family.plan([], card.golden.slices, values)[-1]
    image = family.render(family.condition(None, values), values, region)
    recorded = np.load(package / card.golden.file)
    assert recorded.shape == (*card.grid.shape[:2], 1)
    np.testing.assert_allclose(image.mean[card.golden.output], recorded, atol=1e-6)
