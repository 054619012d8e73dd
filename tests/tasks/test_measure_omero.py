"""What users labelled on a server, measured; and a model of it, on labels that came later."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="the extra 'ml' is not installed")
pytest.importorskip("omero", reason="the extra 'omero' is not installed")

from omero.model import ImageI, PointI, RoiI
from omero.rtypes import rdouble, rint, rstring

from omero_hcs.stores.open import open_store
from omero_hcs.tasks.measure_evaluate import measure_evaluate
from omero_hcs.tasks.qc_choices import EvaluateParams
from omero_hcs.tasks.verbs import train_qc

RANDOM = {
    "weights": "random", "encoder": "mobilenetv3_small_050", "input_size": 32, "head": "knn",
    "labels": "roi", "classes": ("normal", "abnormal"),
}  # fmt: skip
CELLS = ((16, 16), (48, 48), (80, 80))


def label(conn, image, cells, text):
    """Draw points as OMERO.iviewer does."""
    for y, x in cells:
        shape = PointI()
        shape.x, shape.y = rdouble(x), rdouble(y)
        shape.theZ, shape.theT, shape.textValue = rint(0), rint(0), rstring(text)
        roi = RoiI()
        roi.setImage(ImageI(image, False))
        roi.addShape(shape)
        conn.getUpdateService().saveAndReturnObject(roi)


@pytest.fixture
def plate(memory, omero_put, omero_user, omero_uri, omero_way_in):
    omero_way_in(omero_user)
    return omero_uri(f"plate/{omero_put(omero_user, memory(8).store).plate}")


def test_labels_on_a_server_and_a_model_on_those_that_came_later(plate, omero_conn, monkeypatch):
    monkeypatch.setenv("OMERO_HCS_OMERO_WEB", "https://omero.example.org/")
    store = open_store(plate)
    images = [int(site.image.id) for site in store.plate(store.refs()[0].id).sites()]
    store.close()
    for image in images[:6]:
        texts = ("normal", "abnormal") if image != images[5] else ("abnormal", "normal")
        label(omero_conn, image, CELLS[:1], texts[0])
        label(omero_conn, image, CELLS[1:2], texts[1])

    found = measure_evaluate([plate], EvaluateParams(**RANDOM))
    assert found.details["labels"][0]["counts"] == {"abnormal": 6, "normal": 6}
    assert found.details["apart"] == "well"
    again = found.tables["doubtful"]
    assert "A06" in again["well"].tolist()
    pages = {f"https://omero.example.org/webclient/?show=image-{image}" for image in images}
    assert set(again["link"].tolist()) <= pages

    model = train_qc(plate, name="early", **RANDOM).places[0]
    label(omero_conn, images[0], CELLS[2:], "normal")  # of a well that the model knows
    for image in images[6:]:
        label(omero_conn, image, CELLS[:1], "normal")
        label(omero_conn, image, CELLS[1:2], "abnormal")
    later = measure_evaluate([plate], EvaluateParams(model=model, **RANDOM))
    assert later.details["left_out"] == 13
    assert later.details["metrics"]["labels"] == 4
    assert later.details["metrics"]["groups"] == 2
