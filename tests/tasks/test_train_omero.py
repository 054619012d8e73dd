"""Training through the real client on what users drew, tagged and sorted on a server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'ml' is not installed")
pytest.importorskip("omero", reason="the extra 'omero' is not installed")

import ezomero
from omero.gateway import MapAnnotationWrapper, TagAnnotationWrapper
from omero.model import ImageI, PointI, RoiI
from omero.rtypes import rdouble, rint, rstring

from omero_hcs.errors import LabelError
from omero_hcs.learning.modelfile import load_model
from omero_hcs.stores.omero.cropnote import CropNote
from omero_hcs.stores.omero.record import CROP_NAMESPACE
from omero_hcs.stores.open import open_store
from omero_hcs.tasks.label_verbs import check, list_labels
from omero_hcs.tasks.labels import ExampleParams
from omero_hcs.tasks.verbs import train_qc

RANDOM = {"weights": "random", "encoder": "mobilenetv3_small_050", "name": "m", "head": "knn"}
CLASSES = ("normal", "abnormal")


@pytest.fixture
def plate(memory, omero_put, omero_user, omero_uri, omero_way_in):
    """Six fields of three nuclei on a server, its owner's; what opens a store gets in as him."""
    omero_way_in(omero_user)
    made = omero_put(omero_user, memory(6).store)
    return omero_uri(f"plate/{made.plate}")


def image_ids(uri):
    store = open_store(uri)
    try:
        return [int(site.image.id) for site in store.plate(store.refs()[0].id).sites()]
    finally:
        store.close()


def point(conn, image, at, text):
    """Draw a point as OMERO.iviewer does."""
    shape = PointI()
    shape.x, shape.y = rdouble(at[1]), rdouble(at[0])
    shape.theZ, shape.theT, shape.textValue = rint(0), rint(0), rstring(text)
    roi = RoiI()
    roi.setImage(ImageI(image, False))
    roi.addShape(shape)
    return conn.getUpdateService().saveAndReturnObject(roi).id.val


def tag(conn, text, images):
    """Tag images as OMERO.web does: one tag, a link each."""
    made = TagAnnotationWrapper(conn)
    made.setValue(text)
    made.save()
    for image in images:
        conn.getObject("Image", image).linkAnnotation(made)


def test_regions_and_tags_of_two_users_make_a_model_that_says_so(
    plate, settings, omero_conn, omero_second_conn, omero_second_user
):
    images = image_ids(plate)
    for image in images[:5]:
        point(omero_second_conn, image, (14, 18), "normal")
        point(omero_second_conn, image, (50, 46), "abnormal")
    point(omero_conn, images[0], (17, 15), "abnormal")
    point(omero_conn, images[1], (80, 80), "to do")
    tag(omero_second_conn, "normal", images[4:])
    options = {"labels": "roi,tags", "classes": CLASSES, "conflicts": "owner", "upload": True}

    outcome = train_qc(plate, settings=settings, **RANDOM, **options)

    card = load_model(Path(outcome.places[0])).card
    assert card.labels.counts == {"abnormal": 6, "normal": 4 + 1 + 3}
    assert card.labels.weak == {"normal": 1 + 3}
    assert card.labels.by_user[omero_second_user.name] == {"abnormal": 5, "normal": 7}
    assert card.labels.conflicts == 1
    assert all(name.startswith(("Shape:", "Tag")) for name in card.labels.provenance.object_id)
    told = "\n".join(outcome.summary["warnings"])
    assert "'to do' (1)" in told
    assert "the label by the owner of the images counts" in told
    store = open_store(plate)
    (kept,) = store.models()
    assert outcome.summary["in OMERO"] == f"omero:{kept.id}"
    assert store.fetch_model(kept.id)[1] == Path(outcome.places[0]).read_bytes()
    store.close()


def test_crop_images_sorted_with_tags_lead_back_to_their_cells(
    plate, settings, omero_conn, omero_uri
):
    dataset = ezomero.post_dataset(omero_conn, "crops")
    for number, image in enumerate(image_ids(plate)):
        for name, at in (("normal", 16.0), ("abnormal", 80.0)):
            pixels = np.full((8, 8, 1, 1, 1), number, np.uint16)
            crop = ezomero.post_image(omero_conn, pixels, f"crop {number}", dataset_id=dataset)
            note = MapAnnotationWrapper(omero_conn)
            note.setNs(CROP_NAMESPACE)
            note.setValue([list(pair) for pair in CropNote(image, at, at).pairs()])
            note.save()
            omero_conn.getObject("Image", crop).linkAnnotation(note)
            tag(omero_conn, name, [crop])
    where = omero_uri(f"dataset/{dataset}")

    assert list_labels([where], ExampleParams(labels="tags"))["classes"] == {
        "abnormal": 6,
        "normal": 6,
    }
    assert check([where], ExampleParams(labels="tags")).faults == ()
    card = load_model(
        Path(train_qc(where, settings=settings, labels="tags", **RANDOM).places[0])
    ).card
    assert card.labels.counts == {"abnormal": 6, "normal": 6}
    assert card.labels.weak == {}


def test_nothing_drawn_yet_says_how_to_draw(plate, settings):
    with pytest.raises(LabelError, match="image viewer"):
        train_qc(plate, settings=settings, labels="roi", **RANDOM)
