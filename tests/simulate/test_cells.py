from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from omero_hcs.simulate.cells import (
    ANAPHASE,
    DAUGHTER,
    INTERPHASE,
    METAPHASE,
    Population,
    draw_cells,
    ellipses,
)
from omero_hcs.simulate.fibres import grow_fibres
from omero_hcs.simulate.motion import cells_at
from omero_hcs.simulate.nuclei import split_lobes
from omero_hcs.simulate.scene import draw_scene, draw_tiles

SHAPE = (256, 256)


def some(count=30, seed=5, **changes):
    population = Population(count, SHAPE, **changes)
    cells = draw_cells(population, np.random.default_rng(seed))
    return replace(cells, stage=np.full(len(cells), INTERPHASE)) if not changes else cells


def test_ellipses_have_the_area_of_their_diameter():
    radii = ellipses(np.array([20.0]), np.array([2.5]), np.array([0.7]))[0]
    area = 0.5 * np.sum(radii**2) * 2 * np.pi / len(radii)
    assert area == pytest.approx(np.pi * 100, rel=1e-3)


def test_few_nuclei_overlap():
    cells = some(60)
    apart = np.hypot(cells.y[:, None] - cells.y, cells.x[:, None] - cells.x)
    np.fill_diagonal(apart, np.inf)
    touching = apart < (cells.diameter[:, None] + cells.diameter) / 2
    assert touching.any(1).mean() < 0.3


def test_a_full_field_takes_no_more_cells_than_fit():
    cells = draw_cells(Population(300, (96, 96)), np.random.default_rng(1))
    assert 5 < len(cells) < 60


def test_a_field_without_cells_can_be_drawn():
    cells = draw_cells(Population(0, SHAPE), np.random.default_rng(1))
    rng = np.random.default_rng(2)
    scene = draw_scene(cells, grow_fibres(cells, rng), draw_tiles(rng), SHAPE)
    assert scene.labels.max() == 0
    assert scene.light.max() == 0


def test_a_nucleus_is_drawn_where_and_as_large_as_its_cell_says():
    cells = some(1)
    cells = replace(cells, y=np.array([100.3]), x=np.array([120.8]))
    rng = np.random.default_rng(2)
    scene = draw_scene(cells, grow_fibres(cells, rng), draw_tiles(rng), SHAPE)
    ys, xs = np.nonzero(scene.labels == 1)
    assert ys.mean() == pytest.approx(100.3, abs=1)
    assert xs.mean() == pytest.approx(120.8, abs=1)
    assert 2 * np.sqrt(len(ys) / np.pi) == pytest.approx(cells.diameter[0], rel=0.12)


def test_dying_cells_break_into_pieces_and_dividing_ones_in_two():
    cells = some(3)
    cells = replace(
        cells, death=np.array([0.0, 1.0, 0.0]), stage=np.array([INTERPHASE, INTERPHASE, ANAPHASE])
    )
    pieces = np.bincount(split_lobes(cells).row)
    assert pieces[0] == 1
    assert pieces[1] >= 2
    assert pieces[2] == 2


def test_a_cell_in_metaphase_divides_and_both_daughters_keep_their_labels():
    cells = some(5)
    cells = replace(cells, stage=np.array([METAPHASE, 0, 0, 0, 0]))
    assert set(cells_at(cells, 0).id) == set(cells.id)
    assert cells_at(cells, 1).stage[0] == ANAPHASE
    later = [cells_at(cells, t) for t in (2, 3, 4)]
    for frame in later:
        assert len(frame) == 6
        assert set(frame.id) == {*range(1, 6), 6}
        assert sorted(frame.id[frame.stage == DAUGHTER]) == [1, 6]
    apart = [
        np.hypot(np.ptp(frame.y[frame.stage == DAUGHTER]), np.ptp(frame.x[frame.stage == DAUGHTER]))
        for frame in later
    ]
    assert apart == sorted(apart)


def test_actin_loss_dims_actin_and_rounds_cells():
    usual = some(40, strength=0.0, mechanism="none")
    treated = some(40, strength=1.0, mechanism="actin loss")
    assert np.median(treated.actin) < 0.5 * np.median(usual.actin)
    spread = [np.median(cells.body.std(1) / cells.body.mean(1)) for cells in (usual, treated)]
    assert spread[1] < spread[0]
