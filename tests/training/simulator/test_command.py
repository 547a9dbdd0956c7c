from __future__ import annotations

import csv
import sys

import numpy as np
import pytest
from PIL import Image
from training.simulator.__main__ import main
from training.simulator.tissues import CODE


@pytest.fixture
def run(made, tmp_path, monkeypatch):
    """Runs the command; returns its status and the folder that it wrote."""

    def call(*more, data=made):
        out = tmp_path / "out"
        words = ["--data", data, "--out", out, "--cache", tmp_path, *more]
        monkeypatch.setattr(sys, "argv", ["simulator", *map(str, words)])
        return main(), out

    return call


def test_volumes_table_and_picture_belong_together(run):
    status, out = run("--n", 1, "--cohort", "clinic-thick", "--picture")
    assert status == 0
    with (out / "covariates.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["head-000"]
    for row in rows:
        with np.load(out / f"{row['name']}.npz", allow_pickle=False) as arrays:
            images, tissues, affine = (arrays[k] for k in ("images", "tissues", "affine"))
        assert images.shape == (4, 91, 109, 91)
        assert images.dtype == np.float16
        assert abs(np.linalg.det(affine[:3, :3])) == pytest.approx(8)
        ventricle = 0.008 * (tissues == CODE["ventricle"]).sum()
        assert float(row["ventricle_ml"]) == pytest.approx(ventricle, abs=0.01)
        assert row["ventricle_ml"] == row["true_ventricle_ml"]
        assert (row["sex"], row["lesion_ml"]) == ("", "")
        assert row["true_sex"] in ("F", "M")
    with Image.open(out / "simulated.png") as picture:
        assert picture.size == (5 * 91, 109)


def test_a_folder_without_data_is_an_error_for_people(run, tmp_path, capsys):
    status, out = run("--n", 1, data=tmp_path / "nothing")
    assert status == 2
    assert "nothing" in capsys.readouterr().out
    assert not out.exists()
