"""What is said of a plate that is unlike those that its model learnt from."""

from __future__ import annotations

import numpy as np
import pytest

from omero_hcs.learning.modelcard import (
    EncoderCard,
    HeadCard,
    LabelsCard,
    ModelCard,
    NoveltyCard,
    PlateCard,
)
from omero_hcs.results import Table
from omero_hcs.tasks.novelty_told import novelty_line, novelty_of_wells, plate_novelty

KNOWN = NoveltyCard(threshold=2.0, false_alarm=0.04, wells=48, cells=1000)


def card(novelty=KNOWN, version=3):
    return ModelCard(
        schema_version=version, name="m", created="2026-11-21T06:30:00Z", versions={},
        classes=("normal", "abnormal"), normal_class="normal", channels=("DNA",),
        recipe="composite", crop_scale={}, input_size=64,
        encoder=EncoderCard(name="e", sha256="0", source="wheel"),
        head=HeadCard(kind="knn"), precision="fp32", labels=LabelsCard(counts={}),
        training=PlateCard(name="p"), novelty=novelty,
    )  # fmt: skip


def cells(scores, each=9, images=1):
    """Cells of one well a score; `images` fields in each."""
    count = len(scores) * each
    well = np.repeat([f"A{number + 1:02d}" for number in range(len(scores))], each)
    field = np.tile(np.arange(each) % images, len(scores)).astype(str)
    rng = np.random.default_rng(0)
    return Table(
        {
            "well": well,
            "image": np.char.add(well, field),
            "centre": np.full(count, "nucleus"),
            "novelty": (np.repeat(scores, each) + rng.normal(0, 0.01, count)).astype(np.float32),
        }
    )


def test_a_plate_with_many_new_wells_is_warned_of_with_the_share_and_the_mend():
    found = plate_novelty(card(), cells([3.0] * 30 + [1.0] * 66))
    assert (found.counted, found.count, found.beyond, found.warns) == ("wells", 96, 30, True)
    text = found.warning("P1")
    assert "P1 looks unlike" in text
    assert "30 of 96 wells (31 %)" in text
    assert "--suggest" in text


@pytest.mark.parametrize(("new", "warns"), [(0, False), (5, False), (30, True)])
def test_a_few_new_wells_are_what_chance_gives(new, warns):
    assert plate_novelty(card(), cells([3.0] * new + [1.0] * (96 - new))).warns is warns


def test_of_few_wells_the_fields_are_counted():
    found = plate_novelty(card(), cells([3.0, 3.0], each=20, images=4))
    assert (found.counted, found.count, found.beyond, found.warns) == ("fields", 8, 8, True)


def test_tiles_of_empty_fields_do_not_count():
    table = cells([1.0, 1.0, 1.0, 1.0, 9.0, 9.0])
    tiles = np.where(np.isin(table["well"], ["A05", "A06"]), "tile", "nucleus")
    table = table.with_columns(centre=tiles)
    assert plate_novelty(card(), table).count == 4
    wells = Table({"well": np.array(["A01", "A05", "A09"])})
    found = novelty_of_wells(table, wells)
    assert found[0] == pytest.approx(1.0, abs=0.05)
    assert np.isnan(found[1:]).all()


def test_models_that_cannot_tell_say_why_once():
    table = cells([1.0] * 8)
    without = Table({name: own for name, own in table.columns.items() if name != "novelty"})
    assert plate_novelty(card(), without) is None
    assert plate_novelty(card(novelty=None), table) is None
    assert "older release" in novelty_line(card(novelty=None, version=2), ())
    assert "fewer than 8" in novelty_line(card(novelty=None), ())
    assert np.isnan(novelty_of_wells(without, Table({"well": np.array(["A01"])}))).all()


def test_the_summary_names_plates_where_there_are_several():
    one = plate_novelty(card(), cells([1.0] * 8))
    assert novelty_line(card(), [("P1", one)]).startswith("0 of 8 wells")
    assert novelty_line(card(), [("P1", one), ("P2", one)]).startswith("P1: 0 of 8 wells")
