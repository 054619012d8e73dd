"""Exports of runs, and the agreement of labellers, on a server through the real client."""

from __future__ import annotations

import contextlib

import pandas as pd
import pytest

pytest.importorskip("skimage", reason="the extra 'disk' is not installed")
pytest.importorskip("jinja2", reason="the extra 'report' is not installed")
pytest.importorskip("omero", reason="the extra 'omero' is not installed")

from omero.gateway import TagAnnotationWrapper
from omero.model import ImageI, PointI, RoiI
from omero.rtypes import rdouble, rint, rstring

from omero_hcs.errors import RunNotFoundError
from omero_hcs.stores.open import open_store
from omero_hcs.tasks.agree import AgreeParams, agree
from omero_hcs.tasks.agree_page import agreement_page
from omero_hcs.tasks.qc_export import ExportParams, export_verdicts
from tests.tasks import judged


@pytest.fixture
def put(omero_put, omero_user, omero_uri, omero_way_in):
    """Put a plate on the server, of its owner who is let in: its URI."""
    omero_way_in(omero_user)

    def call(store):
        return omero_uri(f"plate/{omero_put(omero_user, store).plate}")

    return call


def test_a_run_on_a_server_is_exported_with_the_ids_of_its_images(put, tmp_path):
    uri, out = put(judged.plate_with_pixels("on a server")), tmp_path / "out"
    with pytest.raises(RunNotFoundError, match="no quality run yet"):
        export_verdicts(uri, ExportParams(), output=out)
    with contextlib.closing(open_store(uri)) as store:
        layout = store.plate(store.refs()[0].id)
        store.write(judged.results_elsewhere(layout))
    (told,) = export_verdicts(uri, ExportParams(), output=out)
    assert told.counts["cells"] == {"all": 5, "flagged": 3}
    sets = pd.read_csv(out / "cellprofiler" / "image_sets.csv")
    assert sets.Metadata_Plate.tolist() == [layout.name] * 4
    assert sets.Metadata_Well.tolist() == ["A01", "A01", "B03", "B03"]
    ids = [site.image.id for site in layout.sites()]
    assert sets.Metadata_ImageID.astype(str).tolist() == ids
    assert sets.Metadata_ImageName.tolist() == [site.image.name for site in layout.sites()]


def test_plates_have_a_folder_each(omero_put, omero_user, omero_uri, omero_way_in, tmp_path):
    omero_way_in(omero_user)
    ids = [omero_put(omero_user, judged.plate_with_pixels(f"p{n}")).plate for n in range(2)]
    uri = omero_uri(f"plate/{ids[0]},{ids[1]}")
    with contextlib.closing(open_store(uri)) as store:
        for ref in store.refs():
            store.write(judged.results_elsewhere(store.plate(ref.id)))
    told = export_verdicts(uri, ExportParams(level=("wells",)), output=tmp_path / "out")
    assert len(told) == 2
    folders = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len(folders) == 2
    for name, number in zip(folders, ids, strict=True):
        assert str(number) in name
        wells = pd.read_csv(tmp_path / "out" / name / "pycytominer" / "wells.csv")
        assert wells.Metadata_Well.tolist() == ["A01", "B03"]


def draw(conn, image, at, text):
    """Draw a point as OMERO.iviewer does."""
    shape, roi = PointI(), RoiI()
    shape.x, shape.y = rdouble(at[1]), rdouble(at[0])
    shape.theZ, shape.theT, shape.textValue = rint(0), rint(0), rstring(text)
    roi.setImage(ImageI(image, False))
    roi.addShape(shape)
    conn.getUpdateService().saveObject(roi)


def tag(conn, text, image):
    """Tag an image as OMERO.web does."""
    made = TagAnnotationWrapper(conn)
    made.setValue(text)
    made.save()
    conn.getObject("Image", image).linkAnnotation(made)


def test_what_two_users_drew_and_tagged_is_compared_with_links(
    put, memory, omero_conn, omero_second_conn, omero_user, omero_second_user, monkeypatch
):
    monkeypatch.setenv("OMERO_HCS_OMERO_WEB", "https://omero.example.org/")
    uri = put(memory(3).store)
    with contextlib.closing(open_store(uri)) as store:
        images = [int(site.image.id) for site in store.plate(store.refs()[0].id).sites()]
    draw(omero_conn, images[0], (16, 16), "normal")
    draw(omero_second_conn, images[0], (18, 14), "debris")
    draw(omero_conn, images[1], (48, 48), "normal")
    draw(omero_second_conn, images[1], (47, 49), "normal")
    tag(omero_conn, "normal", images[2])
    tag(omero_second_conn, "debris", images[2])

    found = agree([uri], AgreeParams(labels="roi,tags"))
    (pair,) = found.cells.pairs
    assert set(pair.users) == {omero_user.name, omero_second_user.name}
    assert (pair.cells, pair.agreement) == (2, 0.5)
    (one,) = found.cells.disputed
    assert [said.label for said in one.said] == ["normal", "debris"]
    assert all(said.time.startswith("20") for said in one.said)
    assert all(said.object_id.startswith("Shape:") for said in one.said)
    assert [each.name for each in found.fields.disputed] == ["A03 field 1"]
    link = found.links[one.image]
    assert link == f"https://omero.example.org/webclient/?show=image-{images[0]}"
    assert f'href="{link}"' in agreement_page(found).decode()
