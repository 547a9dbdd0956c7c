"""People of the sources: what is recorded stays, the rest is drawn; examples of them."""

from __future__ import annotations

import pytest
import torch
from tests.training.mssg.stack._people import PlainLabels, source
from training.mssg.stack.people import DRAWS, NAMES, People, examples, recorded
from training.mssg.stack.slices import SIDE, SLICES

LESIONS, COHORT = NAMES.index("lesions"), NAMES.index("cohort")


@pytest.fixture(scope="module")
def both() -> list[People]:
    return [People.of(source(name, 3), PlainLabels(), seed=0) for name in ("ixi", "ms")]


def test_what_is_not_recorded_is_none() -> None:
    assert recorded(source("ixi", 2), 1) == {
        "cohort": "ixi", "age": 60.0, "sex": "M", "ventricles": 15.0, "lesions": None,
    }  # fmt: skip


def test_what_is_recorded_is_in_every_draw_and_the_rest_differs(both: list[People]) -> None:
    healthy = both[0]
    assert healthy.covariates.shape == (3, DRAWS, len(NAMES))
    assert healthy.known.tolist() == [[True, True, True, False, True]] * 3
    ages = healthy.covariates[1, :, 0]
    torch.testing.assert_close(ages, torch.full((DRAWS,), 0.4))
    lesions = healthy.covariates[1, :, LESIONS]
    assert len(set(lesions.tolist())) == DRAWS
    assert 0.1 <= float(lesions.min()) <= float(lesions.max()) <= 0.2


def test_pictures_are_stored_as_the_volumes_are(both: list[People]) -> None:
    assert both[0].pictures.shape == (3, SLICES, SIDE, SIDE)
    assert both[0].pictures[0, 30, 32, 32] == 120


def test_every_source_gives_as_many(both: list[People]) -> None:
    drawn = examples(both, 4, torch.Generator().manual_seed(0))
    assert drawn.pictures.shape == (8, 1, SIDE, SIDE)
    assert drawn.covariates[:, COHORT].tolist() == [-1] * 4 + [1] * 4
    assert drawn.known[:4, LESIONS].any() == torch.tensor(False)
    assert bool(drawn.known[4:, LESIONS].all())


def test_pictures_belong_to_their_labels() -> None:
    """Somebody whose every slice is as bright as its number, and as his age."""
    pictures = torch.zeros(2, SLICES, SIDE, SIDE, dtype=torch.uint8)
    for who in range(2):
        for where in range(SLICES):
            pictures[who, where] = 100 * who + where
    covariates = torch.zeros(2, 1, 5)
    covariates[1] = 1
    people = People(pictures, covariates, torch.ones(2, 5, dtype=torch.bool), torch.zeros(2, 3))
    drawn = examples([people], 50, torch.Generator().manual_seed(0))
    expected = 100 * drawn.covariates[:, 0] + drawn.slices
    torch.testing.assert_close(drawn.pictures[:, 0, 0, 0].float(), expected)


def test_some_are_mirrored_in_x_and_are_somebody_else() -> None:
    pictures = torch.zeros(1, SLICES, SIDE, SIDE, dtype=torch.uint8)
    pictures[:, :, 3, 7] = 200
    known = torch.ones(1, 5, dtype=torch.bool)
    people = People(pictures, torch.zeros(1, 1, 5), known, torch.ones(1, 2))
    drawn = examples([people], 40, torch.Generator().manual_seed(0))
    found = {
        (*picture[0].nonzero()[0].tolist(), *latent.tolist())
        for picture, latent in zip(drawn.pictures, drawn.latents, strict=True)
    }
    assert found == {(3, 7, 1, 1), (SIDE - 4, 7, -1, -1)}


def test_a_painted_patient_has_the_latent_of_his_anatomy(both: list[People]) -> None:
    torch.testing.assert_close(both[0].latents, both[1].latents)
    assert not torch.allclose(both[0].latents[0], both[0].latents[1])
