"""What a card says of the code that its package brings."""

from __future__ import annotations

from typing import Any

import pytest
from tests.models.isolated._packages import card_fields

from napari_medsyn.errors import UnusableModel
from napari_medsyn.models.isolated.architecture import read_architecture
from napari_medsyn.registry.card import ModelCard

GOOD: dict[str, Any] = card_fields()["architecture"]


def read(architecture: dict[str, Any]) -> Any:
    files = [{"name": "code/weights.txt", "bytes": 1, "sha256": "0" * 64}]
    return read_architecture(
        ModelCard.model_validate(card_fields(files=files, architecture=architecture))
    )


def test_a_whole_one() -> None:
    architecture = read({**GOOD, "module": "models.00001_X.src", "at": "models/00001_X"})

    assert architecture.function == "generate"
    assert architecture.latent.size == 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"module": "../model"}, "module"),
        ({"module": ""}, "module"),
        ({"function": "os.system"}, "function"),
        ({"at": "../.."}, "at"),
        ({"at": "/etc"}, "at"),
        ({"latent": {"argument": "z", "size": 0}}, "latent.size"),
        ({"values": [1, 0]}, "dark, bright"),
        ({"keywords": {"num_samples": 9}}, "num_samples is given more than once"),
        ({"keywords": {"input_latent_vector": 9}}, "input_latent_vector is given more than once"),
        ({"controls": {"strange": {"argument": "a"}}}, "strange, which is no control"),
        ({"latent": {"argument": "z", "size": 3, "control": "other"}}, "other, which is no"),
        ({"run": "rm"}, "run"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnusableModel, match=reason):
        read({**GOOD, **change})
