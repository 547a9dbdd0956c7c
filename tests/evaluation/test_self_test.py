from __future__ import annotations

import io
import json
import os

import numpy as np
import pytest
from tests.evaluation._toy import AT_REST, SHAPE, Toy, make_toy, voxel

from napari_medsyn.errors import UnusableModel
from napari_medsyn.evaluation.rendering import Subject
from napari_medsyn.evaluation.self_test import check_golden, record_golden
from napari_medsyn.registry.card import read_card
from napari_medsyn.registry.packages import verify


@pytest.fixture
def package(tmp_path):
    make_toy(tmp_path / "toy")
    return tmp_path / "toy"


def subject(package, toy=None):
    card = read_card(package)
    return Subject(card, toy or Toy(card), None, AT_REST)


def rewrite(package, **golden):
    """Change what the card says of the golden output, as an author may."""
    fields = json.loads((package / "card.json").read_text())
    fields["golden"].update(golden)
    (package / "card.json").write_text(json.dumps(fields))


def test_without_a_golden_output_it_is_said_how_to_record_one(package):
    check = check_golden(package, subject(package))
    assert check.verdict == "warning"
    assert "medsyn models test --record" in check.sentence


def test_what_is_recorded_is_what_the_model_gives(package):
    before = json.loads((package / "card.json").read_text())
    card = record_golden(package, subject(package))
    assert card == verify(package)
    assert card.golden.model_dump() == {
        "file": "golden.npy",
        "output": "T1",
        "slices": (1, 3, 5),  # three of six, evenly spread
        "controls": {},
        "study": "none",
        "tolerance": 1e-3,
    }
    array = np.load(package / "golden.npy", allow_pickle=False)
    assert array.shape == (*SHAPE[:2], 3)
    np.testing.assert_allclose(array[0, 0], [voxel(1), voxel(3), voxel(5)], rtol=1e-6)
    after = json.loads((package / "card.json").read_text())
    del after["golden"]
    assert after.pop("files")[:1] == before.pop("files")
    assert after == before
    assert check_golden(package, subject(package)).verdict == "ok"


class _Drifted(Toy):
    by = 0.0

    def render(self, conditioning, controls, region):
        rendered = super().render(conditioning, controls, region)
        for values in rendered.mean.values():
            values[1, 2, -1] += self.by
        return rendered


@pytest.mark.parametrize(("by", "ok"), [(0.0009, True), (0.0011, False), (np.nan, False)])
def test_one_voxel_beyond_the_tolerance_fails(package, by, ok):
    record_golden(package, subject(package))
    toy = _Drifted(read_card(package))
    toy.by = by
    check = check_golden(package, subject(package, toy))
    assert check.ok is ok
    assert "0.001 is allowed" in check.sentence


def test_recording_again_keeps_slices_controls_and_tolerance(package):
    record_golden(package, subject(package))
    rewrite(package, slices=[2, 0], controls={"level": 1.0}, tolerance=0.01)
    card = record_golden(package, subject(package))
    assert (card.golden.slices, card.golden.controls) == ((2, 0), {"level": 1.0})
    assert card.golden.tolerance == 0.01
    assert [file.name for file in card.files] == ["weights.safetensors", "golden.npy"]
    array = np.load(package / "golden.npy")
    np.testing.assert_allclose(array[0, 0], [voxel(2) + 0.1, voxel(0) + 0.1], rtol=1e-6)
    assert check_golden(package, subject(package)).verdict == "ok"


def test_another_study_than_the_recorded_one_fails(package):
    record_golden(package, subject(package))
    rewrite(package, study="sample")
    check = check_golden(package, subject(package))
    assert not check.ok
    assert "'sample', which is not there" in check.sentence


def test_numbers_that_are_none_are_not_recorded(package):
    toy = _Drifted(read_card(package))
    toy.by = np.nan
    before = sorted(os.listdir(package)), (package / "card.json").read_bytes()
    with pytest.raises(UnusableModel, match="infinite or none"):
        record_golden(package, subject(package, toy))
    assert (sorted(os.listdir(package)), (package / "card.json").read_bytes()) == before


def saved(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no array", "is not an array"),
        (saved(np.zeros((4, 5, 3), np.float32))[:-7], "is not an array"),
        (saved(np.array([{}], object), allow_pickle=True), "is not an array"),
        (saved(np.zeros((4, 5), np.float32)), "is not an array of floats with three axes"),
        (saved(np.zeros((4, 5, 3), np.int64)), "is not an array of floats with three axes"),
        (saved(np.full((4, 5, 3), np.inf)), "infinite or none"),
    ],
)
def test_a_strange_file_is_refused(package, content, reason):
    record_golden(package, subject(package))
    (package / "golden.npy").write_bytes(content)
    with pytest.raises(UnusableModel, match=reason):
        check_golden(package, subject(package))


def test_a_header_that_claims_terabytes_is_refused(package):
    record_golden(package, subject(package))
    content = saved(np.zeros((4, 5, 3), np.float32))
    # As many characters as before: the header's length stays right.
    (package / "golden.npy").write_bytes(
        content.replace(b"(4, 5, 3), }" + 12 * b" ", b"(4, 5, 3000000000000), }")
    )
    with pytest.raises(UnusableModel, match="is not an array"):
        check_golden(package, subject(package))


def test_a_huge_file_is_not_read(package, monkeypatch):
    record_golden(package, subject(package))
    monkeypatch.setattr("napari_medsyn.evaluation.self_test._MOST_BYTES", 100)
    with pytest.raises(UnusableModel, match="is larger than 100 bytes"):
        check_golden(package, subject(package))


def test_another_shape_fails(package):
    record_golden(package, subject(package))
    (package / "golden.npy").write_bytes(saved(np.zeros((4, 5, 2))))
    check = check_golden(package, subject(package))
    assert not check.ok
    assert "(4, 5, 3), not (4, 5, 2)" in check.sentence
