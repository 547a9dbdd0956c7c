"""Imported diffusion models give what the published pipelines give, step by step."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from nibabel.orientations import axcodes2ornt, ornt_transform
from tests.models._nets import wave
from tests.models.monai import _pipelines
from tests.models.monai._bundles import network, old_spelling, plain, write_slices
from tests.registry.importers._monai_configs import SLICES_METADATA

from napari_medsyn.errors import UnusableModel
from napari_medsyn.exploration.engines.in_process import InProcessEngine
from napari_medsyn.exploration.requests import Progress
from napari_medsyn.exploration.session import Session
from napari_medsyn.models.families import load_family
from napari_medsyn.models.monai.diffusion import DECODING, MonaiDiffusion
from napari_medsyn.models.monai.importing import import_bundle
from napari_medsyn.registry.card import read_card
from napari_medsyn.registry.catalogue import Catalogue

#: The brain's card at rest, but for the sex.
CONTROLS: dict[str, Any] = {
    "sex": 1,
    "age": 0.7,
    "ventricular_vol": 0.25,
    "brain_vol": 0.4,
    "steps": 6,
    "seed": 3,
}


def loaded(package: Path) -> MonaiDiffusion:
    family = load_family(package, read_card(package), "cpu")
    assert isinstance(family, MonaiDiffusion)
    return family


def rendered(family: MonaiDiffusion, controls: dict[str, Any]) -> np.ndarray[Any, Any]:
    """The whole volume, region by region as an engine does."""
    slices = list(range(family.card.grid.shape[2]))
    conditioning = family.condition(None, controls)
    regions = family.plan([], slices, controls)
    last = [family.render(conditioning, controls, region) for region in regions][-1]
    assert last.region.slices == tuple(slices)
    return last.mean[family.card.outputs[0]]


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def turned(volume: torch.Tensor, codes: str) -> np.ndarray[Any, Any]:
    """A network's volume, clipped to 0 to 1, turned to RAS by nibabel."""
    transform = ornt_transform(axcodes2ornt(tuple(codes)), axcodes2ornt(("R", "A", "S")))
    return nib.orientations.apply_orientation(volume.clamp(0, 1).numpy(), transform)


def test_the_brain_equals_the_published_pipeline(brain_package: Path) -> None:
    expected = _pipelines.brain(drawn(3, 1, 3, 4, 8, 4), [1.0, 0.7, 0.25, 0.4], 6)
    ours = rendered(loaded(brain_package), CONTROLS)
    assert ours.shape == (8, 16, 8)
    np.testing.assert_allclose(ours, turned(expected[0, 0], "LAS"), atol=1e-4, rtol=0)
    # The comparison means something: the image is neither all dark nor all bright.
    assert 0.1 < ours.mean() < 0.9


def test_it_equals_monai_generative_itself(brain_package: Path, slices_package: Path) -> None:
    # Every 97th and 13th voxel of what monai-generative 0.2.3 made of the same weights (its
    # own classes and DDIM scheduler, 6 steps), covariates 0, 0.1, 0.2, 0.4.
    of_brain = [-1.0882, 0.13073, -0.63904, -0.00095, -0.95072, -0.60106, -2.14533, 5.18994,
                1.61834, 1.5499, -2.66003]  # fmt: skip
    of_slices = [0.03375, -0.96311, 1.48641, -2.36286, 2.92113, -0.09987, -0.61591, 0.46618,
                 2.60074, -2.64218]  # fmt: skip
    brain = loaded(brain_package).output_of(1.4 * wave((1, 3, 4, 8, 4), 0.5))
    plane = loaded(slices_package).output_of(1.4 * wave((1, 1, 8, 4), 0.5))
    assert brain is not None
    assert plane is not None
    np.testing.assert_allclose(brain.flatten()[::97], of_brain, atol=1e-4, rtol=0)
    np.testing.assert_allclose(plane.flatten()[::13], of_slices, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("monai", "leading"), [("1.4.0", True), ("1.6.1", False)])
def test_slices_equal_monais_inferer_of_the_time(tmp_path: Path, monai: str, leading: bool) -> None:
    bundle = write_slices(tmp_path / "bundle", scale_factor=0.8)
    metadata = {**SLICES_METADATA, "monai_version": monai}
    (bundle / "configs" / "metadata.json").write_text(json.dumps(metadata))
    import_bundle(bundle, tmp_path / "package")
    ours = rendered(loaded(tmp_path / "package"), {"steps": 7, "seed": 9})
    expected = _pipelines.slices(drawn(9, 1, 1, 8, 4), 7, leading=leading, scale_factor=0.8)
    assert ours.shape == (16, 8, 1)
    np.testing.assert_allclose(ours[:, :, 0], expected[0, 0].clamp(0, 1), atol=1e-4, rtol=0)


def test_pixels_with_all_steps_are_those_of_ddpm(hands_package: Path) -> None:
    generator = torch.Generator().manual_seed(4)
    noise = torch.rand((1, 1, 8, 8), generator=generator)
    expected = _pipelines.hands(noise, generator.get_state())
    ours = rendered(loaded(hands_package), {"steps": 12, "seed": 4})
    # MONAI reads pictures with the columns first: both axes run against the grid's.
    flipped = expected[0, 0].clamp(0, 1).numpy()[::-1, ::-1]
    np.testing.assert_allclose(ours[:, :, 0], flipped, atol=1e-4, rtol=0)


def test_pixels_with_fewer_steps_are_those_of_ddim(hands_package: Path) -> None:
    expected = _pipelines.hands_without_noise(drawn(4, 1, 1, 8, 8), 6)
    ours = rendered(loaded(hands_package), {"steps": 6, "seed": 4})
    flipped = expected[0, 0].clamp(0, 1).numpy()[::-1, ::-1]
    np.testing.assert_allclose(ours[:, :, 0], flipped, atol=1e-4, rtol=0)


def test_each_step_is_a_region_that_says_which(brain_package: Path) -> None:
    family = loaded(brain_package)
    regions = family.plan([], [0, 1], CONTROLS)
    assert [region.phase for region in regions] == [
        *(f"Denoising {k} of 6" for k in range(1, 7)),
        DECODING,
        DECODING,
    ]
    assert [region.slices for region in regions] == [()] * 7 + [(0, 1)]


def test_what_was_computed_is_kept_until_the_controls_change(
    brain_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = loaded(brain_package)
    calls: list[str] = []
    unet, decode = family._unet.forward, family.decode
    monkeypatch.setattr(
        family._unet, "forward", lambda *a, **k: (calls.append("unet"), unet(*a, **k))[1]
    )
    monkeypatch.setattr(family, "decode", lambda x: (calls.append("decode"), decode(x))[1])
    first = rendered(family, CONTROLS)
    assert calls == ["unet"] * 6 + ["decode"]
    assert [region.slices for region in family.plan([], [0], CONTROLS)] == [(0,)]
    # What the session adds about modalities changes nothing either.
    again = rendered(family, {**CONTROLS, "targets": ("T1",)})
    assert calls == ["unet"] * 6 + ["decode"]
    np.testing.assert_array_equal(first, again)
    for change in ({"seed": 4}, {"age": 0.1}, {"sex": 0}, {"steps": 5}):
        other = rendered(family, {**CONTROLS, **change})
        assert not np.array_equal(first, other), change
    np.testing.assert_array_equal(rendered(family, CONTROLS), first)


def test_a_run_that_was_broken_off_goes_on_where_it_was(brain_package: Path) -> None:
    family = loaded(brain_package)
    whole = rendered(family, CONTROLS)
    family = loaded(brain_package)
    conditioning = family.condition(None, CONTROLS)
    for region in family.plan([], [0], CONTROLS)[:4]:
        family.render(conditioning, CONTROLS, region)
    assert family.plan([], [0], CONTROLS)[0].phase == "Denoising 5 of 6"
    np.testing.assert_array_equal(rendered(family, CONTROLS), whole)


def test_a_region_with_slices_does_what_is_missing(brain_package: Path) -> None:
    family = loaded(brain_package)
    region = family.plan([], [3, 1], CONTROLS)[-1]
    part = family.render(family.condition(None, CONTROLS), CONTROLS, region)
    whole = rendered(loaded(brain_package), CONTROLS)
    np.testing.assert_array_equal(part.mean["T1"], whole[:, :, [3, 1]])


def test_a_session_tells_the_steps_and_gives_the_volume(brain_package: Path) -> None:
    session = Session(InProcessEngine(), Catalogue([(brain_package.parent, "user")]))
    session.choose_model("bundle")
    for name, value in CONTROLS.items():
        session.set_control(name, value)
    told: list[Progress] = []
    session.progressed.connect(told.append)
    session.impute()
    assert session.failure is None
    assert session.results is not None
    steps = [event.phase for event in told if event.phase.startswith("Denoising")]
    assert steps == [f"Denoising {k} of 6" for k in range(1, 7)]
    volume = session.results.arrays["generated_T1"]
    np.testing.assert_allclose(volume, rendered(loaded(brain_package), CONTROLS), atol=1e-6)
    told.clear()
    session.impute()  # the same controls: nothing is denoised again
    assert not [event for event in told if event.phase.startswith("Denoising")]
    session.close()


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("noise", "shape"), [3, 4, 8, 8], "the network makes"),
        (("noise", "shape"), [5, 4, 8, 4], "the network reads 7 channels"),
        (("noise", "shape"), [3, 4], "does not fit the network"),
        (("noise", "shape"), [3, 4, 6, 4], "sides that are multiples of 4"),
        (("covariates",), ["sex", "evil"], "no control evil"),
        (("scheduler", "arguments", "evil"), 1, "evil is not an argument"),
        (("scheduler", "arguments", "num_train_timesteps"), 7, "steps may not exceed 7"),
        (("scheduler", "sampler"), "evil", "evil"),
        (("scheduler", "steps"), 0, "must be positive"),
        (("scale_factor",), 0.0, "must be positive"),
        (("orientation",), "XYZ", "three letters"),
        (("output_range",), [1, 0], "does not rise"),
        (("unet", "evil"), 1, "evil is not an argument"),
        (("unet", "channels"), [4, 8, 16], "has the shape"),
        (("unet", "in_channels"), "7", "the network reads"),
        (("unet", "out_channels"), 2, "gives 2 channels for noise of 3"),
        (("autoencoder", "latent_channels"), 2, "reads 2 channels, the noise has 3"),
        (("autoencoder", "out_channels"), 2, "gives 2 images, the card names 1"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(
    brain_package: Path, tmp_path: Path, path: tuple[str, ...], value: Any, reason: str
) -> None:
    package = tmp_path / "package"
    shutil.copytree(brain_package, package)
    card = json.loads((package / "card.json").read_text())
    part = card["architecture"]
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    (package / "card.json").write_text(json.dumps(card))
    with pytest.raises(UnusableModel, match=reason):
        loaded(package)


STEPS = {"kind": "integer", "name": "steps", "label": "S", "minimum": 0, "maximum": 5, "default": 5}
WORDS = {
    "kind": "categorical", "name": "sex", "label": "Sex", "default": "F",
    "categories": [{"value": "F", "label": "F"}, {"value": "M", "label": "M"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"inputs": ["T1"], "min_inputs": 1}, "reads no scan"),
        ({"steps": STEPS}, "steps must be an integer from 1"),
        ({"sex": WORDS}, "control sex gives no numbers"),
        (
            {"age": {"kind": "latent", "name": "age", "label": "A", "directions": ["a"]}},
            "control a",
        ),
    ],
)
def test_a_card_whose_controls_do_not_fit_is_refused(
    brain_package: Path, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    package = tmp_path / "package"
    shutil.copytree(brain_package, package)
    card = json.loads((package / "card.json").read_text())
    card["controls"] = [changes.pop(told["name"], told) for told in card["controls"]]
    (package / "card.json").write_text(json.dumps(card | changes))
    with pytest.raises(UnusableModel, match=reason):
        loaded(package)


def test_a_bundle_of_colour_images_is_refused_in_a_sentence(tmp_path: Path) -> None:
    write_slices(tmp_path / "bundle")
    path = tmp_path / "bundle" / "configs" / "inference.json"
    config = json.loads(path.read_text())
    config["autoencoder_def"]["out_channels"] = 3
    path.write_text(json.dumps(config))
    net = network(plain(config, "autoencoder_def"), 4)
    torch.save(old_spelling(net), tmp_path / "bundle" / "models" / "model_autoencoder.pt")  # noqa: TID251 - what published bundles hold
    with pytest.raises(UnusableModel, match="gives 3 images, the card names 1"):
        import_bundle(tmp_path / "bundle", tmp_path / "out")
    assert not (tmp_path / "out").exists()
