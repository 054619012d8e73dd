"""Models on a server: kept by content, listed by their heads, never mistaken for other files."""

from __future__ import annotations

import contextlib
import io
import json
import struct

import numpy as np
import pytest
from omero.gateway import BlitzGateway  # noqa: F401  (first: loads omero's modules in order)
from omero.rtypes import rstring
from safetensors.numpy import load, save

import omero  # isort: skip

from omero_hcs.errors import (
    ChecksumError,
    DataError,
    ModelNotFoundError,
    NotAllowedError,
    WriteError,
)
from omero_hcs.learning.modelfile import FORMAT
from omero_hcs.stores.omero import models
from omero_hcs.stores.omero.record import MODEL_NAMESPACE

LINKS = "select l.parent.id from PlateAnnotationLink l where l.child.id = :id"
FILES = "select f.id from OriginalFile f where f.path = 'omero-hcs/models/'"


def make_model(name="nuclei", size=4, **card):
    """Make a file as `learning.modelfile` writes them, and its card."""
    text = json.dumps({"schema_version": 1, "name": name, **card})
    tensors = {"weights": np.arange(size, dtype=np.float32)}
    return save(tensors, metadata={"format": FORMAT, "card": text}), text


def attach(conn, content, *, name, namespace=MODEL_NAMESPACE):
    """Attach a file as a user may, with a program of his own."""
    file = conn.createOriginalFileFromFileObj(content, "", name, len(content.getvalue()))
    note = omero.model.FileAnnotationI()
    note.ns, note.file = rstring(namespace), file._obj
    return conn.getUpdateService().saveAndReturnObject(note).id.val


@pytest.fixture
def store(omero_tiny, omero_open):
    return omero_open(omero_tiny.owner, f"plate/{omero_tiny.ids.plate}")


@pytest.fixture
def plate(store):
    return store.refs()[0]


@pytest.fixture
def session(store):
    return store._session


def test_a_model_comes_back_as_it_was(store, plate, omero_tiny):
    content, card = make_model(size=100_000)
    kept = store.keep_model(plate, "nuclei qc", content, card=card)
    assert (kept.name, kept.owner, kept.card) == ("nuclei qc", omero_tiny.owner.name, card)
    assert kept.size == len(content)
    found, again = store.fetch_model(kept.id)
    assert (found, again) == (kept, content)
    assert load(again)["weights"].shape == (100_000,)
    assert store.models() == (kept,)


def test_users_find_it_on_the_plate_with_omeros_own_means(store, plate, omero_tiny, omero_connect):
    content, card = make_model()
    kept = store.keep_model(plate, "a/b\\c 🎯", content, card=card)
    conn = omero_connect(omero_tiny.owner)
    (note,) = conn.getObject("Plate", omero_tiny.ids.plate).listAnnotations(ns=MODEL_NAMESPACE)
    assert str(note.id) == kept.id
    assert note.getFile().getName() == "a_b_c 🎯.safetensors"
    assert b"".join(note.getFileInChunks()) == content
    assert note.getFile().getHash() is not None
    assert note.getDescription().startswith("sha256:")


def test_the_newest_comes_first_and_every_reader_sees_it(
    store, plate, omero_tiny, omero_second_user, omero_open
):
    kept = []
    for name in ("first", "second"):
        content, card = make_model(name)
        kept.insert(0, store.keep_model(plate, name, content, card=card))
    other = omero_open(omero_second_user, f"plate/{omero_tiny.ids.plate}")
    assert other.models() == tuple(kept)
    assert other.fetch_model(kept[0].id)[1] == content


class TestSameContent:
    def test_is_one_file(self, store, plate, session, omero_tiny):
        content, card = make_model()
        first = store.keep_model(plate, "one", content, card=card)
        assert store.keep_model(plate, "two", content, card=card) == first
        assert len(session.project(FILES)) == 1
        assert session.project(LINKS, {"id": int(first.id)}) == [[omero_tiny.ids.plate]]

    def test_is_linked_to_a_second_plate(
        self, store, plate, session, omero_import, tiny_plate, omero_tiny, omero_open
    ):
        content, card = make_model()
        first = store.keep_model(plate, "one", content, card=card)
        second = omero_import(omero_tiny.owner, tiny_plate)
        other = omero_open(omero_tiny.owner, f"plate/{second.ids.plate}")
        assert other.keep_model(other.refs()[0], "one", content, card=card).id == first.id
        linked = {row[0] for row in session.project(LINKS, {"id": int(first.id)})}
        assert linked == {omero_tiny.ids.plate, second.ids.plate}

    def test_of_another_user_is_linked_where_that_is_allowed(
        self, store, plate, omero_second_user, omero_import, tiny_plate, omero_open
    ):
        content, card = make_model()
        first = store.keep_model(plate, "one", content, card=card)
        second = omero_import(omero_second_user, tiny_plate)
        other = omero_open(omero_second_user, f"plate/{second.ids.plate}")
        assert other.keep_model(other.refs()[0], "one", content, card=card).id == first.id

    def test_of_another_user_is_uploaded_again_where_it_is_not(
        self, omero_make_group, omero_make_user, omero_import, tiny_plate, omero_open
    ):
        group = omero_make_group("read-only")
        content, card = make_model()
        kept = []
        for user in (omero_make_user(group), omero_make_user(group)):
            own = omero_import(user, tiny_plate)
            store = omero_open(user, f"plate/{own.ids.plate}")
            kept.append(store.keep_model(store.refs()[0], "one", content, card=card))
            assert store.keep_model(store.refs()[0], "one", content, card=card) == kept[-1]
        assert kept[0].id != kept[1].id
        assert kept[0].owner != kept[1].owner

    def test_in_several_images_it_is_linked_to_each(self, omero_tiny, omero_open):
        ids = omero_tiny.ids.images[:3]
        store = omero_open(omero_tiny.owner, f"image/{','.join(map(str, ids))}")
        content, card = make_model()
        kept = store.keep_model(store.refs()[0], "one", content, card=card)
        hql = "select l.parent.id from ImageAnnotationLink l where l.child.id = :id"
        linked = store._session.project(hql, {"id": int(kept.id)})
        assert sorted(row[0] for row in linked) == sorted(ids)


class TestWhereItCannotBeKept:
    @pytest.mark.parametrize("level", ["read-only", "private"])
    def test_nothing_is_left_behind(
        self, level, omero_make_group, omero_make_user, omero_import, tiny_plate, omero_open,
    ):  # fmt: skip
        group = omero_make_group(level)
        owner, member = omero_make_user(group), omero_make_user(group)
        leader = omero_make_user(group, owns=[group])
        plate = omero_import(owner, tiny_plate).ids.plate
        who = member if level == "read-only" else leader
        store = omero_open(who, f"plate/{plate}")
        content, card = make_model()
        with pytest.raises(NotAllowedError, match=f"plate {plate}"):
            store.keep_model(store.refs()[0], "one", content, card=card)
        assert store.models() == ()
        assert store._session.project(FILES) == []

    def test_more_than_a_model_has_is_refused(self, store, plate, monkeypatch):
        content, card = make_model()
        kept = store.keep_model(plate, "one", content, card=card)
        monkeypatch.setattr(models, "MAX_BYTES", 10)
        with pytest.raises(WriteError, match="keeps up to 10"):
            store.keep_model(plate, "two", content + b"x", card=card)
        with pytest.raises(DataError, match="more than any model has"):
            store.fetch_model(kept.id)


class TestWhatIsNoModel:
    @pytest.mark.parametrize(
        "model_id", ["0", "99999999", "9" * 30, "-1", "one", "", "²", "1 or 1"]
    )
    def test_an_id_that_is_none_lists_those_there_are(self, store, plate, model_id):
        content, card = make_model()
        kept = store.keep_model(plate, "nuclei", content, card=card)
        with pytest.raises(ModelNotFoundError, match=rf"Models there: {kept.id} \(nuclei\)"):
            store.fetch_model(model_id)

    def test_another_file_is_named_as_what_it_is(self, store, omero_tiny, omero_connect):
        conn = omero_connect(omero_tiny.owner)
        number = attach(conn, io.BytesIO(b"a,b\n"), name="table.csv", namespace="lab/tables")
        with pytest.raises(ModelNotFoundError, match=r"is no model but the file 'table.csv' \(lab"):
            store.fetch_model(str(number))

    def test_one_of_a_private_group_is_not_there_for_others(
        self, store, plate, omero_make_group, omero_make_user, omero_open, omero_tiny
    ):
        content, card = make_model()
        kept = store.keep_model(plate, "nuclei", content, card=card)
        stranger = omero_make_user(omero_make_group("private"))
        other = omero_open(stranger, f"plate/{omero_tiny.ids.plate}")
        assert other.models() == ()
        with pytest.raises(ModelNotFoundError, match="Models there: none"):
            other.fetch_model(kept.id)

    @pytest.mark.parametrize(
        "content",
        [
            b"short",
            b"not a safetensors file, but long enough to look like one",
            struct.pack("<Q", 2**63) + b"{}",
            struct.pack("<Q", 2) + b"{}",
            struct.pack("<Q", 40_000) + b"[" * 40_000,
            save({"a": np.zeros(2)}, metadata={"format": FORMAT, "card": "[1, 2]"}),
            save({"a": np.zeros(2)}, metadata={"format": "another", "card": "{}"}),
            save({"a": np.zeros(2)}, metadata={"format": FORMAT}),
        ],
    )
    def test_one_without_a_card_spoils_no_list(
        self, store, plate, content, omero_tiny, omero_connect
    ):
        good, card = make_model()
        kept = store.keep_model(plate, "good", good, card=card)
        number = attach(omero_connect(omero_tiny.owner), io.BytesIO(content), name="odd")
        assert {one.id: one.card for one in store.models()} == {kept.id: card, str(number): "{}"}

    def test_one_that_was_changed_is_refused(self, store, plate, omero_tiny, omero_connect):
        content, card = make_model()
        kept = store.keep_model(plate, "nuclei", content, card=card)
        conn = omero_connect(omero_tiny.owner)
        file = conn.getObject("FileAnnotation", int(kept.id)).getFile()
        with contextlib.closing(conn.c.sf.createRawFileStore()) as raw:
            raw.setFileId(file.getId())
            raw.write(b"\x01", len(content) - 1, 1)
        with pytest.raises(ChecksumError, match="does not fit the sha256"):
            store.fetch_model(kept.id)


def test_a_long_card_is_listed_whole_and_numbers_are_not_read(store, plate, session, monkeypatch):
    content, card = make_model(size=1_000_000, labels={"users": ["ada"] * 40_000})
    kept = store.keep_model(plate, "long", content, card=card)
    read = []
    real = models._card_of
    monkeypatch.setattr(models, "_card_of", lambda head: read.append(len(head)) or real(head))
    assert store.models() == (kept,)
    assert read[0] < len(content) - 4_000_000 + 10_000
