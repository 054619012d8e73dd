"""From labels to trust: what a model keeps of its plate, and what it tells of others by that."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="the extra 'ml' is not installed")

from omero_hcs.learning.kept_examples import read_examples
from omero_hcs.learning.modelfile import load_model
from omero_hcs.results import LABEL_COLUMNS, QUESTION, Table
from omero_hcs.tasks.verbs import apply_qc, train_qc

RANDOM = {"weights": "random", "encoder": "mobilenetv3_small_050", "name": "m", "head": "knn"}
FIELDS = 10


def labels():
    rows = []
    for image in range(6):
        for name, at in (("normal", 16.0), ("abnormal", 48.0)):
            row = dict.fromkeys(LABEL_COLUMNS, "") | {"field": 0, "z": 0, "t": 0, "source": "roi"}
            row |= {"image": f"i{image:03d}", "well": f"A{image + 1:02d}", "user": "ann"}
            rows.append(row | {"label": name, "y": at, "x": at, "time": f"2026-01-0{image + 1}"})
    return Table.from_rows(rows, LABEL_COLUMNS)


@pytest.fixture
def train(memory, settings):
    """Train on a plate of ten wells: the plate, the outcome, the model file."""

    def run(fields=FIELDS, **options):
        plate = memory(fields)
        plate.store._memory.labels = labels()
        outcome = train_qc(plate.uri, settings=settings, labels="roi", **RANDOM, **options)
        return plate, outcome, Path(outcome.places[0])

    return run


def read(run, name):
    return Table.from_parquet(next(place for place in run.places if place.endswith(name)))


def test_a_model_keeps_its_examples_and_knows_its_plate(train):
    _, outcome, path = train()
    model = load_model(path)
    assert model.card.examples.label == ("normal", "abnormal") * 6
    assert model.card.examples.user == ("ann",) * 12
    assert model.card.novelty.wells == FIELDS
    assert outcome.summary["keeps"].startswith("12 labelled cells")
    assert "10 wells" in outcome.summary["knows"]
    assert outcome.summary["file"].endswith("MB")
    kept = read_examples(path)
    assert len(kept) == 12
    assert Image.open(io.BytesIO(kept.picture(11))).size == (48, 48)


def test_no_pixels_and_no_names_leave_with_a_model_that_keeps_no_examples(train):
    _, _, path = train(keep_examples=False)
    card = load_model(path).card
    assert card.examples is None
    assert read_examples(path) is None
    assert '"ann"' not in card.model_dump_json()
    assert card.novelty is not None


def test_a_plate_of_few_wells_is_told_to_be_too_small_to_know(train):
    _, outcome, path = train(fields=6)
    assert load_model(path).card.novelty is None
    assert any("6 wells" in text for text in outcome.summary["warnings"])


def test_cells_say_which_labelled_ones_they_are_like(train, settings):
    plate, _, path = train()
    run = apply_qc(plate.uri, model=str(path), suggest=4, settings=settings)
    (record,) = (one for one in plate.store._memory.results.values() if one.unit is None)
    cells, wells = record.tables["cells"], record.tables["wells"]
    assert cells["why_1"].dtype == np.int32
    assert {"why_1", "why_2", "why_3", "why_1_similarity", "novelty"} <= set(cells.columns)
    assert "view" not in cells
    own = cells.where((cells["image"] == "i000") & (np.abs(cells["y"] - 16) < 2))
    assert 0 <= own["why_1"][0] < 12
    assert own["why_1_similarity"][0] > 0.99, "it is one of the labelled cells itself"
    assert np.isfinite(wells["novelty"]).all()
    assert "of 10 wells" in run.summary["novelty"]
    assert "4 cells are marked" in run.summary["to label"]
    assert "4 cells are marked" in run.summary["told"], "what an OMERO script answers"
    assert [roi.text for roi in record.rois] == [QUESTION] * 4
    names = {file.name for file in record.files}
    assert {"suggestions.csv", "suggestions.png"} <= names
    page = next(file.content for file in record.files if file.name == "report.html").decode()
    assert "To label next" in page
    assert page.count('class="like"') >= 4
    about = json.loads(next(file.content for file in record.files if file.name == "run.json"))
    assert len(about["suggested"]) == 4
    assert about["novelty"]["warns"] is False


def test_answers_in_the_file_of_suggestions_teach_the_next_model(write_plate, settings, tmp_path):
    """On disk: label, train, judge, answer what is asked, train again."""
    plate = write_plate(tmp_path / "p.zarr", FIELDS)
    drawn = labels()
    where = {"image": np.full(len(drawn), ""), "plate": np.full(len(drawn), "")}
    first = tmp_path / "first.csv"
    first.write_text(drawn.with_columns(**where).to_csv())
    trained = train_qc(plate, settings=settings, labels=str(first), **RANDOM)
    run = apply_qc(plate, model=trained.places[0], suggest=5, settings=settings)
    asked = Path(next(place for place in run.places if place.endswith("suggestions.csv")))
    header, *rows = asked.read_text().splitlines()
    assert len(rows) == 5
    answered = [row.replace(QUESTION, "normal") for row in rows[:3]]
    names = header.split(",")
    extra = [dict(zip(names, row.split(","), strict=True)) for row in [*answered, *rows[3:]]]
    both = Table.concat(
        [
            drawn.with_columns(**where),
            Table.from_rows([{name: row[name] for name in LABEL_COLUMNS} for row in extra]),
        ]
    )
    second = tmp_path / "second.csv"
    second.write_text(both.to_csv())
    again = train_qc(plate, settings=settings, labels=str(second), **RANDOM)
    assert load_model(Path(again.places[0])).card.labels.counts == {"abnormal": 6, "normal": 9}


def test_a_plate_unlike_the_models_is_warned_of(train, memory, settings):
    _, _, path = train()
    other = memory(FIELDS)
    for name, pixels in other.store._memory.pixels.items():
        rng = np.random.default_rng(int(name[1:]))
        stripes = 1500 * (np.arange(pixels.shape[-1]) // 3 % 2) * (rng.random() + 0.5)
        other.store._memory.pixels[name] = (pixels + stripes).astype(np.uint16)
    run = apply_qc(other.uri, model=str(path), settings=settings)
    assert any("looks unlike what the model" in text for text in run.summary["warnings"])
