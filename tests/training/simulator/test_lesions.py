from __future__ import annotations

import pytest
import torch
from training.simulator.anatomy import GRID_1MM
from training.simulator.lesions import LesionPlaces, grow, hosts, score_noise
from training.simulator.tissues import CODE, NAMES
from training.simulator.volumes import Lattice

#: World, mm: within each patient's box of lesion (`_made.write_lesions`), and far from all.
FIRST, SECOND, NOWHERE = (25.0, -45.0, 10.0), (25.0, 15.0, 15.0), (0.0, -10.0, -40.0)


@pytest.fixture(scope="module")
def places(made):
    return LesionPlaces(made, ("train",))


def test_only_people_of_the_part_are_used(places, made):
    assert places.people == ("ms-01", "ms-02")
    assert LesionPlaces(made, ("test",)).people == ("ms-07",)


def test_lesions_score_where_patients_had_them_on_either_side(places):
    points = torch.tensor([FIRST, SECOND, NOWHERE])
    both = torch.cat([points, points * torch.tensor([-1.0, 1, 1])])
    total = torch.zeros(6)
    for seed in range(20):
        total += places.score(both, torch.zeros(6), 2.0, torch.Generator().manual_seed(seed))
    first, second, nowhere = total[:3] + total[3:]
    assert first > 10 * nowhere.clamp_min(0.01)
    assert second > 10 * nowhere.clamp_min(0.01)
    # Each patient's lesions are swapped in about half of the heads.
    assert 0.2 < float(total[0] / first) < 0.8


def test_as_many_voxels_grow_as_are_wanted_and_the_best_ones():
    score = torch.tensor([0.1, 0.9, 0.5, 0.5, 0.8])
    assert set(grow(score, 2).tolist()) == {1, 4}
    assert len(grow(score, 3)) == 3  # of two equal ones only one
    assert len(grow(score, 9)) == 5
    assert len(grow(score, 0)) == 0


def test_only_white_matter_and_stem_bear_lesions():
    codes = torch.arange(14, dtype=torch.uint8)
    bearing = {NAMES[code - 1] for code in codes[hosts(codes)].tolist()}
    assert bearing == {"white", "stem", "cerebellar white"}
    assert CODE["white"] == 1


def test_shares_of_slabs_add_up_to_all_of_it(places):
    parts = [GRID_1MM.slices(z, z + 4) for z in range(0, 160, 4)]
    shares = [places.expected_share(part) for part in parts]
    assert sum(shares) == pytest.approx(1.0, abs=0.03)
    heights = [part.origin[2] for part in parts]
    # The boxes of lesion reach from z = 0 to 30 mm.
    within = sum(s for s, z in zip(shares, heights, strict=True) if -10 <= z <= 40)
    assert within > 0.9


def test_loads_are_the_patients_within_a_factor(places, generator):
    loads = torch.tensor([places.draw_load(generator) for _ in range(300)])
    near = [(loads > ml / 1.5 - 1e-3) & (loads < ml * 1.5 + 1e-3) for ml in (1.0, 3.0)]
    assert (near[0] | near[1]).all()
    assert 0.3 < float(near[0].float().mean()) < 0.7


def test_noise_differs_between_heads(generator):
    lattice = Lattice((20, 20, 20), (0.0, 0.0, 0.0), 2.0)
    one, other = score_noise(lattice, generator), score_noise(lattice, generator)
    assert 0.05 < float((one - other).std()) < 0.5
