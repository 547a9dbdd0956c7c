"""Animations: every frame shows what it is, and shows it the right way round."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from tests import _builders

from napari_medsyn.errors import UnusableFile, UnusableStudy
from napari_medsyn.exploration.animating import LAST_MS, STEP_MS, animate
from napari_medsyn.exploration.swept import Swept
from napari_medsyn.scans.study import Scan

SHAPE = (20, 24, 6)
BORDER = 26


def make_swept(orientation: str = "RAS", spacing=(1.0, 1.0, 3.0), values=(20.0, 50.0, 80.0)):
    """A block in the patient's left, front, upper corner that gets brighter."""
    affine = _builders.make_affine(orientation, spacing, (0, 0, 0))
    array = np.zeros((len(values), *SHAPE), np.float32)
    corner = tuple(
        slice(n // 2, None) if letter in "LAS" else slice(None, n // 2)
        for n, letter in zip(SHAPE, orientation, strict=True)
    )
    for step in range(len(values)):
        array[(step, *corner)] = 100 * (step + 1)
    reference = Scan(np.zeros(SHAPE, np.uint8), affine, modality="T1")
    arrays = {"counterfactual_T1": array, "difference_T1": array - 200}
    return Swept("age", "Age", "years", values, arrays, {"model": "people", "seed": 3}, reference)


def frames_of(path) -> list[np.ndarray]:
    """(H, W, 3) of each frame, taken out by itself."""
    with Image.open(path) as image:
        frames = []
        for number in range(image.n_frames):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGB")).astype(int))
        return frames


def picture_of(frame: np.ndarray) -> np.ndarray:
    """What lies between the borders; the paper beside it is cut off."""
    inner = frame[BORDER:-BORDER]
    columns = np.flatnonzero((inner != 24).any(axis=(0, 2)))
    return inner[:, columns[0] : columns[-1] + 1]


def test_there_is_a_frame_for_each_step_and_the_last_one_stays(tmp_path):
    path = animate(make_swept(), tmp_path / "age.gif", "counterfactual_T1", 2, 4)
    with Image.open(path) as image:
        assert (image.format, image.n_frames, image.info["loop"]) == ("GIF", 3, 0)
        assert b"SYNTHETIC" in image.info["comment"]
        durations = []
        for number in range(3):
            image.seek(number)
            durations.append(image.info["duration"])
    assert durations == [STEP_MS, STEP_MS, LAST_MS]


def test_each_frame_says_what_it_is_and_its_value(tmp_path, monkeypatch):
    from PIL import ImageDraw

    written = []
    real = ImageDraw.ImageDraw.text
    monkeypatch.setattr(
        ImageDraw.ImageDraw,
        "text",
        lambda self, at, text, **how: written.append(text) or real(self, at, text, **how),
    )
    path = animate(make_swept(), tmp_path / "age.gif", "counterfactual_T1", 2, 4)
    marks, said = written[::2], written[1::2]
    assert set(marks) == {"SYNTHETIC T1 · people · seed 3 · Research use; not for diagnosis"}
    assert said == [f"Counterfactual · Age {age} years" for age in (20, 50, 80)]
    for frame in frames_of(path):
        # White letters above and below the picture, none of them cut off at the right.
        for border in (frame[:BORDER], frame[-BORDER:]):
            columns = np.flatnonzero((border > 200).any(axis=(0, 2)))
            assert len(columns) > 50
            assert columns[-1] < frame.shape[1] - 2


def test_every_letter_is_one_that_the_font_has():
    from PIL import ImageFont

    font = ImageFont.load_default(14)
    missing = bytes(font.getmask("\uffff"))
    for letter in "SYNTHETIC T1 · people; -+.0123456789()":
        assert letter == " " or bytes(font.getmask(letter)) != missing, letter


def test_a_difference_tells_its_colours(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(
        "PIL.ImageDraw.ImageDraw.text", lambda _self, _at, text, **_how: written.append(text)
    )
    animate(make_swept(), tmp_path / "age.gif", "difference_T1", 2, 4)
    assert written[1] == "Difference · Age 20 years · blue -200 to red 200"


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "LAI"])
def test_an_axial_plane_has_the_face_up_and_the_patients_left_on_the_right(tmp_path, orientation):
    index = 4 if orientation[2] == "S" else 1
    path = tmp_path / "a.gif"
    animate(make_swept(orientation), path, "counterfactual_T1", 2, index)
    picture = picture_of(frames_of(path)[-1])[..., 0]
    height, width = (n // 2 for n in picture.shape)
    assert picture[:height, width:].mean() > 200
    assert picture[:height, :width].mean() < 40
    assert picture[height:].mean() < 40


def test_a_coronal_plane_has_the_head_up_and_square_pixels(tmp_path):
    path = tmp_path / "a.gif"
    animate(make_swept(), path, "counterfactual_T1", 1, 20)
    picture = picture_of(frames_of(path)[-1])[..., 0]
    # 20 mm wide, 6 * 3 mm high.
    assert picture.shape[1] / picture.shape[0] == pytest.approx(20 / 18, rel=0.01)
    height, width = (n // 2 for n in picture.shape)
    assert picture[:height, width:].mean() > 200
    assert picture[height:].mean() < 20


def test_one_window_holds_for_all_steps(tmp_path):
    path = tmp_path / "a.gif"
    animate(make_swept(), path, "counterfactual_T1", 2, 4)
    brightest = [picture_of(frame).max() for frame in frames_of(path)]
    assert brightest == pytest.approx([85, 170, 255], abs=3)


def test_a_difference_is_blue_below_and_red_above_zero(tmp_path):
    swept = make_swept()
    path = tmp_path / "a.gif"
    animate(swept, path, "difference_T1", 2, 4)
    first, zero, last = (
        picture_of(frame)[: frame.shape[0] // 3, -40:].reshape(-1, 3).mean(axis=0)
        for frame in frames_of(path)
    )
    assert first[2] > first[0] + 50
    assert zero.max() < 10
    assert last[0] > last[2] + 50


@pytest.mark.parametrize(
    ("output", "axis", "index", "reason"),
    [
        ("jacobian_T1", 2, 4, "no jacobian_T1; it has counterfactual_T1, difference_T1"),
        ("difference_T1", 3, 0, "no plane 0 across axis 3"),
        ("difference_T1", 2, 6, "no plane 6 across axis 2"),
    ],
)
def test_what_is_not_there_is_refused(tmp_path, output, axis, index, reason):
    with pytest.raises(UnusableStudy, match=reason):
        animate(make_swept(), tmp_path / "a.gif", output, axis, index)
    assert not list(tmp_path.iterdir())


def test_other_endings_and_files_in_the_way_are_refused(tmp_path):
    with pytest.raises(UnusableFile, match=r"give it the ending \.gif"):
        animate(make_swept(), tmp_path / "a.mp4", "difference_T1", 2, 4)
    path = tmp_path / "a.gif"
    path.write_bytes(b"mine")
    with pytest.raises(UnusableFile, match="exists already"):
        animate(make_swept(), path, "difference_T1", 2, 4, overwrite=False)
    assert path.read_bytes() == b"mine"
