"""Suggestions on a server: no labels until a user answers them, and his from then on."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra 'ml' is not installed")
pytest.importorskip("omero", reason="the extra 'omero' is not installed")

import contextlib

from omero.rtypes import rdouble, rstring

from omero_hcs.learning.modelfile import load_model
from omero_hcs.results import QUESTION
from omero_hcs.stores.base import LabelSource
from omero_hcs.stores.open import open_store
from omero_hcs.tasks.undo_run import undo_run
from omero_hcs.tasks.verbs import apply_qc, train_qc
from tests.tasks.test_train_omero import CLASSES, RANDOM, image_ids, plate, point

__all__ = ["plate"]  # a fixture, used by its name


def regions(conn, images):
    """Regions of the images by their one shape's text."""
    service = conn.getRoiService()
    rois = [roi for image in images for roi in service.findByImage(image, None).rois]
    return [(roi, roi.getShape(0)) for roi in rois]


def asking(conn, images):
    return [(roi, one) for roi, one in regions(conn, images) if one.textValue.val == QUESTION]


def labels_of(uri):
    with contextlib.closing(open_store(uri)) as store:
        return store.labels(store.refs()[0], source=LabelSource(kind="roi"))


@pytest.fixture
def suggested(plate, settings, omero_conn):
    """A plate with ten drawn labels, and a run that suggests four more."""
    images = image_ids(plate)
    for image in images[:5]:
        point(omero_conn, image, (16, 16), "normal")
        point(omero_conn, image, (48, 48), "abnormal")
    trained = train_qc(plate, settings=settings, labels="roi", classes=CLASSES, **RANDOM)
    path = trained.places[0]
    run = apply_qc(plate, model=path, suggest=4, rois=0, key_values="none", settings=settings)
    return plate, images, run


def test_an_answer_is_the_users_label_and_survives_undo(suggested, settings, omero_conn):
    plate, images, run = suggested
    assert len(asking(omero_conn, images)) == 4
    assert len(labels_of(plate)) == 10, "a question is no label"

    (answered, first), (moved, second), *_ = asking(omero_conn, images)
    first.textValue = rstring("abnormal")
    omero_conn.getUpdateService().saveObject(answered, omero_conn.SERVICE_OPTS)
    second.x = rdouble(second.x.val + 2)
    omero_conn.getUpdateService().saveObject(moved, omero_conn.SERVICE_OPTS)
    assert len(labels_of(plate)) == 11, "a question that was moved is still one"

    undo_run(run.run_id, where=plate, settings=settings)
    left = [one.textValue.val for _, one in regions(omero_conn, images)]
    assert left.count("abnormal") == 6
    assert left.count(QUESTION) == 1, "what a user changed is left to him"
    found = labels_of(plate)
    assert len(found) == 11
    answer = found.where(found["object_id"] == f"Shape:{first.id.val}")
    assert answer["label"].tolist() == ["abnormal"]

    again = train_qc(plate, settings=settings, labels="roi", classes=CLASSES, **RANDOM)
    assert sum(load_model(Path(again.places[0])).card.labels.counts.values()) == 11
