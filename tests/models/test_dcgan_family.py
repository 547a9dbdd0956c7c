from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.models._dcgan import ARCHITECTURE, CONTROLS, make_dcgan, random_weights

from napari_medsyn.errors import UnusableModel
from napari_medsyn.models.dcgan import DCGANLayout, Generator
from napari_medsyn.models.dcgan_family import latent_of
from napari_medsyn.models.families import load_family
from napari_medsyn.scans.pictures import to_picture

LAYOUT = DCGANLayout.from_card(ARCHITECTURE, images=2)
DEFAULTS = {"seed": 3, "latent": (0.0,) * 5, "class": "benign", "truncation": 1.0}


def load(folder, **changes):
    card = make_dcgan(folder, **changes)
    return load_family(folder, card, "cpu")


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    return load(tmp_path_factory.mktemp("dcgan") / "package")


def picture(family, **changes):
    return family.draw([{**DEFAULTS, **changes}])[0]


def test_an_image_is_the_generator_s_from_0_to_1_and_upright(family):
    net = Generator(LAYOUT).eval()
    net.load_state_dict(random_weights(LAYOUT))
    z = torch.randn(5, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        expected = (net(z[None], torch.tensor([1]))[0] + 1) / 2
    images = picture(family, **{"class": "malignant"})
    assert list(images) == ["MG", "mask"]
    for channel, image in zip(expected, images.values(), strict=True):
        assert image.shape == (48, 32, 1)
        assert image.dtype == np.float32
        np.testing.assert_allclose(to_picture(image), channel, atol=1e-6)
        assert 0 <= image.min() < image.max() <= 1


def test_every_control_changes_the_image_and_a_seed_fixes_it(family):
    at_rest = picture(family)["MG"]
    assert np.array_equal(picture(family)["MG"], at_rest)
    moves = [{"latent": tuple(np.eye(5)[i])} for i in range(5)]
    for change in [*moves, {"seed": 4}, {"class": "malignant"}, {"truncation": 0.5}]:
        assert np.abs(picture(family, **change)["MG"] - at_rest).max() > 1e-3, change


def test_a_batch_gives_what_each_alone_gives(family):
    wished = [{**DEFAULTS, "seed": seed} for seed in range(19)]  # more than fit in one batch
    together = family.draw(wished)
    for values, images in zip(wished, together, strict=True):
        alone = family.draw([values])[0]
        for name in images:
            np.testing.assert_allclose(images[name], alone[name], atol=1e-6)


def test_the_latent_is_drawn_drawn_in_and_moved():
    drawn = torch.randn(5, generator=torch.Generator().manual_seed(3))
    offsets = torch.tensor([0.5, 0, 0, 0, -1])
    z = latent_of(LAYOUT, {"seed": 3, "latent": tuple(offsets.tolist()), "truncation": 0.25})
    torch.testing.assert_close(z, 0.25 * drawn + offsets)
    assert torch.equal(latent_of(LAYOUT, {"seed": 3}), drawn)


def test_a_uniform_latent_stays_between_minus_one_and_one():
    layout = DCGANLayout(latent=400, channels=(4, 4, 4), prior="uniform")
    drawn = latent_of(layout, {"seed": 1})
    assert -1 <= drawn.min() < -0.9
    assert 0.9 < drawn.max() <= 1
    moved = latent_of(layout, {"seed": 1, "latent": (0.25,) * 400})
    torch.testing.assert_close(moved, (drawn + 0.25).clamp(max=1))


def test_counters_may_be_missing_and_half_precision_will_do(tmp_path):
    state = random_weights(LAYOUT)
    halved = {n: t.half() for n, t in state.items() if not n.endswith("num_batches_tracked")}
    loaded = load(tmp_path / "half", weights=halved)
    full = load(tmp_path / "full", weights={n: t.float() for n, t in halved.items()})
    assert np.array_equal(picture(loaded)["MG"], picture(full)["MG"])
    assert next(loaded.net.parameters()).dtype == torch.float32


def altered(name, value):
    state = random_weights(LAYOUT)
    del state[name]
    return state if value is None else {**state, **value}


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        (altered("main.3.weight", None), r"main\.3\.weight is missing"),
        (
            altered("main.3.weight", {"main.3.weight": torch.ones(6, 5, 4, 4)}),
            r"main\.3\.weight has the shape \[6, 5, 4, 4\], not \[6, 4, 4, 4\]",
        ),
    ],
)
def test_weights_of_another_architecture_are_refused(tmp_path, weights, reason):
    with pytest.raises(UnusableModel, match=reason):
        load(tmp_path / "package", weights=weights)


def test_what_has_no_place_is_refused(tmp_path):
    state = {**random_weights(LAYOUT), "main.99.weight": torch.ones(2)}
    with pytest.raises(UnusableModel, match=r"there is no place for main\.99\.weight"):
        load(tmp_path / "package", weights=state)


def test_a_card_that_asks_for_gigabytes_gets_nothing(tmp_path, monkeypatch):
    """The sizes are compared with the file's header before one number is allocated."""
    monkeypatch.setattr("torch.nn.ConvTranspose2d.reset_parameters", lambda _: None)
    allocated = []
    empty = torch.empty

    def counting(*args, **kwargs):
        made = empty(*args, **kwargs)
        if made.device.type != "meta":
            allocated.append(made.numel())
        return made

    monkeypatch.setattr(torch, "empty", counting)
    huge = {**ARCHITECTURE, "channels": [2048, 2048, 64]}
    with pytest.raises(UnusableModel, match="has the shape"):
        load(tmp_path / "package", weights=random_weights(LAYOUT), architecture=huge)
    assert sum(allocated) < 10**6


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"grid": {"shape": [32, 48, 1], "space": "none", "dim": "2D"}}, r"must be \[48, 32, 1\]"),
        ({"inputs": ["T1"]}, "a DCGAN reads no scan"),
        ({"controls": CONTROLS[:2]}, "2 classes apart, but the control class offers 0"),
        ({"architecture": {**ARCHITECTURE, "latent": 4}}, "5 directions for a latent of 4"),
        (
            {
                "controls": [
                    *CONTROLS,
                    {"kind": "boolean", "name": "contrast", "label": "Contrast"},
                ]
            },
            "control contrast of kind boolean is not one of a DCGAN's",
        ),
        ({"architecture": {"channels": [4, 4, 4]}}, "'latent' is missing"),
    ],
)
def test_a_card_that_does_not_fit_the_generator_is_refused(tmp_path, changes, reason):
    with pytest.raises(UnusableModel, match=reason):
        load(tmp_path / "package", weights=random_weights(LAYOUT), **changes)
