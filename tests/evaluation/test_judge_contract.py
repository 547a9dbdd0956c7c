from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tests.evaluation._judges import FakeJudge, make_judge

from napari_medsyn.evaluation.judge_contract import check_judge
from napari_medsyn.registry.card import read_card

SHAPE = (10, 12, 14)


@pytest.fixture
def card(tmp_path):
    return read_card(make_judge(tmp_path / "judge"))


def study():
    volume = np.linspace(0, 1, int(np.prod(SHAPE)), dtype=np.float32).reshape(SHAPE)
    grid = SimpleNamespace(spacing=(1.0, 1.0, 1.0))
    return SimpleNamespace(volumes={"T1": volume}, mask=volume > 0.5, grid=grid)


def checks_of(card, judge=None):
    return {c.name: c for c in check_judge(card, judge or FakeJudge(card), study())}


def test_a_judge_that_keeps_its_word_passes(card):
    checks = checks_of(card)
    assert {check.verdict for check in checks.values()} == {"ok"}
    # Half of the 1680 voxels of 1 mm, the brightest of them 1.
    assert checks["readings"].sentence == "Brain 0.84 ml; Brightness 1"


class _Altered(FakeJudge):
    """Says what `alter` gives in the place of the right words."""

    def __init__(self, card, alter):
        super().__init__(card)
        self.alter = alter

    def read(self, prepared):
        return replace(super().read(prepared), **self.alter())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"readings": {"brain": 1.0}}, "the same readings: brightness"),
        ({"readings": {"brain": np.nan, "brightness": 1.0}}, "brain is infinite"),
        ({"spread": {"brain": np.inf}}, "spread of brain is infinite"),
        ({"maps": {}}, "the same maps: halves"),
        ({"maps": {"halves": np.zeros((9, 12, 14))}}, "has the shape (9, 12, 14)"),
        ({"maps": {"halves": np.full(SHAPE, 3)}}, "has the code 3"),
        ({"maps": {"halves": np.full(SHAPE, np.nan)}}, "infinite or none"),
    ],
)
def test_a_verdict_that_is_not_the_card_s_fails(card, changes, reason):
    checks = checks_of(card, _Altered(card, lambda: changes))
    assert list(checks) == ["readings"]
    assert not checks["readings"].ok
    assert reason in checks["readings"].sentence


def test_another_verdict_on_the_same_study_fails(card):
    drawn = iter((1.0, 2.0))
    judge = _Altered(card, lambda: {"readings": {"brain": next(drawn), "brightness": 1.0}})
    assert not checks_of(card, judge)["same study"].ok


def test_what_a_judge_raises_is_its_answer(card):
    judge = _Altered(card, lambda: 1 / 0)
    assert "ZeroDivisionError" in checks_of(card, judge)["readings"].sentence
