"""StyleGAN snapshots become weights and cards; their code does not run."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tests.registry.importers._snapshots import (
    SOURCE,
    Module,
    network,
    pickled,
    small_state,
    snapshot,
)
from tests.registry.importers._streams import (
    FORMATS,
    attacks,
    named,
    nothing_runs,
    plain_pickle,
    stream,
    text,
    torch_zip,
)

from napari_medsyn.errors import MedsynError, UnusableFile, UnusableModel
from napari_medsyn.models.families import load_family
from napari_medsyn.models.latents import latent
from napari_medsyn.models.stylegan2.family import StyleGAN2Family
from napari_medsyn.models.stylegan2.network import Generator, Layout
from napari_medsyn.registry.card import ModelCard
from napari_medsyn.registry.importers.stylegan_snapshot import import_snapshot
from napari_medsyn.registry.packages import check_safetensors, sha256_of, verify
from napari_medsyn.scans.pictures import to_picture

AGE = {
    "name": "age",
    "label": "Age",
    "kind": "continuous",
    "unit": "years",
    "minimum": 40,
    "maximum": 80,
    "default": 60,
    "support": [45, 75],
    "normalise": {"subtract": 40, "divide_by": 40},
}
SEX = {
    "name": "sex",
    "label": "Sex",
    "kind": "categorical",
    "categories": [{"value": "F", "label": "Female"}, {"value": "M", "label": "Male"}],
    "default": "F",
}
SPEC: dict[str, Any] = {"labels": [AGE, SEX], "modality": "T1"}


def write_spec(folder: Path, spec: Any = SPEC) -> Path:
    path = folder / "spec.json"
    path.write_text(spec if isinstance(spec, str) else json.dumps(spec))
    return path


def imported(
    folder: Path, content: bytes | dict[str, Any], spec: Any = SPEC, **options: Any
) -> tuple[ModelCard, list[str]]:
    path = folder / "network-snapshot-000100.pkl"
    path.write_bytes(content if isinstance(content, bytes) else pickled(content, plain_pickle))
    notes = import_snapshot(path, write_spec(folder, spec), folder / "package", **options)
    return verify(folder / "package"), notes


@pytest.mark.parametrize("form", FORMATS)
def test_the_tensors_of_the_averaged_generator_come_out(form: str, tmp_path: Path) -> None:
    content = pickled(snapshot(), FORMATS[form])
    with nothing_runs(tmp_path / "ran"):
        imported(tmp_path, content)

    made = load_file(tmp_path / "package" / "weights.safetensors")
    assert list(made) == sorted(made)
    assert set(made) == set(small_state())
    for name, value in small_state().items():
        np.testing.assert_array_equal(made[name], value.numpy(), err_msg=name)
    assert check_safetensors(tmp_path / "package" / "weights.safetensors") == len(small_state())


def test_a_snapshot_would_run_its_code(tmp_path: Path) -> None:
    """With the release's loader: a stand-in that runs the source, as theirs does."""
    (tmp_path / "torch_utils").mkdir()
    (tmp_path / "torch_utils" / "__init__.py").write_text("")
    (tmp_path / "torch_utils" / "persistence.py").write_text(
        "def _reconstruct_persistent_obj(meta): exec(meta['module_src'])"
    )
    meta = text("module_src") + text(SOURCE)
    body = named("torch_utils.persistence", "_reconstruct_persistent_obj") + b"}" + meta + b"s\x85R"
    code = "import pickle, sys; pickle.load(sys.stdin.buffer)"

    subprocess.run(
        [sys.executable, "-c", code], input=stream(body), cwd=tmp_path, check=True, timeout=60
    )

    assert (tmp_path / "ran").exists()


def test_the_card_lists_what_the_generator_needs(tmp_path: Path) -> None:
    card, notes = imported(tmp_path, snapshot(), licence="MIT", model_id="brains")

    assert (card.id, card.family, card.execution, card.licence) == (
        "brains", "stylegan2", "native", "MIT",
    )  # fmt: skip
    assert (card.inputs, card.outputs, card.purpose) == ((), ("T1",), "conditional")
    assert card.grid.shape == (8, 8, 1)
    assert [file.name for file in card.files] == ["weights.safetensors"]
    architecture = card.architecture
    assert architecture["z_dim"] == 8
    assert architecture["mapping_kwargs"] == {"num_layers": 1}
    assert architecture["labels"] == [
        {
            "name": "age",
            "kind": "number",
            "numbers": 1,
            "normalise": {"log": False, "add": 0.0, "subtract": 40.0, "divide_by": 40.0},
        },
        {"name": "sex", "kind": "one-hot", "numbers": 2, "values": ["F", "M"]},
    ]
    snapshot_hash = sha256_of(tmp_path / "network-snapshot-000100.pkl")
    assert card.provenance["source_sha256"] == snapshot_hash
    assert len(card.provenance["code_left_out_sha256"]) == 1
    assert any(f"{len(SOURCE)} characters" in note for note in notes)
    assert not any("licence" in note for note in notes)
    assert "os.system" not in (tmp_path / "package" / "card.json").read_text()


def test_labels_become_controls(tmp_path: Path) -> None:
    card, _ = imported(tmp_path, snapshot())

    age, sex, truncation, seed = card.controls
    assert (age.kind, age.label, age.unit, age.default, age.step) == (
        "continuous", "Age", "years", 60, 0.4,
    )  # fmt: skip
    assert age.warning(44)
    assert sex.check("M") == "M"
    assert (truncation.name, seed.name) == ("truncation", "seed")


def test_labels_of_every_kind(tmp_path: Path) -> None:
    spec = {
        "labels": [
            {"name": "ill", "label": "Ill", "kind": "boolean"},
            {
                "name": "n",
                "label": "N",
                "kind": "integer",
                "minimum": 0,
                "maximum": 4,
                "default": 2,
            },
            {**AGE, "normalise": {"log": True, "add": 100, "subtract": 5, "divide_by": 2}},
        ]
    }

    card, _ = imported(tmp_path, snapshot(), spec)

    assert [control.kind for control in card.controls[:3]] == ["boolean", "integer", "continuous"]
    assert card.architecture["labels"][2]["normalise"]["log"] is True


def test_a_generator_without_labels(tmp_path: Path) -> None:
    state = {n: v for n, v in small_state().items() if "embed" not in n}

    card, _ = imported(tmp_path, snapshot(state, c_dim=0), {"labels": []})

    assert card.purpose == "unconditional"


def test_torchs_own_modules_are_read_too(tmp_path: Path) -> None:
    content = snapshot()
    content["G_ema"].state["_modules"]["extra"] = torch.nn.Linear(2, 3)

    imported(tmp_path, content)

    made = load_file(tmp_path / "package" / "weights.safetensors")
    assert made["extra.weight"].shape == (3, 2)


def test_buffers_that_are_not_saved_stay_out(tmp_path: Path) -> None:
    content = snapshot()
    root = content["G_ema"].state
    root["_buffers"].update(kept=torch.ones(2), passing=torch.ones(2), nothing=None)
    root["_non_persistent_buffers_set"] = {"passing"}

    imported(tmp_path, content)

    made = load_file(tmp_path / "package" / "weights.safetensors")
    assert "kept" in made
    assert not {"passing", "nothing"} & set(made)


def test_the_imported_generator_draws_what_the_source_did(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Generator(Layout(z=8, c=3, w=6, channels=1, layers=2, features=(5, 4), clamp=0.5))
    card, _ = imported(tmp_path, snapshot(net.state_dict(), synthesis_kwargs={"conv_clamp": 0.5}))

    family = load_family(tmp_path / "package", card, "cpu")
    assert isinstance(family, StyleGAN2Family)
    drawn = family.draw([{"age": 60.0, "sex": "M", "truncation": 1.0, "seed": 4}])[0]["T1"]

    with torch.inference_mode():
        image = net(latent(4, 8).unsqueeze(0), torch.tensor([[0.5, 0.0, 1.0]]))
    expected = ((image[0, 0] + 1) / 2).clamp(0, 1).numpy()
    np.testing.assert_allclose(to_picture(drawn), expected, atol=1e-6)


def test_layers_tell_what_the_arguments_leave_out(tmp_path: Path) -> None:
    """The bound of the features has another default in each release."""
    content = snapshot()
    modules = content["G_ema"].state["_modules"]
    synthesis, mapping = (modules[part].state["_modules"] for part in ("synthesis", "mapping"))
    for block in synthesis.values():
        block.state["architecture"] = "skip"
        for layer in block.state["_modules"].values():
            layer.state["conv_clamp"] = 256
    mapping["fc0"].state["bias_gain"] = 0.02

    card, _ = imported(tmp_path, content)

    assert card.architecture["synthesis_kwargs"] == {"conv_clamp": 256, "architecture": "skip"}
    assert card.architecture["mapping_kwargs"] == {"num_layers": 1, "lr_multiplier": 0.02}


def test_layers_that_differ_tell_nothing(tmp_path: Path) -> None:
    content = snapshot()
    blocks = content["G_ema"].state["_modules"]["synthesis"].state["_modules"]
    blocks["b4"].state["conv_clamp"], blocks["b8"].state["conv_clamp"] = 256, None

    card, _ = imported(tmp_path, content)

    assert "conv_clamp" not in card.architecture["synthesis_kwargs"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"synthesis_kwargs": {"architecture": "resnet"}}, "architecture 'resnet' cannot be run"),
        ({"synthesis_kwargs": {"use_noise": False}}, "use_noise False cannot be run"),
    ],
)
def test_a_variant_that_cannot_run_is_listed(
    settings: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    card, notes = imported(tmp_path, snapshot(**settings))

    assert card.execution == "none"
    assert reason in card.why_not_run
    assert any(reason in note for note in notes)


def test_a_stylegan3_snapshot_is_told_apart(tmp_path: Path) -> None:
    state = {n: v for n, v in small_state().items() if n.startswith("mapping")}
    state["synthesis.input.freqs"] = torch.ones(6, 2)

    card, _ = imported(tmp_path, snapshot(state))

    assert card.family == "stylegan3"
    assert "cannot be run" in card.why_not_run


# --- attacks --------------------------------------------------------------------------


@pytest.mark.parametrize("name", tuple(attacks(Path("marker"))))
def test_an_attack_is_refused_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    with nothing_runs(marker), pytest.raises(UnusableFile, match="nothing was run"):
        imported(tmp_path, attacks(marker)[name])
    assert not (tmp_path / "package").exists()


def test_an_attack_in_a_part_that_is_left_out_is_refused(tmp_path: Path) -> None:
    """Beside a whole generator: {"G_ema": …, "D": os.system("…")}."""
    marker = tmp_path / "ran"
    whole = pickled(snapshot(), plain_pickle)
    assert whole.endswith(b"u.")
    content = whole[:-1] + text("D") + attacks(marker)["system"][2:-1] + b"s."

    with nothing_runs(marker), pytest.raises(UnusableFile, match=r"calls posix\.system|os\.system"):
        imported(tmp_path, content)


def test_a_module_that_repeats_itself_is_refused(tmp_path: Path) -> None:
    """Twenty levels of modules that each hold the next one twice: a million."""
    module = network({"weight": torch.ones(1)})
    for _ in range(20):
        module = Module(_modules=OrderedDict(a=module, b=module))
    tracemalloc.start()
    with pytest.raises(UnusableFile, match="more than 5000 modules"):
        imported(tmp_path, {"G_ema": module})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32 * 2**20


def test_modules_too_deep_are_refused(tmp_path: Path) -> None:
    module = Module()
    for _ in range(21):
        module = Module(_modules=OrderedDict(a=module))

    with pytest.raises(UnusableFile, match="more than 20 deep"):
        imported(tmp_path, {"G_ema": module})


def test_tensors_that_are_all_one_are_refused(tmp_path: Path) -> None:
    big = torch.ones(100_000)
    state = small_state() | {f"extra.w{i}": big for i in range(20)}

    with pytest.raises(UnusableFile, match="repeat the same numbers"):
        imported(tmp_path, pickled(snapshot(state), torch_zip))


def test_settings_that_laugh_are_refused(tmp_path: Path) -> None:
    laugh: Any = 1
    for _ in range(5):
        laugh = [laugh] * 10

    with pytest.raises(UnusableFile, match="settings of its G_ema are too many"):
        imported(tmp_path, snapshot(more=laugh))


def test_sources_and_names_that_are_no_text_are_left_out(tmp_path: Path) -> None:
    """A source that is a nest of lists would be 10^20 characters as text."""
    laugh: Any = "x"
    for _ in range(20):
        laugh = [laugh] * 10
    content = snapshot()
    reduce = content["G_ema"].__reduce__
    function, (meta,), _ = reduce()
    odd = {**meta, "module_src": laugh, "class_name": laugh}

    class Odd(Module):
        def __reduce__(self) -> Any:
            return function, (odd,), None

    content["G_ema"] = Odd()
    card, _ = imported(tmp_path, content)

    assert card.provenance["class_name"] == "?"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s.pop("G_ema"), "no G_ema"),
        (lambda s: s.update(G_ema=torch.ones(2)), "not a torch module"),
        (lambda s: s.update(G_ema={"weight": 1}), "not a torch module"),
        (lambda s: s["G_ema"].state.pop("_parameters"), "not a torch module"),
        (lambda s: s["G_ema"].state.pop("_buffers"), "no _buffers"),
        (lambda s: s["G_ema"].state["_parameters"].update(a=3), "a is not a tensor"),
        (lambda s: s["G_ema"].state["_parameters"].update({"a.b": 3}), "not an identifier"),
        (lambda s: s["G_ema"].state["_modules"].update({"../x": Module()}), "not an identifier"),
        (lambda s: s["G_ema"].state["_modules"].update(a="text"), "not a torch module"),
        (lambda s: s["G_ema"].state["_parameters"].update(a=torch.ones(2) * 1j), "complex"),
        (lambda s: s["G_ema"].state["_parameters"].update(a=torch.ones(2) / 0), "diverged"),
        (lambda s: s["G_ema"].state["_init_kwargs"].update(c_dim="three"), "say its c_dim"),
        (lambda s: s["G_ema"].state["_init_kwargs"].update(c_dim=4), "embed.weight has shape"),
        (lambda s: s["G_ema"].state["_init_kwargs"].update(w_dim=7), "w_avg has shape"),
        (lambda s: s["G_ema"].state["_init_kwargs"].update(img_channels=3), "torgb.bias has shape"),
        (
            lambda s: s["G_ema"].state["_init_kwargs"].update(img_resolution=10**6),
            "impossible size",
        ),
        (lambda s: s.update(snapshot({"a.weight": torch.ones(2)})), "not a generator of StyleGAN"),
    ],
)
def test_what_is_no_such_snapshot_is_refused(change: Any, reason: str, tmp_path: Path) -> None:
    content = snapshot()
    change(content)

    with pytest.raises(UnusableFile, match=reason):
        imported(tmp_path, content)
    assert not (tmp_path / "package").exists()


def test_any_damage_ends_in_a_sentence(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    whole = np.frombuffer(pickled(snapshot(), plain_pickle), np.uint8)
    for number in range(30):
        damaged = whole.copy()
        damaged[random.integers(0, len(whole), 3)] = random.integers(0, 256, 3)
        (tmp_path / "a.pkl").write_bytes(damaged.tobytes())
        try:
            import_snapshot(tmp_path / "a.pkl", write_spec(tmp_path), tmp_path / f"out{number}")
        except MedsynError:
            assert not (tmp_path / f"out{number}").exists()


# --- labels ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"labels": [AGE]}, "describes 1 numbers where the label vector .* has 3"),
        ({"labels": [AGE, SEX, {**AGE, "name": "b"}]}, "describes 4 numbers"),
        ({}, "labels: Field required"),
        ({"labels": [AGE, AGE, AGE]}, "age more than once"),
        ({"labels": [{**AGE, "name": "seed"}, SEX]}, "name seed is that of another control"),
        ({"labels": [{**AGE, "name": "Age in years"}, SEX]}, r"labels\.0.*name"),
        ({"labels": [{**AGE, "kind": "slider"}, SEX]}, r"labels\.0"),
        ({"labels": [{**AGE, "default": 90}, SEX]}, "outside 40 to 80"),
        ({"labels": [{**AGE, "minimum": 90}, SEX]}, "below maximum"),
        ({"labels": [{**AGE, "normalise": {"divide_by": 0}}, SEX]}, "must not be 0"),
        ({"labels": [{**AGE, "normalise": {"log": True, "add": -40}}, SEX]}, "no logarithm"),
        ({"labels": [AGE, {**SEX, "default": "X"}]}, "not one of F, M"),
        ({**SPEC, "colour": "red"}, "colour"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"labels": NaN}', "does not describe labels"),
        (" " * (2**20 + 1), "too large"),
    ],
)
def test_labels_that_do_not_fit_are_refused(spec: Any, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UnusableFile, match=reason):
        imported(tmp_path, snapshot(), spec)
    assert not (tmp_path / "package").exists()


def test_labels_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"")
    with pytest.raises(UnusableFile, match="No such file"):
        import_snapshot(tmp_path / "a.pkl", tmp_path / "none.json", tmp_path / "package")


@pytest.mark.parametrize("options", [{"model_id": "Not an id"}, {"licence": "no licence!"}])
def test_impossible_options_are_refused(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UnusableModel):
        imported(tmp_path, snapshot(), **options)
    assert not (tmp_path / "package").exists()
