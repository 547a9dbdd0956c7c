"""The report on people not trained on, by hand; the whole command on made files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.models.mssg._people import made_sources
from training.mssg import label_fitting
from training.mssg.label_fitting import Table, describe, held_out, main, people_of

from napari_medsyn.models.mssg.labels import LabelModel


def tables(healthy: int, patients: int) -> tuple[Table, Table]:
    one, other = made_sources(healthy, patients)
    return Table(one.name, one.labels), Table(other.name, other.labels)


@pytest.fixture(scope="module")
def model() -> LabelModel:
    return LabelModel.fit(tables(40, 16))


def test_rows_as_a_user_states_them():
    table = Table(
        "ms",
        {"age": np.array([31.0]), "sex": np.array([1.0]), "lesions": np.array([4.5])},
    )
    assert people_of(table) == [{"age": 31.0, "sex": "M", "lesions": 4.5, "cohort": "ms"}]


def test_what_looks_at_age_foresees_more(model):
    found = held_out(model, tables(60, 16)[0], "ventricles")
    assert found.people == 60
    assert found.log_likelihood > found.marginal + 0.1
    assert 0.7 < found.covered <= 1
    assert 0.8 < found.supported <= 1


def test_likelihood_of_one_person_by_hand(model):
    table = Table(
        "ixi", {"age": np.array([50.0]), "sex": np.array([0.0]), "ventricles": np.array([20.0])}
    )
    found = held_out(model, table, "ventricles")
    z = model.joint.volumes["ventricles"].encode(20.0)
    assert found.marginal == pytest.approx(-0.5 * (np.log(2 * np.pi) + z**2))
    source = model.joint.sources[0]
    line = source.conditional("ventricles", model.joint.scale, np.array(50.0), np.array(-1.0), {})
    assert found.log_likelihood == pytest.approx(float(line.log_density(z)))


def test_the_table_of_what_is_expected(model):
    lines = describe(model).splitlines()
    assert lines[0] == "| age | sex | ventricles, ml | lesions, ml |"
    assert len(lines) == 2 + 6
    cell = lines[2].split("|")[3]
    assert float(cell.split()[0]) == pytest.approx(
        model.expected({"age": 25, "sex": "F"}, "ventricles"), abs=0.05
    )


def test_the_command_writes_what_a_card_has(tmp_path, monkeypatch, capsys):
    asked = []

    def made(data, part):
        asked.append((data, part))
        return tables(12, 9)

    monkeypatch.setattr(label_fitting, "load_tables", made)
    out = tmp_path / "runs" / "labels.json"
    assert main(["--data", str(tmp_path), "--out", str(out)]) == 0
    # Fitted on the train people alone.
    assert asked[0] == (tmp_path, "train")
    written = LabelModel.from_json(json.loads(out.read_text()))
    assert written.to_json() == LabelModel.fit(tables(12, 9)).to_json()
    assert "test ms lesions HeldOut(people=9" in capsys.readouterr().out
