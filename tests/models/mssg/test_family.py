"""The family of the template head: loading, people of nobody, and the way through its tasks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.models.mssg._generators import CONTROLS, PERSON, family, label_model, package, study
from torch import Tensor

from napari_medsyn.errors import UnusableModel, UnusableStudy
from napari_medsyn.models.family import Region, Rendered
from napari_medsyn.models.latents import latent
from napari_medsyn.models.mssg.encoder import Encoder, EncoderSizes
from napari_medsyn.models.mssg.family import MSSGFamily
from napari_medsyn.models.mssg.generator import MultiSourceGenerator
from napari_medsyn.models.mssg.head import sample
from napari_medsyn.models.mssg.inversion import Effort
from napari_medsyn.models.mssg.labels import LabelModel
from napari_medsyn.models.mssg.lattice import SHAPE
from napari_medsyn.models.mssg.reading import Reading, features

T1 = NDArray[np.float32]
SEEN = Region((42,))
NOBODY: dict[str, Any] = {**PERSON, "seed": 3}


@pytest.fixture
def loaded(folder: Path) -> MSSGFamily:
    made = family(folder)
    made.effort = Effort(1, 1, 1, 1)
    return made


def nobody(loaded: MSSGFamily, **changes: Any) -> T1:
    controls = {**NOBODY, **changes}
    return loaded.render(loaded.condition(None, controls), controls, SEEN).mean["T1"]


def everything(loaded: MSSGFamily, conditioning: Any, controls: dict[str, Any]) -> list[Rendered]:
    regions = loaded.plan([42], range(40, 45), controls)
    return [loaded.render(conditioning, controls, region) for region in regions]


# ---------------------------------------------------------------- people of nobody


def test_a_slice_is_that_of_the_generator(loaded: MSSGFamily, net: MultiSourceGenerator) -> None:
    rendered = loaded.render(loaded.condition(None, NOBODY), NOBODY, Region((30, 42)))
    # age 50 is the middle of 20 to 80; F -1; log 20 ml is nearly the mean 3; log1p(0) is -2.
    labels = torch.tensor([[0.0, -1.0, float(np.log(20) - 3) / 0.5, -2.0, -1.0]])
    with torch.no_grad():
        found = net.coefficients(
            net.style(latent(3, 4)[None], labels), net.fold(latent(3, 4)[None])
        )
        person = net.head.compose(found, torch.zeros(1))
        for name, image in (("T1", person.t1), ("FLAIR", person.flair)):
            within = sample(net.head.volume(net.head.edge), person.u, [30, 42])[0, 0] > 0.5
            expected = within * sample(image, person.u, [30, 42])[0, 0].clamp(0, 1.5)
            np.testing.assert_allclose(rendered.mean[name], expected, atol=1e-5)


def test_a_slice_does_not_depend_on_its_slab(loaded: MSSGFamily) -> None:
    conditioning = loaded.condition(None, NOBODY)
    alone = loaded.render(conditioning, NOBODY, SEEN).mean["T1"]
    together = loaded.render(conditioning, NOBODY, Region((41, 42, 43))).mean["T1"]
    np.testing.assert_array_equal(together[:, :, 1], alone[:, :, 0])
    np.testing.assert_array_equal(alone, nobody(loaded))


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 4},
        {"age": 70.0},
        {"ventricles": 50.0},
        {"lesions": 20.0},
        {"truncation": 0.3},
        {"mixing": 2, "mixing_seed": 9},
        {"directions": (1.0, 0.0)},
    ],
)
def test_every_control_changes_the_person(loaded: MSSGFamily, change: dict[str, Any]) -> None:
    assert not np.array_equal(nobody(loaded), nobody(loaded, **change))


def test_controls_at_rest_change_nothing(loaded: MSSGFamily) -> None:
    at_rest = {"truncation": 1.0, "mixing": 0, "mixing_seed": 9, "directions": (0.0, 0.0)}
    np.testing.assert_array_equal(nobody(loaded), nobody(loaded, **at_rest))


def test_no_truncation_leaves_nothing_of_the_seed(loaded: MSSGFamily) -> None:
    np.testing.assert_array_equal(
        nobody(loaded, truncation=0.0), nobody(loaded, truncation=0.0, seed=4)
    )


def test_what_is_not_known_is_drawn_by_the_seed(loaded: MSSGFamily) -> None:
    unknown = {"age": None, "ventricles": None}
    model = LabelModel.from_json(label_model())
    drawn = model.complete({**PERSON, **unknown}, np.random.default_rng(3))
    np.testing.assert_array_equal(nobody(loaded, **unknown), nobody(loaded, **drawn))
    assert not np.array_equal(nobody(loaded, **unknown), nobody(loaded))


def test_ventricles_and_lesions_follow_their_controls(loaded: MSSGFamily) -> None:
    volumes = [
        float(loaded.net.head.ventricle_ml(loaded._person({**NOBODY, "ventricles": ml}).u))
        for ml in (10.0, 20.0, 40.0)
    ]
    assert volumes[0] < volumes[1] < volumes[2]
    shares = [float(loaded._person({**NOBODY, "lesions": ml}).lesion.sum()) for ml in (0, 5, 20)]
    assert shares[0] == 0 < shares[1] < shares[2]


def test_patients_of_the_clinic_are_scanned_in_thick_slices(
    loaded: MSSGFamily, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    compose = loaded.net.head.compose
    monkeypatch.setattr(
        loaded.net.head,
        "compose",
        lambda *given, **named: asked.append(named) or compose(*given, **named),
    )
    for cohort in ("ixi", "ms"):
        values = {**NOBODY, **PERSON, "cohort": cohort}
        loaded.render(loaded.condition(None, values), values, SEEN)
    assert asked == [{"thick": False}, {"thick": True}]


def test_the_person_is_composed_once(loaded: MSSGFamily, monkeypatch: pytest.MonkeyPatch) -> None:
    composed = []
    compose = loaded.net.head.compose
    monkeypatch.setattr(
        loaded.net.head,
        "compose",
        lambda *given, **named: composed.append(1) or compose(*given, **named),
    )
    conditioning = loaded.condition(None, NOBODY)
    for region in loaded.plan([42], range(40, 45), NOBODY):
        loaded.render(conditioning, NOBODY, region)
    loaded.render(conditioning, {**NOBODY, "targets": ("FLAIR",)}, SEEN)
    assert len(composed) == 1
    loaded.render(conditioning, {**NOBODY, "seed": 5}, SEEN)
    assert len(composed) == 2


def test_only_what_is_asked_for_is_given(loaded: MSSGFamily) -> None:
    controls = {**NOBODY, "targets": ("FLAIR",)}
    rendered = loaded.render(loaded.condition(None, controls), controls, SEEN)
    assert set(rendered.mean) == {"FLAIR"}
    assert rendered.mean["FLAIR"].shape == (80, 100, 1)
    assert rendered.mean["FLAIR"].dtype == np.float32


def test_what_is_on_screen_comes_first_and_slabs_go_outwards(loaded: MSSGFamily) -> None:
    regions = loaded.plan([60], range(SHAPE[2]), NOBODY)
    assert regions[0] == Region((60,))
    assert sorted(k for region in regions for k in region.slices) == list(range(SHAPE[2]))
    far = [max(abs(k - 60) for k in region.slices) for region in regions]
    assert far == sorted(far)


# ---------------------------------------------------------------- a patient


def test_an_inversion_goes_in_steps_and_tells_what_it_found(loaded: MSSGFamily, t1: T1) -> None:
    conditioning = loaded.condition(study(t1), {})
    controls = {**NOBODY, "task": "invert", "own": {"age": 44.0, "sex": "M"}}
    regions = loaded.plan([42], range(40, 45), controls)
    steps = [region for region in regions if not region.slices]
    assert [step.phase for step in steps] == [f"Inverting {n} of 4" for n in (1, 2, 3, 4)]
    assert regions[: len(steps)] == steps

    rendered = [loaded.render(conditioning, controls, region) for region in regions]
    assert all(not one.mean and not one.findings for one in rendered[:4])
    findings = rendered[-1].findings
    assert findings["own"]["age"] == 44.0
    assert findings["own"]["sex"] == "M"
    assert set(findings["own"]) == set(PERSON)
    assert all(value is not None for value in findings["own"].values())
    image = rendered[4].mean["T1"]
    error = np.square((image - t1[:, :, [42]])[t1[:, :, [42]] > 0.02]).mean()
    assert -10 * np.log10(error) == pytest.approx(findings["psnr_db"], abs=4)


def test_an_inversion_that_was_stopped_goes_on_where_it_was(loaded: MSSGFamily, t1: T1) -> None:
    conditioning = loaded.condition(study(t1), {})
    controls = {**NOBODY, "task": "invert", "own": {}}
    for region in loaded.plan([42], [42], controls)[:3]:
        loaded.render(conditioning, controls, region)
    conditioning = loaded.condition(study(t1), {})
    assert [r.phase for r in loaded.plan([42], [42], controls)] == ["Inverting 4 of 4", ""]
    # A region with slices does itself what is still missing.
    assert loaded.render(conditioning, controls, SEEN).findings["psnr_db"] > 15


def test_a_counterfactual_finds_the_inversion_that_was_made(loaded: MSSGFamily, t1: T1) -> None:
    conditioning = loaded.condition(study(t1), {})
    found = everything(loaded, conditioning, {**NOBODY, "task": "invert", "own": {"age": 44.0}})
    own = found[-1].findings["own"]
    asked = {**NOBODY, **own, "task": "counterfactual", "own": own}
    assert all(region.slices for region in loaded.plan([42], range(40, 45), asked))

    loaded.condition(None, {})
    loaded.condition(study(t1), {})
    assert all(region.slices for region in loaded.plan([42], range(40, 45), asked))
    for other in ({"age": 45.0}, {"sex": "M"}):
        elsewhere = {**asked, "own": {**own, **other}}
        assert sum(not region.slices for region in loaded.plan([42], [42], elsewhere)) == 4
    loaded.condition(study(t1, "somebody else"), {})
    assert sum(not region.slices for region in loaded.plan([42], [42], asked)) == 4


def test_a_counterfactual_at_the_own_values_changes_nothing(loaded: MSSGFamily, t1: T1) -> None:
    conditioning = loaded.condition(study(t1), {})
    own = {**PERSON, "lesions": 6.0}
    controls = {**NOBODY, **own, "task": "counterfactual", "own": own}
    unknown = dict.fromkeys(PERSON)
    for asked in (controls, {**controls, **unknown}, {**controls, "seed": 8, "truncation": 0.2}):
        edit = everything(loaded, conditioning, asked)[-1].edit
        assert edit is not None
        assert edit.displacement is not None
        assert edit.jacobian is not None
        assert not edit.change["T1"].any()
        assert not edit.displacement.any()
        assert not edit.jacobian.any()


@pytest.mark.parametrize(
    "change",
    [{"age": 75.0}, {"ventricles": 50.0}, {"lesions": 30.0}, {"directions": (0.0, 1.0)}],
)
def test_a_counterfactual_changes_the_brain_only(
    loaded: MSSGFamily, t1: T1, change: dict[str, Any]
) -> None:
    conditioning = loaded.condition(study(t1), {})
    controls = {**NOBODY, "task": "counterfactual", "own": PERSON, **change}
    edit = everything(loaded, conditioning, controls)[4].edit
    assert edit is not None
    assert edit.displacement is not None
    assert edit.change["T1"].shape == (80, 100, 1)
    assert edit.displacement.shape == (3, 80, 100, 1)
    outside = ~(t1[:, :, [42]] > 0.02)
    for part in (edit.change["T1"], *edit.displacement):
        assert part.dtype == np.float32
        assert not part[outside].any()
    assert edit.change["T1"].any() or edit.displacement.any()


def test_counterfactuals_need_a_scan(loaded: MSSGFamily) -> None:
    controls = {**NOBODY, "task": "counterfactual", "own": PERSON}
    with pytest.raises(UnusableStudy, match="needs a T1"):
        loaded.render(loaded.condition(None, controls), controls, SEEN)


def test_only_the_last_patients_are_kept(loaded: MSSGFamily, t1: T1) -> None:
    for number in range(6):
        patient = loaded.condition(study(t1, f"patient {number}"), {}).patient
        assert patient is not None
        loaded._of(patient)
    assert list(loaded._known) == [f"patient {number}" for number in (2, 3, 4, 5)]


# ---------------------------------------------------------------- packages


Tensors = dict[str, Tensor]


def without(name: str) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.__delitem__(name)


def put(name: str, tensor: Tensor) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.__setitem__(name, tensor)


def with_encoder(tensors: Tensors, w: int = 8) -> None:
    torch.manual_seed(1)
    encoder = Encoder(EncoderSizes((8, 8, 8, 8), 8, w))
    tensors.update({f"encoder.{k}": v for k, v in encoder.state_dict().items()})


def with_reading(tensors: Tensors, count: int) -> None:
    tensors.update({f"reading.{k}": v for k, v in Reading(count).state_dict().items()})


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (without("head.t1"), "head.t1"),
        (without("mapping.w_avg"), r"mapping.w_avg has shape none, not \(8,\)"),
        (without("directions"), "directions"),
        (put("backdoor", torch.zeros(3)), r"backdoor has shape \(3,\), not none"),
        (put("affines.0.bias", torch.zeros(7)), r"affines.0.bias has shape \(7,\), not \(6,\)"),
        (put("head.lesion_contrast", torch.tensor([0.0, torch.nan])), "not finite"),
        (put("head.brain", torch.zeros(SHAPE, dtype=torch.bool)), "head.brain does not mark"),
        (put("encoder.head.weight", torch.zeros(13, 8)), "encoder"),
        (lambda tensors: with_encoder(tensors, w=9), "styles of 9, not 8"),
        (lambda tensors: with_reading(tensors, 50), "takes 50 features"),
        (put("reading.maps", torch.zeros(5, 9)), "mean"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    tmp_path: Path, net: MultiSourceGenerator, spoil: Callable[[Tensors], None], reason: str
) -> None:
    tensors = dict(net.state_dict())
    spoil(tensors)
    with pytest.raises(UnusableModel, match=reason) as refused:
        family(package(tmp_path / "p", tensors))
    assert "\n" not in str(refused.value)
    assert "get the package again" in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"grid": {"shape": [80, 100, 83], "spacing_mm": [2.0] * 3, "origin_mm": [0.0] * 3,
                   "space": "MNI152", "dim": "3D"}}, "2 mm"),
        ({"grid": {"shape": list(SHAPE), "spacing_mm": [2.0, 2.0, 3.0], "origin_mm": [0.0] * 3,
                   "space": "MNI152", "dim": "3D"}}, "2 mm"),
        ({"outputs": ["T1", "T2"]}, "give T1 and FLAIR only"),
        ({"inputs": ["FLAIR"]}, "may read T1 only"),
        ({"covariates": ["seed"]}, "covariates"),
        ({"controls": [*CONTROLS[:5], {**CONTROLS[5], "directions": ["a"]}]}, "1 directions"),
        ({"label_model": None}, "label"),
        ({"label_model": {**label_model(), "sources": []}}, "label"),
    ],
)  # fmt: skip
def test_cards_that_do_not_fit_are_refused(
    tmp_path: Path, net: MultiSourceGenerator, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UnusableModel, match=reason):
        family(package(tmp_path / "p", dict(net.state_dict()), **changes))


def test_a_file_of_something_else_is_refused(folder: Path, tmp_path: Path) -> None:
    from napari_medsyn.models.mssg.family import load
    from napari_medsyn.registry.card import read_card

    other = tmp_path / "weights.safetensors"
    other.write_bytes(b"\x08\0\0\0\0\0\0\0nonsense")
    with pytest.raises(UnusableModel, match="cannot be run as MSSG"):
        load(read_card(folder), other, "cpu")


def test_an_encoder_says_where_the_inversion_begins(
    tmp_path: Path, net: MultiSourceGenerator, t1: T1
) -> None:
    tensors = dict(net.state_dict())
    with_encoder(tensors)
    tensors["encoder.head.weight"] *= 0
    #: Style, then age 65 (0.5), M, ventricles of e^3.5 ml, no lesions, cohort ms.
    said = torch.tensor([*[5.0] * 8, 0.5, 0.8, 1.0, -2.0, 0.3])
    tensors["encoder.head.bias"] = said
    loaded = family(package(tmp_path / "p", {k: v.half() if v.is_floating_point() else v
                                             for k, v in tensors.items()}))  # fmt: skip
    patient = loaded.condition(study(t1), {}).patient
    assert patient is not None
    known = loaded._of(patient)
    assert known.style is not None
    np.testing.assert_allclose(known.style, np.full((1, 8), 5.0))
    own = loaded._own(patient, {"own": {"sex": "F", "age": None}})
    assert own == {"age": 65.0, "sex": "F", "ventricles": 33.1, "lesions": 0.0, "cohort": "ms"}


def test_a_reading_says_whose_covariates_they_are(
    tmp_path: Path, net: MultiSourceGenerator, t1: T1
) -> None:
    tensors = dict(net.state_dict())
    with_encoder(tensors)
    with_reading(tensors, features(torch.zeros(1, 1, *SHAPE)).shape[1])
    #: Age 65, M, ventricles of e^3.5 ml, a load that means nothing in cohort ixi.
    tensors["reading.offset"] = torch.tensor([0.5, 0.8, 1.0, 0.7, -0.9])
    loaded = family(package(tmp_path / "p", tensors))
    patient = loaded.condition(study(t1), {}).patient
    assert patient is not None
    assert loaded._of(patient).style is not None
    own = loaded._own(patient, {})
    assert own == {"age": 65.0, "sex": "M", "ventricles": 33.1, "lesions": 0.0, "cohort": "ixi"}


def test_an_estimate_stays_within_its_control(loaded: MSSGFamily) -> None:
    assert loaded._snapped("age", 93.0) == 80
    assert loaded._snapped("age", 44.4) == 44
    assert loaded._snapped("ventricles", 12.345) == 12.3
    assert loaded._snapped("sex", "M") == "M"
