"""The family "python": controls in, volumes out, by way of a process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.models.isolated._packages import GOOD, HEIGHT, WIDTH, make_package, make_trusted

from napari_medsyn.errors import EngineError, UnusableModel
from napari_medsyn.exploration.requests import Finished
from napari_medsyn.exploration.session import Session
from napari_medsyn.models.families import load_family
from napari_medsyn.models.family import Region
from napari_medsyn.models.isolated.family import IsolatedFamily
from napari_medsyn.models.isolated.process import Limits
from napari_medsyn.models.latents import latent
from napari_medsyn.registry.consent import withdraw_consent
from napari_medsyn.scans.pictures import to_picture

LIMITS = Limits(start_s=60, call_s=0.3)

#: Gives back what it was called with: seed's noise, latent and arguments, as bytes.
ECHO = """
import numpy as np

def generate(model_file, input_latent_vector=None, mass=None, ages=None, fixed=None, **more):
    values = [0, 0, 0, 0, 0, 0]
    if input_latent_vector is not None:
        values[:3] = np.clip(input_latent_vector.ravel() * 20 + 100, 0, 255)
        assert input_latent_vector.shape == (1, 3, 1, 1)
        assert input_latent_vector.dtype == np.float32
    values[3:] = [mass or 0, ages[0] if ages else 0, fixed or 0]
    return [np.tile(np.uint8(values), (4, 1))]
"""


def row(family: IsolatedFamily, **values: Any) -> list[int]:
    """First row of the picture for some control values, in bytes."""
    given = family.draw([values])[0]["MG"]
    return [round(float(v)) for v in to_picture(given)[0] * 255]


@pytest.fixture
def echo(tmp_path: Path) -> Any:
    mass = {
        "kind": "categorical", "name": "mass", "label": "Mass", "default": 7,
        "categories": [{"value": 7, "label": "A"}, {"value": 8, "label": "B"}],
    }  # fmt: skip
    age = {
        "kind": "continuous", "name": "age", "label": "Age", "default": 40.0,
        "minimum": 0.0, "maximum": 100.0, "step": 1.0,
    }  # fmt: skip
    package, card = make_trusted(
        tmp_path / "p",
        ECHO,
        architecture={
            "weights": "code/weights.txt",
            "module": "model",
            "latent": {"argument": "input_latent_vector", "size": 3, "control": "latent"},
            "keywords": {"fixed": 9},
            "controls": {
                "mass": {"argument": "mass"},
                "age": {"argument": "ages", "form": "list"},
            },
        },
        controls=[
            {"kind": "seed", "name": "seed", "label": "Seed"},
            mass,
            age,
            {
                "kind": "latent", "name": "latent", "label": "Latent",
                "directions": ["z1", "z2", "z3"],
            },
        ],
    )  # fmt: skip
    family = load_family(package, card, "cpu")
    yield family
    family.close()  # type: ignore[attr-defined]


def test_controls_become_arguments(echo: IsolatedFamily) -> None:
    drawn = latent(5, 3).numpy()
    expected = [int(v) for v in np.clip(drawn * 20 + 100, 0, 255)]

    assert row(echo, seed=5) == [*expected, 7, 40, 9]
    assert row(echo, seed=5, mass=8, age=63.0)[3:] == [8, 63, 9]


def test_every_number_of_the_latent_moves(echo: IsolatedFamily) -> None:
    at_rest = row(echo, seed=5)
    moved = row(echo, seed=5, latent=(0.5, 1.0, -2.0))

    assert [b - a for a, b in zip(at_rest, moved, strict=True)] == [10, 20, -40, 0, 0, 0]


def test_several_at_once_are_each_their_own(echo: IsolatedFamily) -> None:
    images = echo.draw([{"seed": 1}, {"seed": 2}, {"seed": 1}])

    assert np.array_equal(images[0]["MG"], images[2]["MG"])
    assert not np.array_equal(images[0]["MG"], images[1]["MG"])


def test_it_keeps_the_contract_of_a_family(echo: IsolatedFamily) -> None:
    conditioning = echo.condition(None, {})
    (region,) = echo.plan([], [0], {"seed": 5})
    rendered = echo.render(conditioning, {"seed": 5}, region)

    assert region == Region((0,))
    assert rendered.mean["MG"].shape == (WIDTH, HEIGHT, 1)
    assert rendered.mean["MG"].dtype == np.float32


def test_without_consent_nothing_is_looked_at(tmp_path: Path) -> None:
    """Not even what the package needs: that is no reason to install anything."""
    package, card = make_package(tmp_path / "p", requires={"packages": ["no-such-package"]})

    with pytest.raises(UnusableModel, match="medsyn models trust"):
        load_family(package, card, "cpu")


def test_consent_that_is_withdrawn_ends_it(echo: IsolatedFamily) -> None:
    withdraw_consent(echo._package, echo.card)

    with pytest.raises(UnusableModel, match="without your consent"):
        echo.draw([{"seed": 1}])


def test_after_a_hang_the_next_request_starts_it_again(tmp_path: Path) -> None:
    code = GOOD.replace(
        "    rows",
        "    import time\n    time.sleep(30 * (input_latent_vector[0, 1, 0, 0] > 10))\n    rows",
        1,
    )
    controls = [
        {"kind": "seed", "name": "seed", "label": "Seed"},
        {
            "kind": "latent", "name": "latent", "label": "Latent",
            "directions": ["z1", "z2", "z3"], "maximum": 99.0,
        },
    ]  # fmt: skip
    package, card = make_trusted(tmp_path / "p", code, controls=controls)
    family = IsolatedFamily(card, package, "cpu", LIMITS)
    before = row(family, seed=1)

    with pytest.raises(EngineError, match="took longer"):
        family.draw([{"seed": 1, "latent": (0.0, 50.0, 0.0)}])

    assert row(family, seed=1) == before
    family.close()


def test_a_package_that_remembers_calls_is_noticed(tmp_path: Path) -> None:
    code = "calls = []\n" + GOOD.replace("    rows", "    calls.append(1)\n    rows", 1).replace(
        "rows * 10.0", "len(calls) + rows * 10.0"
    )
    package, card = make_trusted(tmp_path / "p", code)

    family = IsolatedFamily(card, package, "cpu", LIMITS)

    assert not family.is_resident
    assert "builds them again" in family.notes[0]
    assert "read again" in family.plan([], [0], {})[0].phase
    family.close()


def test_fences_that_are_missing_are_told(echo: IsolatedFamily) -> None:
    echo.fences = ("audit hook",)

    assert ["network" in note or "files" in note for note in echo.notes] == [True, True]


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        ("[np.zeros((5, 6), np.uint8)]", "6 x 5 pixels where its card says 6 x 4"),
        ("[np.full((4, 6), np.nan)]", "NaN"),
        ("[np.zeros(24)]", "not a picture"),
        ("None", "returned nothing"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_what_it_gives_is_checked_when_it_is_loaded(
    tmp_path: Path, returned: str, reason: str
) -> None:
    code = f"import numpy as np\ndef generate(**more):\n    return {returned}"
    package, card = make_trusted(tmp_path / "p", code)

    with pytest.raises(EngineError, match=reason):
        IsolatedFamily(card, package, "cpu", LIMITS)


def test_from_the_session_to_a_picture(tmp_path: Path, home: Path) -> None:
    make_trusted(home / "models" / "made", GOOD)
    finished: list[Finished] = []
    session = Session()
    session.choose_model("made-code")
    session.set_device("cpu")
    session.finished.connect(finished.append)
    session.failed.connect(lambda *said: pytest.fail(str(said)))

    session.impute()

    (volume,) = finished[-1].arrays.values()
    assert volume.shape == (WIDTH, HEIGHT, 1)
    session.close()
