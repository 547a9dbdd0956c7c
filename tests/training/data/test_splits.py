from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from training.data.splits import PARTS, SPLITS, main, part_of, people, role_of, spread

from napari_medsyn.errors import UnusableFile


def test_the_multimodal_people_are_where_they_were_put():
    assert people("msv", "train") == ("msv-01", "msv-03")
    assert people("glioma") == ("glioma-00001",)
    assert [part_of(p) for p in ("glioma-00001", "msv-12", "ms-07")] == list(PARTS)


def test_everybody_is_in_one_part():
    # A name written twice in the file would win silently in `json.loads`.
    pairs = json.loads(SPLITS.read_text(), object_pairs_hook=lambda p: p)
    names = [name for name, _ in dict(pairs)["people"]]
    assert len(names) == len(set(names)) == 157 + 28 + 3 + 1 + 20
    assert sorted(sum((people("", part) for part in PARTS), ())) == sorted(names)


def test_shares_are_as_decided():
    assert [len(people("ixi", part)) for part in PARTS] == [101, 25, 31]
    assert [len(people("synthseg", part)) for part in PARTS] == [13, 3, 4]


def test_predictors_are_train_people_only():
    roles = {person: role_of(person) for person in people("")}
    predictors = [person for person, role in roles.items() if role == "predictor"]
    assert len(predictors) == 30
    assert set(predictors) <= set(people("ixi", "train"))
    assert set(roles.values()) == {None, "predictor"}


def test_the_prefix_is_the_whole_word():
    assert not any(person.startswith("msv") for person in people("ms"))


def test_a_stranger_is_an_error():
    with pytest.raises(KeyError, match="nobody is called 'ixi-999'"):
        part_of("ixi-999")


def test_spread_keeps_to_the_shares_in_every_stratum():
    strata = {f"p{n}": ("F" if n < 30 else "M",) for n in range(50)}
    given = spread(strata, {"a": 0.6, "b": 0.4}, np.random.default_rng(0))
    assert Counter(given.values()) == {"a": 30, "b": 20}
    women = Counter(given[p] for p, s in strata.items() if s == ("F",))
    assert women == {"a": 18, "b": 12}


def test_spread_is_random_within_strata_and_follows_from_the_seed():
    strata = {f"p{n:02d}": (0,) for n in range(40)}
    shares = {"a": 0.5, "b": 0.5}
    one, same, other = (spread(strata, shares, np.random.default_rng(s)) for s in (1, 1, 2))
    assert one == same
    assert one != other


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(UnusableFile, match=r"ixi_qc\.csv: there is no such file; --data must"):
        main(["--data", str(tmp_path), "--check"])


def test_the_file_is_never_overwritten(tmp_path, monkeypatch, capsys):
    there = tmp_path / "splits.json"
    there.write_text("{}")
    monkeypatch.setattr("training.data.splits.SPLITS", there)
    monkeypatch.setattr("training.data.splits.make_splits", lambda _: {"people": {}})
    assert main(["--data", str(tmp_path), "--write"]) == 1
    assert there.read_text() == "{}"
    assert "delete it first" in capsys.readouterr().out
    assert main(["--data", str(tmp_path), "--check"]) == 1
    there.unlink()
    assert main(["--data", str(tmp_path), "--write"]) == 0
    assert main(["--data", str(tmp_path), "--check"]) == 0
