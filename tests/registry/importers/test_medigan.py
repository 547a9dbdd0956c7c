"""medigan's registry, a made one of the same layout: entries, broken fields, packages."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest

from napari_medsyn.errors import UnusableFile, UnusableModel
from napari_medsyn.registry.card import ModelCard, read_card
from napari_medsyn.registry.importers.medigan import import_registry
from napari_medsyn.registry.packages import verify

ID = "00001_DCGAN_ROI"


def entry(**parts: dict[str, Any]) -> dict[str, Any]:
    """A whole entry in medigan's layout, our own words; `parts` are merged into it."""
    value: dict[str, Any] = {
        "execution": {
            "package_name": ID,
            "package_link": f"https://zenodo.org/record/1/files/{ID}.zip?download=1",
            "model_name": "500",
            "extension": ".pt",
            "image_size": [64, 32],
            "dependencies": ["numpy", "torch==2.0"],
            "generate_method": {
                "name": "generate",
                "args": {"base": ["model_file"], "custom": {}},
                "input_latent_vector_size": 5,
            },
        },
        "selection": {
            "performance": {"FID": 50.0, "FID_ratio": 0.4, "FID_no_images": 20},
            "use_cases": ["classification"],
            "organ": ["breast"],
            "modality": ["MMG", "Mammography"],
            "function": ["noise to image"],
            "condition": [],
            "dataset": ["Made"],
            "generates": ["mass"],
            "height": 64,
            "width": 32,
            "depth": None,
            "type": "DCGAN",
            "license": "MIT",
            "dataset_type": "public",
            "privacy_preservation": None,
            "tags": ["Masses"],
            "year": "2021",
        },
        "description": {
            "title": "A made model",
            "comment": "Makes things up.",
            "version": "0.0.1",
            "publication": None,
            "doi": ["10.5281/zenodo.1"],
            "inputs": [],
        },
    }
    for name, part in parts.items():
        value[name] |= part
    return value


def generate(custom: dict[str, Any], **more: Any) -> dict[str, Any]:
    """`execution` with other arguments."""
    return {"generate_method": {"name": "generate", "args": {"custom": custom}, **more}}


def imported(tmp_path: Path, value: Any, *packages: Path) -> tuple[ModelCard, list[str]]:
    """The card of one entry, and what was noted of it."""
    path = tmp_path / "global.json"
    path.write_text(json.dumps({ID: value}))
    notes = import_registry(path, tmp_path / "out", packages=packages)
    (package,) = (tmp_path / "out").iterdir()
    return verify(package), [note for note in notes if note.startswith(ID)]


def test_an_entry_becomes_a_card(tmp_path: Path) -> None:
    card, notes = imported(tmp_path, entry())

    assert card.id == "medigan-00001-dcgan-roi"
    assert card.name == "A made model"
    assert (card.task, card.licence, card.year) == ("unconditional", "MIT", 2021)
    assert card.outputs == ("MG",)
    assert card.grid.shape == (32, 64, 1)
    assert card.doi == ("10.5281/zenodo.1",)
    assert card.execution == "none"
    assert "zenodo.org/record/1" in card.why_not_run
    assert "--package" in card.why_not_run
    assert {"Masses", "DCGAN", ID, "Mammography"} <= set(card.tags)
    assert card.provenance["medigan_id"] == ID
    assert notes == []


def test_every_number_of_the_latent_is_within_reach(tmp_path: Path) -> None:
    card, _ = imported(tmp_path, entry())

    latent = next(control for control in card.controls if control.kind == "latent")
    assert latent.directions == ("z1", "z2", "z3", "z4", "z5")
    assert card.architecture["latent"]["size"] == 5


def test_metrics_have_their_direction_extractor_and_number(tmp_path: Path) -> None:
    performance = {
        "FID": 50.0, "FID_ratio": 0.4, "FID_RADIMAGENET": 2.0, "FID_RADIMAGENET_ratio": 0.1,
        "FID_no_images": 20, "SSIM": 0.7, "CLF_delta": 0.05,
        "SEG": {"trained_on_fake": {"dice_loss": 0.1}, "trained_on_real": {"dice": 0.9}},
    }  # fmt: skip
    card, notes = imported(tmp_path, entry(selection={"performance": performance}))

    figures = [(m.name, m.value, m.direction, m.n, m.extractor) for m in card.metrics]
    assert figures == [
        ("FID", 50.0, "lower", 20, "InceptionV3 (ImageNet)"),
        ("rFID", 0.4, "higher", 20, "InceptionV3 (ImageNet)"),
        ("FID", 2.0, "lower", 20, "RadImageNet"),
        ("rFID", 0.1, "higher", 20, "RadImageNet"),
        ("SSIM", 0.7, "higher", None, None),
        ("classification gain", 0.05, "higher", None, None),
        ("segmentation dice loss, trained on synthetic images", 0.1, "lower", None, None),
        ("segmentation dice, trained on real images", 0.9, "higher", None, None),
    ]
    assert {m.data_set for m in card.metrics} == {"Made"}
    assert notes == []


def test_the_ratio_follows_from_the_distances(tmp_path: Path) -> None:
    performance = {"FID": 50.0, "FID_rr": 10.0, "FID_ratio": 0.4}
    card, notes = imported(tmp_path, entry(selection={"performance": performance}))

    assert [m.value for m in card.metrics if m.name == "rFID"] == [0.2]
    assert any("FID_ratio is 0.4, but 10 / 50 = 0.2" in note for note in notes)


@pytest.mark.parametrize(
    ("part", "fields", "expected"),
    [
        ("selection", {"performance": {"FID": "52.1"}}, "FID is the text '52.1'"),
        ("selection", {"performance": {"FID": "good"}}, "FID is 'good' where a number"),
        ("selection", {"performance": {"FID_ratio": 1.7}}, "FID_ratio is 1.7, outside 0 to 1"),
        ("selection", {"performance": {"FID": -3}}, "which no distance can be"),
        ("selection", {"performance": []}, "performance is a list where an object"),
        ("selection", {"performance": {"turing_test": {"AUC": [0.5]}}}, "turing_test is kept"),
        ("selection", {"performance": {"turing_test": 3}}, "turing_test is neither"),
        ("selection", {"performance": {"SEG": 3}}, "performance.SEG is a number where an object"),
        ("selection", {"license": None}, "license is missing"),
        ("selection", {"license": "BSD"}, "LicenseRef-BSD"),
        ("selection", {"year": "last"}, "year is 'last', which is no year"),
        ("selection", {"organ": {"a": 1}}, "organ is an object where a list"),
        ("selection", {"organ": ["breast", 3]}, "organ holds a number"),
        ("selection", {"modality": []}, "names no modality"),
        ("selection", {"dataset": []}, "dataset is empty"),
        ("selection", {"height": 65}, "image_size is [64, 32], but height and width"),
        ("execution", {"image_size": ["64", "32"]}, "holds the text '64'"),
        ("execution", {"dependencies": ["Path"]}, "part of Python"),
        ("execution", {"dependencies": ["a b c"]}, "no requirement"),
        ("execution", {"package_link": "ftp://x"}, "no https address"),
        ("description", {"doi": ["soon"]}, "'soon', which is no DOI"),
        ("description", {"version": "first"}, "'first', which is no version"),
        ("description", {"title": ["a"]}, "title is a list where text"),
    ],
)
def test_a_broken_field_is_noted_and_never_fatal(
    tmp_path: Path, part: str, fields: dict[str, Any], expected: str
) -> None:
    _, notes = imported(tmp_path, entry(**{part: fields}))

    assert any(expected in note for note in notes), notes
    assert all(note.startswith(f"{ID}: ") for note in notes)


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("MIT", "MIT"),
        ("BSD 3-Clause", "BSD-3-Clause"),
        ("BSD License", "LicenseRef-BSD-License"),
        ("Apache License 2.0", "Apache-2.0"),
        ("GNU GENERAL PUBLIC LICENSE", "LicenseRef-GNU-GENERAL-PUBLIC-LICENSE"),
        (None, "NOASSERTION"),
    ],
)
def test_a_licence_is_named_only_where_it_is_clear(
    tmp_path: Path, licence: str | None, expected: str
) -> None:
    card, _ = imported(tmp_path, entry(selection={"license": licence}))

    assert card.licence == expected


@pytest.mark.parametrize(
    ("selection", "custom", "outputs"),
    [
        ({"modality": ["MMG"]}, {}, ("MG",)),
        ({"modality": ["x-ray", "CXR"]}, {}, ("CXR",)),
        ({"modality": ["endoscopy"], "generates": ["polyp masks"]}, {}, ("ES", "mask")),
        (
            {"modality": ["MRI", "T1"], "generates": ["Flair", "T1", "T1c", "T2", "binary mask"]},
            {},
            ("FLAIR", "T1", "T1c", "T2", "mask"),
        ),
        ({"modality": ["T1", "T2"], "generates": ["T1", "T2"]}, {"T1_to_T2": True}, ("T2",)),
        ({"modality": ["T1", "T2"], "generates": ["T1", "T2"]}, {"T1_to_T2": False}, ("T1",)),
        ({"modality": ["dce-mri", "t1"], "generates": []}, {}, ("T1c",)),
        ({"modality": ["MRI", "Cardiography"], "generates": ["heart"]}, {}, ("MR",)),
        ({"modality": ["tea leaves"]}, {}, ("image",)),
    ],
)
def test_modalities(
    tmp_path: Path, selection: dict[str, Any], custom: dict[str, Any], outputs: tuple[str, ...]
) -> None:
    card, _ = imported(tmp_path, entry(selection=selection, execution=generate(custom)))

    assert card.outputs == outputs


def test_arguments_become_controls_unless_they_build_the_network(tmp_path: Path) -> None:
    custom = {
        "image_size": 64, "gpu_id": "0", "input_path": "models/x", "condition": None,
        "low_to_high": True, "x_center": 30, "threshold": 0.2, "view": "la",
    }  # fmt: skip
    told = {"inputs": ["x_center: default=30, help=where the middle is."]}
    card, _ = imported(tmp_path, entry(execution=generate(custom), description=told))

    controls = {control.name: control for control in card.controls}
    assert list(controls) == ["seed", "condition", "low_to_high", "x_center", "threshold"]
    assert [c.label for c in controls["condition"].categories] == ["Malignant", "Benign"]  # type: ignore[union-attr]
    assert controls["low_to_high"].kind == "boolean"
    assert controls["x_center"].help == "where the middle is."
    assert (controls["x_center"].minimum, controls["x_center"].maximum) == (0, 60)  # type: ignore[union-attr]
    assert card.architecture["keywords"] == {
        "image_size": 64, "gpu_id": "0", "input_path": "models/x", "view": "la",
    }  # fmt: skip


def test_an_age_offset_is_a_slider_and_one_path_is_enough(tmp_path: Path) -> None:
    custom = {"image_paths_input": ["a.png", "a.png"], "aging_input": [-4, 10]}
    card, _ = imported(tmp_path, entry(execution=generate(custom)))

    assert card.task == "counterfactual"
    assert card.controls[1].unit == "years"  # type: ignore[union-attr]
    assert card.architecture["controls"]["aging_input"]["form"] == "list"
    assert card.architecture["keywords"] == {"image_paths_input": ["a.png"]}


def test_an_entry_that_says_too_little_is_left_out_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "global.json"
    none = entry(execution={"image_size": None}, selection={"height": None})
    path.write_text(json.dumps({ID: entry(), "00002_X": none, "00003_Y": 7, "/": entry()}))

    notes = import_registry(path, tmp_path / "out")

    assert [folder.name for folder in (tmp_path / "out").iterdir()] == ["medigan-00001-dcgan-roi"]
    assert any("00002_X: left out: its pictures' size None" in note for note in notes)
    assert any(note.startswith("00003_Y: left out") for note in notes)
    assert any(note.startswith("/: left out: '/' is no id") for note in notes)


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"a": '])
def test_what_is_no_registry_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "global.json"
    path.write_text(text)

    with pytest.raises(UnusableFile, match=r"global\.json"):
        import_registry(path, tmp_path / "out")

    assert [item.name for item in tmp_path.iterdir()] == ["global.json"]


# ---- packages ------------------------------------------------------------------------


def download(tmp_path: Path, *, inner: str = f"{ID}/") -> Path:
    """A package as it is unpacked: code, weights, an empty file and rubbish."""
    folder = tmp_path / ID
    files = {
        "__init__.py": b"raise SystemExit('run')", "500.pt": b"weights", "src/__init__.py": b"",
        ".DS_Store": b"x", "__pycache__/a.pyc": b"x", "a strange name.txt": b"x",
    }  # fmt: skip
    for name, content in files.items():
        path = folder / inner / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def zipped(folder: Path) -> Path:
    """The same as medigan's zip."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            archive.write(file, file.relative_to(folder).as_posix())
    return path


@pytest.mark.parametrize("as_zip", [False, True])
@pytest.mark.parametrize("inner", [f"{ID}/", ""])
def test_a_package_is_copied_and_hashed(tmp_path: Path, inner: str, as_zip: bool) -> None:
    folder = download(tmp_path, inner=inner)

    card, notes = imported(tmp_path, entry(), zipped(folder) if as_zip else folder)

    assert card.execution == "isolated"
    names = {file.name for file in card.files}
    wanted = {"__init__.py", "500.pt", "src/__init__.py"}
    assert names == {f"code/{inner}{name}" for name in wanted}
    assert card.architecture["weights"] == f"code/{inner}500.pt"
    assert card.architecture["at"] == f"models/{ID}"
    assert card.architecture["module"] == f"models.{ID}" + (f".{ID}" if inner else "")
    assert card.requires.packages == ("numpy", "torch==2.0")
    assert [note for note in notes if "a strange name.txt" in note]


def test_the_architecture_is_one_that_the_family_reads(tmp_path: Path) -> None:
    from napari_medsyn.models.isolated.architecture import read_architecture

    custom = {"condition": None, "image_size": 64}
    value = entry(execution=generate(custom, input_latent_vector_size=5))
    card, _ = imported(tmp_path, value, download(tmp_path))

    architecture = read_architecture(card)

    assert architecture.function == "generate"
    assert architecture.latent is not None
    assert architecture.controls["condition"].argument == "condition"


def test_a_package_of_no_entry_is_refused(tmp_path: Path) -> None:
    folder = download(tmp_path).rename(tmp_path / "another")

    with pytest.raises(UnusableModel, match="package of no entry"):
        imported(tmp_path, entry(), folder)

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("gone", "reason"), [("500.pt", "weights"), ("__init__.py", "__init__")])
def test_a_package_without_weights_or_code_is_refused(
    tmp_path: Path, gone: str, reason: str
) -> None:
    folder = download(tmp_path)
    (folder / ID / gone).unlink()

    with pytest.raises(UnusableModel, match=reason):
        imported(tmp_path, entry(), folder)

    assert not (tmp_path / "out").exists()


def hostile(tmp_path: Path, kind: str) -> Path:
    """A zip that tries something."""
    path = tmp_path / f"{ID}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__init__.py", "x = 1")
        archive.writestr("500.pt", b"weights")
        if kind == "up":
            archive.writestr("../../escaped.py", "x")
        elif kind == "absolute":
            archive.writestr("/tmp/escaped.py", "x")  # noqa: S108
        elif kind == "link":
            info = zipfile.ZipInfo("link.py")
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, "/etc/passwd")
        elif kind == "bomb":
            archive.writestr("big.bin", bytes(20 * 2**20))
        elif kind == "twice":
            archive.writestr("500.PT", b"other")
        elif kind == "many":
            for number in range(2001):
                archive.writestr(f"f{number}", "x")
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("up", "leads out"),
        ("absolute", "leads out"),
        ("link", "a link"),
        ("bomb", "far more than it is"),
        ("twice", "same name twice"),
        ("many", "more than a package does"),
    ],
)
def test_a_hostile_zip_is_refused_and_nothing_is_left(
    tmp_path: Path, kind: str, reason: str
) -> None:
    path = hostile(tmp_path, kind)

    with pytest.raises(UnusableFile, match=reason):
        imported(tmp_path, entry(), path)

    assert {item.name for item in tmp_path.iterdir()} == {f"{ID}.zip", "global.json"}
    assert not (tmp_path.parent / "escaped.py").exists()


def test_a_link_in_a_folder_is_refused(tmp_path: Path) -> None:
    folder = download(tmp_path)
    (folder / "link.py").symlink_to("/etc/passwd")

    with pytest.raises(UnusableFile, match="is a link"):
        imported(tmp_path, entry(), folder)


def test_the_card_is_all_that_is_written_for_an_entry_without_package(tmp_path: Path) -> None:
    imported(tmp_path, entry())

    (package,) = (tmp_path / "out").iterdir()
    assert [item.name for item in package.iterdir()] == ["card.json"]
    assert read_card(package).files == ()
