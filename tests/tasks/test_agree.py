"""Whether people label alike: labels of one nucleus are compared, and what differs is shown."""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import pytest

pytest.importorskip("skimage", reason="the extra 'disk' is not installed")
pytest.importorskip("jinja2", reason="the extra 'report' is not installed")

from omero_hcs.errors import InputErrors, LabelError
from omero_hcs.results import LABEL_COLUMNS, Table
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.tasks.agree import AgreeParams, agree, agreement_csv
from omero_hcs.tasks.agree_page import agreement_page, sentences

EVIL = "<script>alert('x')</script>"
ANY = AgreeParams(labels="roi,tags")


def label(name, user, at=None, image=0, time="2026-01-01T10:00:00.000Z"):
    y, x = at or (np.nan, np.nan)
    row = dict.fromkeys(LABEL_COLUMNS, "") | {"field": 0, "z": 0, "t": 0, "time": time}
    place = {"well": f"A{image + 1:02d}", "image": f"i{image:03d}", "y": float(y), "x": float(x)}
    return row | place | {"label": name, "user": user, "source": "roi" if at else "tag"}


@pytest.fixture
def plate(memory):
    """A plate of three fields with nuclei at 16, 48 and 80, and its labels."""
    made = memory(3)

    def labelled(*rows):
        made.store._memory.labels = Table.from_rows(rows, LABEL_COLUMNS)
        return [made.uri]

    return labelled


BOTH = (
    label("normal", "ann", (16, 16)),
    label("normal", "bob", (18, 14)),
    label("normal", "ann", (48, 48)),
    label("debris", "bob", (46, 50)),
    label("debris", "ann", (80, 80)),
)


def test_labels_of_the_same_nucleus_are_compared(plate):
    found = agree(plate(*BOTH), ANY)
    (pair,) = found.cells.pairs
    assert (pair.users, pair.cells, pair.agreement) == (("ann", "bob"), 2, 0.5)
    (one,) = found.cells.disputed
    assert one.name == "A01 field 1, y=48, x=48"
    assert [(said.user, said.label) for said in one.said] == [("ann", "normal"), ("bob", "debris")]
    assert found.fields.labelled == ()
    assert sentences(found)[0] == (
        "People differ on 1 of 2 cells that two of them or more labelled."
    )
    assert any("share 2 only" in note for note in found.notes)


def test_only_what_is_disputed_is_cropped(plate):
    found = agree(plate(*BOTH, label("dead", "ann", (80, 80), time="2026-02-01T10:00:00Z")), ANY)
    assert {one.name for one in found.crops} == {
        "A01 field 1, y=48, x=48",
        "A01 field 1, y=80, x=80",
    }
    crop = next(iter(found.crops.values())).pixels
    assert crop.ndim == 3
    assert crop.max() <= 1


def test_whole_fields_are_compared_apart_and_without_a_pixel(plate, monkeypatch):
    monkeypatch.setattr(MemoryStore, "read", lambda *_, **__: pytest.fail("a pixel was read"))
    rows = [label(name, user, image=image) for user, name, image in (
        ("ann", "normal", 0), ("bob", "normal", 0), ("ann", "normal", 1), ("bob", "debris", 1),
    )]  # fmt: skip
    found = agree(plate(*rows), ANY)
    assert found.cells.labelled == ()
    assert found.fields.pairs[0].counts.tolist() == [[0, 0], [1, 1]]
    assert found.fields.disputed[0].name == "A02 field 1"
    page = agreement_page(found).decode()
    assert "Whole fields" in page
    assert "<img" not in page


def test_one_labeller_or_no_cell_in_common_is_said_plainly(plate):
    found = agree(plate(*BOTH[::2][:2]), ANY)
    assert sentences(found) == (
        "One person alone, ann, labelled 2 cells. Nothing can be compared.",
    )
    found = agree(plate(BOTH[0], BOTH[3]), ANY)
    assert sentences(found)[0].startswith(
        "None of the cells was labelled by two people: ann 1, bob"
    )
    nameless = [{**row, "user": ""} for row in BOTH]
    found = agree(plate(*nameless), ANY)
    assert "Nobody that is named" in sentences(found)[0]
    assert any("column 'user'" in note for note in found.notes)
    for one in (found, agree(plate(BOTH[0]), ANY)):
        assert sentences(one)[0] in agreement_page(one).decode()


def test_who_said_two_things_himself_is_told(plate):
    found = agree(plate(*BOTH, label("debris", "ann", (17, 15), time="2026-01-02T10:00:00Z")), ANY)
    assert "ann labelled 1 cell more than once, 1 of them differently." in sentences(found)
    assert len(found.cells.disputed) == 2


def test_the_page_has_crops_of_what_is_disputed_and_is_safe(plate):
    rows = [*BOTH, label(EVIL, f"{EVIL}bob", (16, 16))]
    page = agreement_page(agree(plate(*rows), ANY))
    text = page.decode()
    assert EVIL not in text
    assert text.count("data:image/jpeg") == 2
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', text)
    assert page == agreement_page(agree(plate(*rows), ANY))


def test_the_csv_has_a_row_a_label_of_what_two_people_labelled(plate):
    found = agree(plate(*BOTH), ANY)
    rows = list(csv.DictReader(io.StringIO(agreement_csv(found))))
    assert list(rows[0]) == ["item", "disputed", *LABEL_COLUMNS]
    assert [(row["item"], row["disputed"], row["user"]) for row in rows] == [
        ("1", "False", "ann"), ("1", "False", "bob"), ("2", "True", "ann"), ("2", "True", "bob"),
    ]  # fmt: skip
    assert {row["y"] for row in rows[2:]} == {"48.00"}
    empty = agreement_csv(agree(plate(BOTH[0]), ANY))
    assert empty.splitlines() == [",".join(["item", "disputed", *LABEL_COLUMNS])]


def test_a_label_that_every_plane_would_show_counts_once(plate):
    """Labels of a file are met in each plane of a stack that is judged."""
    found = agree(plate(*BOTH), AgreeParams(z="all"))
    assert found.cells.labellers == {"ann": 3, "bob": 2}


def test_labels_that_lie_nowhere_are_refused_all_at_once(plate):
    bad = (label("normal", "ann", (500, 5)), label("normal", "bob", (5, 5), image=9))
    with pytest.raises(InputErrors) as caught:
        agree(plate(*BOTH, *bad), ANY)
    assert len(caught.value.faults) == 2
    with pytest.raises(LabelError):
        agree(plate(), ANY)
