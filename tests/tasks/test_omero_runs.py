"""Runs over plates in OMERO: odd plates, and servers and images that go away meanwhile."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from omero_hcs.errors import InputError, ServerLostError
from omero_hcs.model import Channel, Field, Image, ObjectRef, Plate, Well
from omero_hcs.results import Table
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.stores.open import open_store
from omero_hcs.tasks.crop_cells import Params
from omero_hcs.tasks.driver import run_task
from omero_hcs.tasks.undo_run import undo_run
from tests.stores.omero.relay import Relay


def discs(number, dtype="uint16", side=96):
    """A field of three bright discs, shape (1, 1, 1, Y, X)."""
    rng, (y, x) = np.random.default_rng(number), np.mgrid[:side, :side]
    centers = (side // 6, side // 2, side * 5 // 6)
    signal = sum(np.hypot(y - at, x - at) < side / 10 for at in centers)
    return (rng.integers(90, 110, (side, side)) + 4000 * signal).astype(dtype)[None, None, None]


def plate_of(stacks, names=("DNA",)):
    """A plate in memory, one field a well."""
    channels = tuple(Channel(index, name) for index, name in enumerate(names))
    images = [
        Image(
            f"i{number}", f"<b>field</b> {number} 🔬", *stack.shape[-2:], channels, str(stack.dtype)
        )
        for number, stack in enumerate(stacks)
    ]
    wells = [Well(0, column, (Field(0, image),)) for column, image in enumerate(images)]
    plate = Plate("odd", "<i>plate</i> & 🔬", 8, 12, tuple(wells))
    pixels = {image.id: stack for image, stack in zip(images, stacks, strict=True)}
    return MemoryStore.create(f"odd {id(stacks)}", plate, pixels)


@pytest.fixture
def put(omero_user, omero_put, omero_way_in):
    """Put fields on the server: the ids there."""
    omero_way_in(omero_user)
    return lambda stacks, *more: omero_put(omero_user, plate_of(stacks, *more))


@pytest.fixture
def crop(settings, omero_uri):
    def ask(ids, *, uri=omero_uri, **more):
        params = Params(crop_size="16px", save_masks=True, crops="none")
        return run_task("crop_cells", uri(f"plate/{ids.plate}"), params, settings=settings, **more)

    return ask


def cells_of(uri, run_id):
    with contextlib.closing(open_store(uri)) as store:
        return Table.from_parquet(store.fetch(run_id, "cells.parquet"))


@pytest.mark.parametrize("dtype", ["int32", "float32", "float64", "uint8"])
def test_pixels_of_every_kind_have_the_same_cells(put, crop, omero_uri, dtype):
    scale = 17 if dtype == "uint8" else 1
    ids = put([(discs(number, "float64") / scale).astype(dtype) for number in range(2)])
    done = crop(ids)
    assert (done.status, done.summary["cells"]) == ("done", 6)
    cells = cells_of(omero_uri(f"plate/{ids.plate}"), done.run_id)
    assert cells["well"].tolist() == ["A01"] * 3 + ["A02"] * 3


def test_doubled_channel_names_are_told_apart(put, crop):
    stacks = [np.concatenate([discs(number)] * 2, axis=1) for number in range(2)]
    done = crop(put(stacks, ("DAPI", "DAPI")))
    assert done.summary["channels"] == "DAPI, DAPI 2"


def test_an_image_of_one_pixel_has_no_cells_and_harms_nobody(put, crop):
    done = crop(put([discs(0), np.full((1, 1, 1, 1, 1), 7, np.uint16), discs(1)]))
    assert done.summary["cells"] == 6


def test_a_plate_without_wells_is_refused_by_name(put, crop, settings):
    with pytest.raises(InputError, match="no images"):
        crop(put([]))


def test_a_deleted_image_fails_alone_with_its_reason(put, crop, omero_conn):
    ids = put([discs(number) for number in range(3)])
    gone = []

    def delete(stage, *_):
        if stage == "cropping fields" and not gone:
            gone.append(ids.wells[0, 1])  # OMERO lets no image go whose well stays
            omero_conn.deleteObjects("Well", gone, wait=True)

    done = crop(ids, progress=delete)
    assert done.status == "partial"
    ((unit, reason),) = done.failed
    assert "A02" in unit
    assert str(ids.images[1]) in reason
    assert done.summary["cells"] == 6


class TestConnection:
    @pytest.fixture
    def relay(self, omero_server):
        with Relay(omero_server.host, omero_server.port) as relay:
            yield relay

    @pytest.fixture
    def far(self, relay):
        return lambda place: f"omero://127.0.0.1:{relay.port}/{place}"

    def test_one_that_is_cut_while_fields_are_read_is_made_again(self, put, crop, relay, far):
        ids = put([discs(number) for number in range(4)])

        def cut(stage, done, _):
            if (stage, done) == ("cropping fields", 1):
                relay.cut()

        done = crop(ids, uri=far, progress=cut)
        assert (done.status, done.summary["cells"]) == ("done", 12)

    def test_a_server_that_stays_away_ends_the_run_and_the_same_one_goes_on(
        self, put, crop, relay, far, omero_uri
    ):
        ids = put([discs(number) for number in range(4)])

        def go_away(stage, done, _):
            if (stage, done) == ("cropping fields", 2):
                relay.refuse()

        with pytest.raises(ServerLostError, match="same command"):
            crop(ids, uri=far, progress=go_away)
        relay.refuse(refuse=False)
        done = crop(ids, uri=far)
        assert (done.how, done.status, done.summary["cells"]) == ("resumed", "done", 12)
        with contextlib.closing(open_store(omero_uri(f"plate/{ids.plate}"))) as store:
            ref = ObjectRef(kind="plate", id=str(ids.plate))
            assert [run["run_id"] for run in store.runs(ref)] == [done.run_id]
        undone = undo_run(done.run_id, where=omero_uri(f"plate/{ids.plate}"))
        assert undone.counts["label"] == 4
