"""Training on what users drew and tagged: what the model says of its labels, and where it goes."""

from __future__ import annotations

import itertools
import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'ml' is not installed")

from omero_hcs.errors import InputError, InputErrors, LabelError
from omero_hcs.learning.modelfile import load_model
from omero_hcs.model import StoreSpec
from omero_hcs.results import LABEL_COLUMNS, Table
from omero_hcs.stores.base import KeptModel
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.tasks import train_qc as task
from omero_hcs.tasks.base import Request
from omero_hcs.tasks.driver import open_ledger, run_task
from omero_hcs.tasks.sources import joined
from omero_hcs.tasks.verbs import train_qc

RANDOM = {"weights": "random", "encoder": "mobilenetv3_small_050", "name": "m", "head": "knn"}
CELLS = (16.0, 48.0, 80.0)
_numbers = itertools.count(1)


def label(name, image, at=None, user="ann", day=1, **more):
    number, (y, x) = next(_numbers), at or (np.nan, np.nan)
    row = dict.fromkeys(LABEL_COLUMNS, "") | {"field": 0, "z": 0, "t": 0, "image": f"i{image:03d}"}
    given = {"user": user, "time": f"2026-01-{day:02d}T00:00:00Z", "object_id": f"Shape:{number}"}
    place = {"y": float(y), "x": float(x), "well": f"A{image + 1:02d}"}
    return row | place | given | {"label": name, "source": "roi" if at else "tag"} | more


def drawn(images=(0, 1, 2, 3)):
    """Two cells of each field are labelled, one of either class."""
    return [
        label(name, image, (at, at))
        for image in images
        for name, at in (("normal", CELLS[0]), ("abnormal", CELLS[1]))
    ] + [label(name, 4, (at, at)) for name, at in (("normal", 16), ("abnormal", 48))]


@pytest.fixture
def train(memory, settings):
    """Train on labels of a plate of eight fields: outcome and model."""

    def run(*rows, **options):
        plate = memory(8)
        plate.store._memory.labels = Table.from_rows(rows, LABEL_COLUMNS)
        run.outcome = train_qc(plate.uri, settings=settings, **{"labels": "roi"} | RANDOM | options)
        return run.outcome, load_model(Path(run.outcome.places[0])).card

    return run


def test_the_model_keeps_who_labelled_what_when_and_where(train):
    rows = [*drawn(), label("abnormal", 0, (17, 15), "bob", 9), label("todo", 5, (48, 48))]
    rows.append(label("normal", 5, (80, 80)))
    outcome, card = train(*rows, classes=("normal", "abnormal"))
    labels = card.labels
    assert labels.counts == {"abnormal": 6, "normal": 5}
    assert labels.users == ("ann", "bob")
    assert labels.by_user == {"ann": {"abnormal": 5, "normal": 6}, "bob": {"abnormal": 1}}
    assert (labels.kind, labels.rule, labels.conflicts) == ("roi", "latest", 1)
    assert (labels.first, labels.last) == ("2026-01-01T00:00:00Z", "2026-01-09T00:00:00Z")
    listed = labels.provenance
    assert len(listed.label) == 12
    assert listed.object_id[0].startswith("Shape:")
    assert listed.used.count("overruled") == 1
    told = "\n".join(outcome.summary["warnings"])
    assert "'todo' (1)" in told
    assert "'normal' (by ann, 2026-01-01T00:00:00Z) and 'abnormal' (by bob" in told


def test_whole_fields_teach_and_are_scored_by_field(train):
    rows = [label("normal", n) for n in range(4)] + [label("abnormal", n) for n in (4, 5, 6, 7)]
    outcome, card = train(*rows, labels="tags", weak_limit=2)
    assert card.labels.counts == card.labels.weak == {"abnormal": 8, "normal": 8}
    assert card.labels.weak_fields == {"abnormal": 4, "normal": 4}
    assert card.metrics["fields"] == 8
    assert 0 <= card.metrics["field_accuracy"] <= 1
    assert "accuracy" not in card.metrics
    assert outcome.summary["labels"] == ""
    assert outcome.summary["from whole fields"] == "8 abnormal, 8 normal"
    assert "95 %" in outcome.summary["fields judged as labelled"]


def test_single_cells_are_scored_apart_from_whole_fields(train):
    outcome, card = train(*drawn(), label("abnormal", 0), label("normal", 6), labels="roi,tags")
    assert card.labels.counts == {"abnormal": 6, "normal": 8}
    assert card.labels.weak == {"abnormal": 1, "normal": 3}
    assert card.metrics["labels"] == 10
    assert card.metrics["fields"] == 2
    assert outcome.summary["labels"] == "5 abnormal, 5 normal"


def test_too_few_cells_of_a_field_are_too_few_labels(train):
    rows = [*[row for row in drawn() if row["label"] == "normal"], label("abnormal", 5)]
    match = r"(?s)at least 5 labels.*'abnormal' has 3.*3 examples are cells of 1 field"
    with pytest.raises(LabelError, match=match):
        train(*rows, labels="roi,tags")


def test_what_is_wrong_is_said_before_a_pixel_is_read(train, monkeypatch):
    monkeypatch.setattr(MemoryStore, "read", lambda *_, **__: pytest.fail("a pixel was read"))
    rows = [*drawn(), label("normal", 2, (500, 5)), label("normal", 99, (5, 5))]
    with pytest.raises(InputErrors, match=r"(?s)i099 .*not among.*lies outside"):
        train(*rows)
    with pytest.raises(LabelError, match="--normal-class"):
        train(*[{**row, "label": row["label"].upper()} for row in drawn()])
    with pytest.raises(InputErrors, match="two labels"):
        train(*drawn(), label("abnormal", 0, (16, 16), "bob"), conflicts="refuse")
    with pytest.raises(InputError, match=r"keeps no models.*Leave it out"):
        train(*drawn(), upload=True)


def test_labels_changed_meanwhile_are_noticed(train, memory, settings):
    plate = memory(5)
    plate.store._memory.labels = Table.from_rows(drawn(), LABEL_COLUMNS)
    params = task.Params(labels="roi", **RANDOM)
    request = Request(plate.store.refs(), settings)
    train(*drawn())
    spec = load_spec(settings, train.outcome.run_id)
    marks = task.fingerprint(plate.store, params, request)
    stale = spec.model_copy(update={"labels_sha256": marks.labels_sha256[::-1]})
    with pytest.raises(LabelError, match="changed since this run began"):
        next(task.work(plate.store, stale, task.plan(plate.store, params, request).units))


def load_spec(settings, run_id):
    with closing(open_ledger(settings)) as ledger:
        return ledger.run(run_id).spec


class Home(MemoryStore):
    """A store that keeps models, as OMERO does."""

    def __init__(self, where):
        super().__init__(where if isinstance(where, StoreSpec) else StoreSpec(uri=where))

    kept: dict[str, bytes] = {}  # noqa: RUF012

    def models(self):
        return ()

    def fetch_model(self, model_id):
        return self.kept[model_id]

    def keep_model(self, target, name, content, *, card):
        self.kept[f"{target.id}/{name}"] = content
        assert json.loads(card)["labels"]["counts"]
        assert "provenance" not in json.loads(card)["labels"]
        return KeptModel("12", name, "ann", "2026", len(content), card)


def test_a_model_is_attached_to_what_it_was_trained_on(train, monkeypatch):
    monkeypatch.setitem(run_task.__kwdefaults__, "opener", Home)
    outcome, _ = train(*drawn(), upload=True)
    assert Home.kept == {"small/m.safetensors": Path(outcome.places[0]).read_bytes()}
    assert outcome.summary["in OMERO"] == "omero:12"


def test_plates_teach_one_model_together_and_one_without_labels_is_told(memory, settings):
    plates = [memory(4), memory(4), memory(2)]
    for plate, (name, at) in zip(plates, [("normal", 16), ("abnormal", 48)], strict=False):
        rows = [label(name, image, (at + step, at)) for image in range(4) for step in (0, 32)]
        plate.store._memory.labels = Table.from_rows(rows, LABEL_COLUMNS)
    where = joined([plate.uri for plate in plates])
    outcome = train_qc(where, settings=settings, labels="roi", **RANDOM)
    card = load_model(Path(outcome.places[0])).card
    assert card.labels.counts == {"abnormal": 8, "normal": 8}
    assert card.metrics["groups"] == 8
    assert any("Labels were not found everywhere" in w for w in outcome.summary["warnings"])


def test_labels_at_the_border_are_counted(train):
    """Crops of 40 px: those around 16 and 80 px of 96 reach past the border, around 48 not."""
    told = [
        text
        for text in train(*drawn(), crop_size="40px")[0].summary["warnings"]
        if "border" in text
    ]
    assert len(told) == 1
    assert told[0].startswith("5 of 10 labelled cells lie at the border of their image")
    assert "border" not in str(train(*drawn(), crop_size="24px")[0].summary["warnings"])
