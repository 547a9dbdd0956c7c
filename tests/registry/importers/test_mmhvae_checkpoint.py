"""Published state dicts become packages that compute the same."""

from __future__ import annotations

import io
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.models._nets import PUBLISHED, controls, make_images, make_net, make_prepared
from tests.registry.importers._streams import (
    FORMATS,
    archive,
    attacks,
    nothing_runs,
    torch_zip,
)

from napari_medsyn.errors import MedsynError, UnusableFile, UnusableModel
from napari_medsyn.models.families import load_family
from napari_medsyn.models.mmhvae import MMHVAE, Topology
from napari_medsyn.models.mmhvae_family import MMHVAEFamily
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.importers.mmhvae_checkpoint import import_checkpoint
from napari_medsyn.registry.importers.mmhvae_checkpoint_layout import PublishedLayout, shapes
from napari_medsyn.registry.packages import sha256_of, verify

#: What the release calls our modalities.
OURS = {"us": "US", "t2": "T2", "cet1": "T1c", "flair": "FLAIR"}
SUBSETS = (("t2",), ("t2", "flair"), ("us", "t2", "cet1", "flair"))

State = OrderedDict[str, torch.Tensor]


def state(topology: Topology = PUBLISHED) -> State:
    return OrderedDict(make_net(topology).state_dict())


def old_spelling(tensors: State) -> State:
    """The same with weight normalisation as torch wrote it before `parametrizations`."""
    spellings = {"original0": "weight_g", "original1": "weight_v"}
    made: State = OrderedDict()
    for name, value in tensors.items():
        for new, old in spellings.items():
            name = name.replace(f"parametrizations.weight.{new}", old)
        made[name] = value
    return made


def numbered_heads(tensors: State) -> State:
    """The same with image heads in a list, as in the first release."""
    made: State = OrderedDict()
    for name, value in tensors.items():
        for i, modality in enumerate(PUBLISHED.modalities):
            name = name.replace(f"final_blocks.{modality}.", f"final_blocks.{i}.")
        made[name] = value
    return made


def imported(folder: Path, content: Any, **options: Any) -> tuple[ModelCard, list[str]]:
    """Write `content` as a checkpoint, import it, and verify what came out."""
    path = folder / "Some Net.pth"
    path.write_bytes(content if isinstance(content, bytes) else torch_zip(content))
    notes = import_checkpoint(path, folder / "package", **options)
    return verify(folder / "package"), notes


def loaded(folder: Path, card: ModelCard) -> MMHVAEFamily:
    family = load_family(folder / "package", card, "cpu")
    assert isinstance(family, MMHVAEFamily)
    return family


def assert_same_weights(folder: Path, expected: State) -> None:
    """The package's weights are those of `expected`, bit for bit, modalities renamed."""
    made = load_file(folder / "package" / "weights.safetensors")
    renamed = {}
    for name, value in expected.items():
        parts = [OURS.get(part, part) for part in name.split(".")]
        renamed[".".join(parts)] = value
    assert set(made) == set(renamed)
    for name, value in renamed.items():
        assert made[name].dtype == torch.float32
        assert torch.equal(made[name], value), name


SPELLINGS = {
    "as it is": (lambda s: s),
    "weight_g": old_spelling,
    "numbered heads": numbered_heads,
    "first release": (lambda s: numbered_heads(old_spelling(s))),
    "module.": (lambda s: OrderedDict((f"module.{n}", v) for n, v in s.items())),
    "state_dict": (lambda s: {"epoch": 3, "state_dict": s}),
    "model": (lambda s: {"model": {f"module.{n}": v for n, v in s.items()}, "args": {"lr": 0.1}}),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_gives_the_same_weights(spelling: str, tmp_path: Path) -> None:
    imported(tmp_path, SPELLINGS[spelling](state()))

    assert_same_weights(tmp_path, state())


@pytest.mark.parametrize("form", ["legacy", "plain"])
def test_every_format_gives_the_same_weights(form: str, tmp_path: Path) -> None:
    imported(tmp_path, FORMATS[form](state()))

    assert_same_weights(tmp_path, state())


def test_half_precision_becomes_single(tmp_path: Path) -> None:
    halved = OrderedDict((n, v.bfloat16()) for n, v in state().items())

    imported(tmp_path, halved)

    assert_same_weights(tmp_path, OrderedDict((n, v.float()) for n, v in halved.items()))


def test_the_loaded_family_computes_what_the_source_did(tmp_path: Path) -> None:
    """To 1e-4; the family's memory format makes it add up in another order."""
    card, _ = imported(tmp_path, SPELLINGS["first release"](state()))
    net, images = make_net(PUBLISHED), make_images(PUBLISHED)
    family = loaded(tmp_path, card)

    largest = 0.0
    with torch.inference_mode():
        for subset in SUBSETS:
            expected = net({m: images[m] for m in subset})
            made = family.net({OURS[m]: images[m] for m in subset})
            for modality, image in expected.items():
                largest = max(largest, float((made[OURS[modality]] - image).abs().max()))
    assert largest <= 1e-4


@pytest.mark.parametrize(
    "topology",
    [
        Topology.published(base=4, pools=2, maximum=8, side=20, head_features=2, head_blocks=0),
        # A head wider than the latent begins with a convolution of its own.
        Topology.published(base=4, pools=2, maximum=16, side=16, head_features=6, head_blocks=3),
        Topology.published(
            ("t1", "t2"), base=8, pools=1, maximum=32, side=6, head_features=4, head_blocks=1
        ),
    ],
)
def test_hyperparameters_follow_from_shapes(topology: Topology, tmp_path: Path) -> None:
    card, _ = imported(tmp_path, state(topology))

    made = loaded(tmp_path, card).topology
    names = {"t1": "T1", **OURS}
    assert made.modalities == tuple(names[m] for m in topology.modalities)
    for setting in ("layout", "widths", "side", "vector", "head_features", "head_blocks"):
        assert getattr(made, setting) == getattr(topology, setting), setting


def test_the_shapes_are_those_of_the_network() -> None:
    for topology in (PUBLISHED, Topology.published(base=4, pools=2, maximum=16, head_features=6)):
        layout = PublishedLayout(
            topology.modalities,
            topology.widths,
            topology.side,
            topology.vector,
            topology.head_features,
            topology.head_blocks,
        )
        expected = {n: tuple(v.shape) for n, v in MMHVAE(topology).state_dict().items()}
        assert shapes(layout) == expected


def test_the_full_release_has_its_536_tensors_and_13774770_parameters() -> None:
    """Both figures are from the authors' class with its default settings."""
    made = shapes(
        PublishedLayout(
            ("us", "t2", "cet1", "flair"), (16, 32, 64, 128, 128, 128, 128), 192, 256, 8, 6
        )
    )

    assert len(made) == 536
    assert sum(int(np.prod(shape)) for shape in made.values()) == 13_774_770


def test_the_package_runs_as_any_other(tmp_path: Path) -> None:
    family = loaded(tmp_path, imported(tmp_path, state())[0])
    study = make_prepared(family.topology)
    values = controls(("T2", "FLAIR"), ("US",))

    (region,) = family.plan((3,), (3,), values)
    made = family.render(family.condition(study, values), values, region)

    assert made.mean["US"].shape == (32, 32, 1)
    assert np.isfinite(made.mean["US"]).all()
    assert np.ptp(made.mean["US"]) > 0


def test_the_card_says_what_is_known_and_what_is_not(tmp_path: Path) -> None:
    card, notes = imported(tmp_path, {"state_dict": old_spelling(state())})

    assert (card.id, card.licence, card.task) == ("some-net", "NOASSERTION", "imputation")
    assert card.is_experimental
    assert card.inputs == card.outputs == ("US", "T2", "T1c", "FLAIR")
    assert card.grid.shape == (32, 32, 160)
    assert card.grid.spacing_mm == (0.5, 0.5, 1.0)
    provenance = card.provenance
    assert provenance["source_sha256"] == sha256_of(tmp_path / "Some Net.pth")
    assert provenance["inferred_from_shapes"] == {
        "modalities": ["us", "t2", "cet1", "flair"],
        "base": 4,
        "pools": 3,
        "side": 32,
    }
    for words in ("weight_g", "under state_dict", "'cet1' is called T1c", "pixel size", "licence"):
        assert any(words in note for note in notes), words


def test_what_is_told_is_not_asked_again(tmp_path: Path) -> None:
    card, notes = imported(tmp_path, state(), model_id="remind", licence="MIT", spacing_mm=0.8)

    assert (card.id, card.licence) == ("remind", "MIT")
    assert card.grid.spacing_mm == (0.8, 0.8, 1.0)
    assert not any("licence" in note or "pixel size" in note for note in notes)


def test_without_ultrasound_the_image_spans_a_head(tmp_path: Path) -> None:
    topology = Topology.published(("t1", "t2"), base=4, pools=2, maximum=8, side=32)

    card, _ = imported(tmp_path, state(topology))

    assert card.grid.spacing_mm == (6.0, 6.0, 1.0)
    # The middle of the image is the middle of the brain.
    centre = card.grid.grid().affine @ [15.5, 15.5, 79.5, 1]
    np.testing.assert_allclose(centre[:3], [-0.5, -19.5, 5.5])


# --- what is refused ------------------------------------------------------------------


def without(tensors: State, part: str) -> State:
    return OrderedDict((n, v) for n, v in tensors.items() if part not in n)


def with_(tensors: State, **entries: Any) -> State:
    return OrderedDict({**tensors, **{n.replace("__", "."): v for n, v in entries.items()}})


NAN = torch.full((4,), float("nan"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: without(s, "tu."), r"no tu\.\*"),
        (lambda s: without(s, ".se."), "squeeze-and-excite"),
        (lambda s: without(s, "td.t2.1.bias"), r"td\.t2\.1\.bias is missing"),
        (lambda s: without(s, "first_conv.us.weight"), "missing"),
        (lambda s: without(s, "final_blocks.us"), "missing"),
        (lambda s: without(s, "bottleneck_down.linear.bias"), "missing"),
        (lambda s: without(s, "conv_blocks_context.us.1."), "not numbered"),
        (lambda s: with_(s, discriminator__weight=torch.zeros(3)), "not part of"),
        (lambda s: with_(s, first_conv__us__weight=torch.zeros(4, 1, 5, 5)), r"shape \(4, 1, 5"),
        (lambda s: with_(s, first_conv__us__bias=NAN), "not finite"),
        (lambda s: with_(s, first_conv__us__bias=torch.ones(4).long()), "holds int64"),
        (lambda s: with_(s, first_conv__us__bias=3), "not a tensor"),
        (lambda s: with_(s, **{"pz.0.weight_g": torch.ones(16, 1, 1, 1)}), "in two spellings"),
        (lambda s: with_(s, bottleneck_up__linear__bias=torch.ones(250)), "no square"),
        (lambda s: with_(s, bottleneck_up__linear__bias=torch.ones(0)), "expected"),
        (lambda _: OrderedDict(a=torch.ones(3)), "not in the MMHVAE layout"),
        (lambda _: OrderedDict(a=1), "not a tensor"),
        (lambda _: OrderedDict(), "no state dict"),
        (lambda _: [1, 2], "no state dict"),
        (lambda _: torch.ones(3), "no state dict"),
    ],
)
def test_what_is_not_the_published_layout_is_refused(
    change: Any, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(UnusableFile, match=reason):
        imported(tmp_path, change(state()))

    assert not (tmp_path / "package").exists()


def test_tensors_that_are_all_one_are_refused(tmp_path: Path) -> None:
    """Every weight a view of one tensor: written out, a small file could fill a disk."""
    layout = PublishedLayout(("t1", "t2", "us", "pd"), (16, 32, 64, 64), 32, 128, 8, 1)
    sizes = {name: int(np.prod(shape)) for name, shape in shapes(layout).items()}
    one = torch.ones(max(sizes.values()))
    views = {name: one[: sizes[name]].view(shape) for name, shape in shapes(layout).items()}

    with pytest.raises(UnusableFile, match="repeat the same numbers"):
        imported(tmp_path, OrderedDict(views))


def test_a_name_as_long_as_a_book_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableFile, match="without a usable name"):
        imported(tmp_path, with_(state(), **{"x" * 1000: torch.ones(1)}))


@pytest.mark.parametrize("name", tuple(attacks(Path("marker"))))
def test_an_attack_is_refused_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    content = archive(attacks(marker)[name], {})
    with nothing_runs(marker), pytest.raises(UnusableFile, match="nothing was run"):
        imported(tmp_path, content)
    assert [path.name for path in tmp_path.iterdir()] == ["Some Net.pth"]


@pytest.mark.parametrize(
    "options", [{"model_id": "Not an id"}, {"licence": "no licence!"}, {"spacing_mm": -1.0}]
)
def test_impossible_options_are_refused(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UnusableModel):
        imported(tmp_path, state(), **options)
    assert not (tmp_path / "package").exists()


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "mine").write_text("mine")

    with pytest.raises(UnusableFile, match="not empty"):
        imported(tmp_path, state())


def test_any_damage_ends_in_a_sentence(tmp_path: Path) -> None:
    """Changed names and shapes pass the archive's own check: only ours is left."""
    random = np.random.default_rng(1)
    with zipfile.ZipFile(io.BytesIO(torch_zip(state()))) as made:
        pickle = made.read("archive/data.pkl")
        members = {n[13:]: made.read(n) for n in made.namelist() if n.startswith("archive/data/")}
    whole = np.frombuffer(pickle, np.uint8)
    for number in range(20):
        damaged = whole.copy()
        damaged[random.integers(0, len(whole), 3)] = random.integers(0, 256, 3)
        (tmp_path / "a.pth").write_bytes(archive(damaged.tobytes(), members))
        try:
            import_checkpoint(tmp_path / "a.pth", tmp_path / f"out{number}")
        except MedsynError:
            assert not (tmp_path / f"out{number}").exists()
