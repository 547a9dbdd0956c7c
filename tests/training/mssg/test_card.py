"""Every control of the card says what it is."""

from __future__ import annotations

from training.mssg.card import controls, fields

from napari_medsyn.models.mssg.generator import GROUPS


def test_covariates_may_be_unknown_and_the_rest_may_not() -> None:
    made = fields({}, (0.0, 0.0, 0.0), [], ["a", "b"], "1.0.0")
    optional = [c["name"] for c in made["controls"] if c.get("unknown")]
    assert optional == made["covariates"]


def test_supports_lie_within_ranges() -> None:
    for control in controls(["a", "b"]):
        if "support" in control:
            low, high = control["support"]
            assert control["minimum"] <= low < high <= control["maximum"]
    mixing = next(c for c in controls(["a", "b"]) if c["name"] == "mixing")
    assert mixing["maximum"] == GROUPS
