"""A `labels.csv` that a user attached to a plate, a dataset or an image."""

from __future__ import annotations

import numpy as np
import pytest

# First, as in the sandbox's own tests: the Ice classes in a working order.
from omero_hcs.sandbox.ice import record  # noqa: F401  isort: skip

from omero.gateway import BlitzGateway

from omero_hcs.errors import LabelError
from omero_hcs.results import LABEL_COLUMNS
from omero_hcs.stores.base import LabelSource
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.stores.omero import label_file

CSV = "well,field,y,x,label\nB03,0,12.5,7,abnormal\nA01,1,3,4,normal\n"


@pytest.fixture
def put(omero_put, omero_user, tiny_plate, pixels_of):
    """The tiny plate on the server, of `omero_user`: its ids there."""
    stacks = {
        site.image.id: stack
        for site, stack in zip(tiny_plate.sites(), pixels_of(tiny_plate), strict=True)
    }
    return omero_put(omero_user, MemoryStore.create("label files", tiny_plate, stacks))


@pytest.fixture
def attach(tmp_path):
    """Attach a file to an object, as OMERO.web does with an upload."""

    def to(
        conn: BlitzGateway, kind: str, number: int, content: str | bytes, name: str = "labels.csv",
        ns: str | None = None,
    ) -> int:  # fmt: skip
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        annotation = conn.createFileAnnfromLocalFile(str(path), mimetype="text/csv", ns=ns)
        conn.getObject(kind, number).linkAnnotation(annotation)
        return int(annotation.getFile().getId())

    return to


@pytest.fixture
def labels(omero_open, omero_user):
    def read(place: str, path: str | None = None):
        store = omero_open(omero_user, place)
        (ref,) = store.refs()
        return store.labels(ref, source=LabelSource(path=path))

    return read


def test_one_on_the_plate_is_read_also_if_another_user_put_it_there(
    put, labels, attach, omero_second_conn
):
    attach(omero_second_conn, "Plate", put.plate, CSV)
    table = labels(f"plate/{put.plate}")
    assert tuple(table.columns) == LABEL_COLUMNS
    assert table["label"].tolist() == ["abnormal", "normal"]
    np.testing.assert_array_equal(table["y"], [12.5, 3.0])


def test_one_on_a_single_image_is_read(put, labels, attach, omero_conn):
    image = put.images[0]
    attach(omero_conn, "Image", image, f"image,y,x,label\n{image},3,4,odd \N{MICROSCOPE}\n")
    table = labels(f"image/{image}")
    assert table["label"].tolist() == ["odd \N{MICROSCOPE}"]


def test_the_newest_counts(put, labels, attach, omero_conn):
    attach(omero_conn, "Plate", put.plate, CSV)
    attach(omero_conn, "Plate", put.plate, CSV.replace("abnormal", "mitosis"))
    attach(omero_conn, "Plate", put.plate, CSV.replace("abnormal", "else"), name="old labels.csv")
    attach(omero_conn, "Plate", put.plate, CSV.replace("abnormal", "ours"), ns="omero-hcs/file")
    assert labels(f"plate/{put.plate}")["label"].tolist() == ["mitosis", "normal"]


def test_rows_of_other_plates_are_left_out(put, labels, attach, omero_conn):
    rows = (
        f"plate,well,field,y,x,label\n{put.plate},A01,0,1,2,a\n7777,A01,0,1,2,b\ntiny,A01,0,1,2,c"
    )
    attach(omero_conn, "Plate", put.plate, rows)
    assert labels(f"plate/{put.plate}")["label"].tolist() == ["a", "c"]


def test_excels_mark_before_the_first_column_is_no_part_of_it(put, labels, attach, omero_conn):
    attach(omero_conn, "Plate", put.plate, CSV.encode("utf-8-sig"))
    assert len(labels(f"plate/{put.plate}")) == 2


def test_without_one_the_message_says_what_to_attach(put, labels, tmp_path):
    with pytest.raises(LabelError) as caught:
        labels(f"plate/{put.plate}")
    message = str(caught.value)
    assert f"Plate {put.plate}" in message
    assert "labels.csv" in message
    assert ",".join(LABEL_COLUMNS) in message
    with pytest.raises(LabelError, match=r"(?s)no labels at .*none\.csv.*y,x"):
        labels(f"plate/{put.plate}", path=str(tmp_path / "none.csv"))


def test_a_file_on_disk_goes_before_the_attached_one(put, labels, attach, omero_conn, tmp_path):
    attach(omero_conn, "Plate", put.plate, CSV)
    path = tmp_path / "mine.csv"
    path.write_text(CSV.replace("abnormal", "mine"))
    assert labels(f"plate/{put.plate}", path=str(path))["label"].tolist() == ["mine", "normal"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"well,field,y,x,label\nA01,0,1,2,\xff\xfe\n", "UTF-8"),
        (b"well;field;y;x;label\nA01;0;1;2;a\n", "commas"),
        (b"well,field,y,x,label\nA01,0,up,2,a\n", "line 2"),
        (b"nothing\n", "lacks"),
    ],
)
def test_a_file_that_is_no_label_table_is_told_by_its_place(
    put, labels, attach, omero_conn, content, message
):
    attach(omero_conn, "Plate", put.plate, content)
    with pytest.raises(LabelError, match=f"(?s)labels.csv of Plate {put.plate}.*{message}"):
        labels(f"plate/{put.plate}")


def test_a_file_that_is_too_large_is_not_read(put, labels, attach, omero_conn, monkeypatch):
    attach(omero_conn, "Plate", put.plate, CSV * 50_000)
    monkeypatch.setattr(label_file, "MOST_BYTES", 1_000_000)
    with pytest.raises(LabelError, match="has 3 MB, and at most 1 are read"):
        labels(f"plate/{put.plate}")
