"""Several stores read as one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from omero_hcs.errors import ImageNotFoundError, InputError, PlateNotFoundError
from omero_hcs.model import ObjectRef, StoreSpec
from omero_hcs.results import LABEL_COLUMNS, Table
from omero_hcs.stores.base import LabelSource
from omero_hcs.stores.open import open_store
from omero_hcs.stores.several import several


def row(**given):
    blank = dict.fromkeys(LABEL_COLUMNS, "") | {"field": 0, "z": 0, "t": 0, "y": 1.0, "x": 1.0}
    return blank | given


@pytest.fixture
def homes(memory_home, memory_set_home):
    return memory_home, memory_set_home


@pytest.fixture
def store(homes):
    return open_store(several([home.store.spec.uri for home in homes]))


@pytest.fixture
def twins(memory_home, ome_zarr_home):
    """Two plates of the same id."""
    return open_store(several([memory_home.store.spec.uri, ome_zarr_home.store.spec.uri]))


def test_one_store_is_itself(memory_home):
    uri = memory_home.store.spec.uri
    assert several([uri, uri]) == StoreSpec(uri=uri)


def test_a_worker_reopens_them_from_json(store):
    spec = StoreSpec.model_validate_json(store.spec.model_dump_json())
    assert open_store(spec).refs() == store.refs()


def test_they_show_what_each_of_them_has(store, homes):
    assert store.refs() == tuple(home.ref for home in homes)
    assert store.plate("tiny").name == "tiny"
    assert len(store.images("tiny set").images) == 2


def test_plates_of_one_id_are_told_apart(twins):
    assert [ref.id for ref in twins.refs()] == ["0:tiny", "1:tiny"]
    assert twins.plate("1:tiny").id == "1:tiny"


def test_every_image_has_its_own_pixels(store, homes):
    layouts = [store.plate("tiny"), store.images("tiny set")]
    for home, layout in zip(homes, layouts, strict=True):
        for site, stack in zip(layout.sites(), home.pixels, strict=True):
            read = store.read(site.image, channels=[1], z=1, t=1)
            np.testing.assert_array_equal(read, stack[1, [1], 1])


def test_labels_say_which_plate_they_are_of(twins, memory_home, ome_zarr_home):
    for name, home in (("blurred", memory_home), ("dead", ome_zarr_home)):
        home.put_labels(Table.from_rows([row(well="A01", label=name)]))
    tables = [twins.labels(ref, source=LabelSource()) for ref in twins.refs()]
    table = Table.concat(tables)
    assert table["plate"].tolist() == ["0:tiny", "1:tiny"]
    assert table["label"].tolist() == ["blurred", "dead"]


def test_labels_by_image_lead_to_the_image_of_their_store(store, homes):
    image = homes[1].first_image().id
    homes[1].put_labels(Table.from_rows([row(image=image, label="blurred")]))
    table = store.labels(store.refs()[1], source=LabelSource())
    assert table["image"].tolist() == [store.images("tiny set").images[0].id]


def test_results_are_kept_by_one_store_at_a_time(store, homes):
    assert "one store at a time" in store.write_faults(store.refs()[0])[0]
    with pytest.raises(InputError, match="one store at a time"):
        store.write(homes[0].results())
    assert homes[0].store.runs(homes[0].ref) == ()


def test_what_is_not_there_is_refused_with_what_is(store, homes):
    with pytest.raises(PlateNotFoundError, match="tiny set"):
        store.plate("another")
    for name in ("7:x", "x", "-1:x"):
        with pytest.raises(ImageNotFoundError, match=name):
            store.read(replace(homes[0].first_image(), id=name), channels=[0])
    with pytest.raises(PlateNotFoundError):
        store.labels(ObjectRef(kind="plate", id="another"), source=LabelSource())


@pytest.mark.parametrize("text", ["", "[]", "{}", "[1]", "x"])
def test_a_uri_that_names_none_is_refused(text):
    with pytest.raises(InputError, match="names no stores"):
        open_store(f"several:{text}")
