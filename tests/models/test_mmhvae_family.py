from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from tests.models._nets import (
    COMPACT,
    DEPTH,
    PUBLISHED,
    controls,
    make_family,
    make_net,
    make_prepared,
    write_package,
)

from napari_medsyn.errors import UnusableModel, UnusableStudy
from napari_medsyn.models.families import load_family
from napari_medsyn.models.family import Region
from napari_medsyn.models.mmhvae import Topology
from napari_medsyn.models.mmhvae_family import PASSES_CPU
from napari_medsyn.registry.card import read_card

#: How far half precision of the encodings moves the result of these untrained networks.
HALVED = 6e-3

TWO = Region((5, 6))
LAYOUTS = [pytest.param(COMPACT, id="compact"), pytest.param(PUBLISHED, id="published")]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Layout to a loaded family; each test conditions it on its own study."""
    folder = tmp_path_factory.mktemp("packages")
    return {t.layout: make_family(folder / t.layout, t) for t in (COMPACT, PUBLISHED)}


@pytest.fixture
def family(made):
    """The compact one, with nothing encoded yet."""
    made["compact"]._encodings = None
    return made["compact"]


@pytest.fixture
def study():
    return make_prepared(COMPACT)


def render(family, study, values, region=TWO):
    return family.render(family.condition(study, values), values, region)


def fresh(family, study, values, region=TWO):
    """The same with nothing encoded yet."""
    family._encodings = None
    return render(family, study, values, region)


def assert_equal(one, other):
    for mine, theirs in ((one.mean, other.mean), (one.std, other.std)):
        assert list(mine) == list(theirs)
        for modality in mine:
            np.testing.assert_array_equal(mine[modality], theirs[modality])


def differ(one, other, modality="FLAIR"):
    return float(np.abs(one.mean[modality] - other.mean[modality]).max())


# ---- what comes out ------------------------------------------------------------------


@pytest.mark.parametrize("topology", LAYOUTS)
def test_images_and_spread_of_all_targets(made, topology):
    family, study = made[topology.layout], make_prepared(topology)
    first, *_, last = topology.modalities
    rendered = fresh(family, study, controls([first]), Region((7, 1, 19)))
    assert rendered.region == Region((7, 1, 19))
    outside = ~study.mask[:, :, [7, 1, 19]]
    for images in (rendered.mean, rendered.std):
        assert list(images) == list(topology.modalities)
        for image in images.values():
            assert image.dtype == np.float32
            assert image.shape == outside.shape
            assert np.isfinite(image).all()
            assert (image >= 0).all()
            assert (image[outside] == 0).all()
    assert rendered.mean[last].max() > 0.05
    assert rendered.std[last].max() > 1e-3
    assert not rendered.mean[last][:, :, 1].any()  # a slice without brain


def test_any_subset_in_all_out(family, study):
    for size in range(1, 5):
        for subset in combinations(COMPACT.modalities, size):
            rendered = render(family, study, controls(subset, samples=1))
            assert list(rendered.mean) == list(COMPACT.modalities)
            assert all(np.isfinite(image).all() for image in rendered.mean.values())


def test_a_region_without_brain_is_background(family, study):
    rendered = render(family, study, controls(["T1"]), Region((0, 1)))
    assert all(not rendered.mean[m].any() and not rendered.std[m].any() for m in rendered.mean)
    assert rendered.mean["T1"].shape == (24, 32, 2)


def test_only_the_targets_asked_for(family, study):
    everything = render(family, study, controls(["T1"]))
    some = render(family, study, controls(["T1"], ["FLAIR", "T2"]))
    assert sorted(some.mean) == sorted(some.std) == ["FLAIR", "T2"]
    np.testing.assert_array_equal(some.mean["T2"], everything.mean["T2"])


def test_the_published_network_gives_what_its_forward_pass_gives(made):
    study, net = make_prepared(PUBLISHED), make_net(PUBLISHED)
    got = fresh(made["published"], study, controls(["us", "flair"], temperature=0.0))
    images = {
        m: torch.from_numpy(2 * study.volumes[m][:, :, None, 5:7].transpose(3, 2, 0, 1) - 1)
        for m in ("us", "flair")
    }
    with torch.inference_mode():
        wanted = net(images)["t2"][:, 0].numpy().transpose(1, 2, 0)
    inside = study.mask[:, :, 5:7]
    np.testing.assert_allclose(got.mean["t2"][inside], ((wanted + 1) / 2)[inside], atol=HALVED)
    assert not got.std["t2"].any()  # no likelihood scale of its own, and one mean path


def test_the_spread_adds_the_likelihood_s_own(family, study):
    # Law of total variance: at temperature 0 what is left is 2 b^2 of a Laplace scale b.
    values = controls(["T1"], temperature=0.0)
    rendered = render(family, study, values)
    net, conditioning = family.net, family.condition(study, values)
    kept = [conditioning.skips["T1", k] for k in (5, 6)]
    skips = {"T1": [torch.stack(scale).float() for scale in zip(*kept, strict=True)]}
    with torch.inference_mode():
        log_scale = net.decode(skips).log_scale["T2"][:, 0].clamp(-6, 0).numpy()
    expected = np.sqrt(2) * np.exp(log_scale).transpose(1, 2, 0)
    inside = study.mask[:, :, 5:7]
    np.testing.assert_allclose(rendered.std["T2"][inside], expected[inside], atol=1e-3)


def test_mean_and_spread_over_samples(family, study):
    # K = 3 from seed 0 must be the statistics of three single draws of the same field.
    together = render(family, study, controls(["T1"], samples=3))
    assert differ(together, render(family, study, controls(["T1"], samples=1))) > 1e-4
    quiet = render(family, study, controls(["T1"], temperature=0.0))
    assert (together.std["FLAIR"] >= 0).all()
    inside = study.mask[:, :, 5:7]
    assert together.std["FLAIR"][inside].mean() > quiet.std["FLAIR"][inside].mean()


def test_the_card_s_calibration_scales_the_spread(tmp_path, study):
    plain = make_family(tmp_path / "plain", COMPACT)
    package = write_package(tmp_path / "scaled", COMPACT, make_net(COMPACT).state_dict())
    card = read_card(package).model_copy(update={"calibration": {"std_scale": 2.5}})
    scaled = type(plain)(card, make_net(COMPACT), torch.device("cpu"))
    values = controls(["T1"])
    one, other = render(plain, study, values), render(scaled, study, values)
    np.testing.assert_allclose(other.std["T2"], 2.5 * one.std["T2"], rtol=1e-5)
    np.testing.assert_array_equal(other.mean["T2"], one.mean["T2"])


# ---- randomness ----------------------------------------------------------------------


def test_the_same_seed_gives_the_same(family, study):
    values = controls(["T1", "T2"], seed=7)
    assert_equal(render(family, study, values), fresh(family, study, values))


def test_another_seed_gives_another(family, study):
    one, other = (render(family, study, controls(["T1"], seed=s)) for s in (1, 2))
    assert differ(one, other) > 1e-3


def test_at_temperature_0_seeds_and_samples_are_bit_identical(family, study):
    one = render(family, study, controls(["T1"], temperature=0.0, seed=1, samples=1))
    other = render(family, study, controls(["T1"], temperature=0.0, seed=2, samples=8))
    assert_equal(one, other)


def test_results_do_not_depend_on_torch_s_global_generator(family, study):
    torch.manual_seed(1)
    one = render(family, study, controls(["T1"]))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert_equal(one, fresh(family, study, controls(["T1"])))
    assert torch.equal(torch.get_rng_state(), state)


# ---- what is read --------------------------------------------------------------------


@pytest.mark.parametrize("topology", LAYOUTS)
def test_a_modality_switched_off_is_not_read(made, topology, rng):
    family, (read, off, *_) = made[topology.layout], topology.modalities
    study = make_prepared(topology)
    noisy = make_prepared(
        topology, **{off: rng.uniform(0, 1.5, study.mask.shape).astype(np.float32)}
    )
    gone = make_prepared(topology)
    del gone.volumes[off]
    values = controls([read])
    plain = fresh(family, study, values)
    assert_equal(plain, fresh(family, noisy, values))
    assert_equal(plain, fresh(family, gone, values))
    both = controls([read, off])
    assert (
        differ(fresh(family, study, both), fresh(family, noisy, both), topology.modalities[-1])
        > 1e-3
    )


def test_everything_switched_off_is_refused(family, study):
    with pytest.raises(UnusableStudy, match="switch one on"):
        render(family, study, controls([]))


def test_without_a_study_there_is_nothing_to_impute_from(family):
    with pytest.raises(UnusableStudy, match="load one first"):
        family.condition(None, controls(["T1"]))


# ---- caching and batching ------------------------------------------------------------


def test_cached_encodings_give_bit_identical_results(family, study):
    values = controls(["T1", "FLAIR"], temperature=0.3)
    expected = fresh(family, study, values)
    family._encodings = None
    render(family, study, controls(["T1"]))
    render(family, study, controls(["FLAIR", "T2"], temperature=0.9, seed=3))
    assert_equal(expected, render(family, study, values))
    assert_equal(expected, render(family, study, values))


def test_each_slice_is_encoded_once(family, study, monkeypatch):
    encoded = []
    encode = family.net.encode

    def counting(modality, x, where=None):
        encoded.append((modality, len(x)))
        return encode(modality, x, where)

    monkeypatch.setattr(family.net, "encode", counting)
    render(family, study, controls(["T1"]), Region((5, 6)))
    render(family, study, controls(["T1"], temperature=1.0, seed=4), Region((5, 6)))
    render(family, study, controls(["T1", "T2"]), Region((6, 7)))
    # In pairs that begin with an even slice: 5 brings 4 along, and 6 brings 7.
    assert encoded == [("T1", 2), ("T1", 2), ("T2", 2)]


def test_another_study_is_encoded_anew(family, study, rng):
    values = controls(["T1"])
    before = render(family, study, values)
    other = make_prepared(COMPACT, T1=rng.uniform(0, 1, study.mask.shape).astype(np.float32))
    assert differ(before, render(family, other, values)) > 1e-3
    assert family.condition(other, values) is family.condition(other, values)


@pytest.mark.parametrize("temperature", [0.0, 0.6])
@pytest.mark.parametrize("topology", LAYOUTS)
def test_a_slice_is_bit_identical_alone_and_beside_others(made, topology, temperature):
    family, study = made[topology.layout], make_prepared(topology)
    values = controls(topology.modalities[:2], temperature=temperature)
    slices = tuple(range(3, 11))
    together = fresh(family, study, values, Region(slices))
    family._encodings = None
    for k in (9, 4, 3, 10):
        alone = render(family, study, values, Region((k,)))
        for images, single in ((together.mean, alone.mean), (together.std, alone.std)):
            for modality in topology.modalities:
                np.testing.assert_array_equal(
                    images[modality][:, :, slices.index(k)], single[modality][:, :, 0]
                )


def test_the_order_of_regions_and_slices_is_irrelevant(family, study):
    values = controls(["T1", "T2"])
    forward = fresh(family, study, values, Region((3, 4, 5, 8)))
    family._encodings = None
    later, sooner = (render(family, study, values, r) for r in (Region((8, 5)), Region((4, 3))))
    backward = np.concatenate([sooner.mean["FLAIR"], later.mean["FLAIR"]], axis=2)
    np.testing.assert_array_equal(forward.mean["FLAIR"], backward[:, :, [1, 0, 3, 2]])


# ---- planning ------------------------------------------------------------------------


@pytest.mark.parametrize(("samples", "temperature"), [(1, 0.5), (3, 0.5), (32, 0.5), (8, 0.0)])
def test_a_plan_covers_each_slice_once_the_visible_first(family, samples, temperature):
    values = controls(["T1"], samples=samples, temperature=temperature)
    regions = family.plan([9, 10], range(DEPTH), values)
    slices = [k for region in regions for k in region.slices]
    assert slices[:2] == [9, 10]
    assert sorted(slices) == list(range(DEPTH))
    drawn = samples if temperature > 0 else 1
    assert all(len(r.slices) * drawn <= max(PASSES_CPU, drawn) for r in regions)
    # What is on screen waits for nothing else.
    assert not {9, 10} & {k for r in regions if not {9, 10} & set(r.slices) for k in r.slices}
    assert set(regions[0].slices) <= {9, 10}


# ---- loading -------------------------------------------------------------------------


def refusal(package):
    with pytest.raises(UnusableModel) as refused:
        load_family(package, read_card(package), "cpu")
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert str(package / "weights.safetensors") in sentence
    return sentence


def test_weights_of_another_architecture_are_refused(tmp_path):
    state = make_net(PUBLISHED).state_dict()
    sentence = refusal(write_package(tmp_path / "wrong", COMPACT, state))
    assert "do not fit the card's architecture" in sentence
    assert "key" in sentence  # which ones, not only torch's heading


def test_a_weight_of_another_shape_is_named(tmp_path):
    state = make_net(COMPACT).state_dict()
    state["merge.0.weight"] = state["merge.0.weight"][:, :2]
    assert "merge.0.weight" in refusal(write_package(tmp_path / "wrong", COMPACT, state))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"layout": "spiral"}, "'spiral'"),
        ({"depth": 3}, "depth"),
        ({"widths": (6, 16, 16)}, "divisible"),
        ({"modalities": ("T1", "T2", "FLAIR", "PD")}, "T1c"),
        ({"patch": 3}, "24 x 32"),
    ],
)
def test_an_impossible_architecture_is_refused(tmp_path, changes, why):
    package = write_package(tmp_path / "odd", COMPACT, make_net(COMPACT).state_dict())
    card = read_card(package)
    odd = card.model_copy(update={"architecture": {**card.architecture, **changes}})
    (package / "card.json").write_text(odd.model_dump_json())
    assert why in refusal(package)


def test_a_grid_that_the_published_network_cannot_take_is_refused(tmp_path):
    wider = Topology.published(base=4, pools=3, maximum=16, side=40, head_features=2)
    assert "32 x 32" in refusal(
        write_package(tmp_path / "wide", wider, make_net(wider).state_dict())
    )
