"""Crops as a dataset in OMERO: a run over a plate, its limit, its crash, and what they teach."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("omero", reason="the extra 'omero' is not installed")

# First, as in tests/sandbox/conftest.py: whichever folder is collected first, IcePy is seen.
from omero_hcs.sandbox.ice import record  # noqa: F401  isort: skip

from omero.gateway import TagAnnotationWrapper

from omero_hcs.errors import InputError, NotAllowedError, ServerLostError
from omero_hcs.stores.omero.cropnote import CropNote
from omero_hcs.stores.omero.record import CROP_NAMESPACE, LABEL_IMAGE_NAMESPACE
from omero_hcs.tasks.crop_cells import Params
from omero_hcs.tasks.driver import run_task
from omero_hcs.tasks.dry_run import dry_run
from omero_hcs.tasks.undo_run import undo_run
from tests.stores.omero.relay import Relay

FIELDS, NUCLEI = 6, 3


@pytest.fixture
def uri(memory, omero_put, omero_user, omero_uri, omero_way_in):
    """Six fields of three nuclei each, on a server."""
    omero_way_in(omero_user)
    return omero_uri(f"plate/{omero_put(omero_user, memory(FIELDS).store).plate}")


@pytest.fixture
def crop(settings):
    def ask(uri, *, run=run_task, **params):
        given = Params(crop_size="16px", **params)
        return run("crop_cells", uri, given, settings=settings)

    return ask


@pytest.fixture
def crops(omero_conn):
    """Crop images of the one dataset there is, and what they were cut from."""

    def ask():
        (dataset,) = omero_conn.getObjects("Dataset", opts={"owner": omero_conn.getUserId()})
        images = list(dataset.listChildren())
        notes = [next(iter(image.listAnnotations(ns=CROP_NAMESPACE))) for image in images]
        return dataset, images, [CropNote.from_pairs(note.getValue()) for note in notes]

    return ask


def test_every_cell_is_an_image_of_a_dataset(crop, uri, crops, settings):
    outcome = crop(uri)
    dataset, images, notes = crops()
    assert outcome.summary["crops"] == f"{FIELDS * NUCLEI}, images of a dataset"
    assert any(place.endswith(f"/dataset/{dataset.getId()}") for place in outcome.places)
    assert dataset.getName() == f"Crops of small {outcome.run_id}"
    assert len(images) == outcome.summary["cells"] == FIELDS * NUCLEI
    assert "A03 f1 cell 002" in [image.getName() for image in images]
    assert Counter(note.well for note in notes) == dict.fromkeys(
        [f"A0{number}" for number in range(1, 7)], NUCLEI
    )
    assert crop(uri).how == "answered"
    counts = undo_run(outcome.run_id, settings=settings).counts
    assert (counts["crop"], counts["dataset"]) == (FIELDS * NUCLEI, 1)


@pytest.mark.parametrize("limit", [4, 8])
def test_of_more_than_the_limit_a_sample_of_every_field_is_kept(crop, uri, crops, limit):
    outcome = crop(uri, limit=limit)
    found = Counter(note.well for note in crops()[2])
    assert sum(found.values()) == limit
    assert max(found.values()) - min(found.get(f"A0{n}", 0) for n in range(1, 7)) == 1
    (told,) = [text for text in outcome.summary["warnings"] if "sample" in text]
    assert told.startswith(f"Only {limit} crops are kept, of {FIELDS * NUCLEI}")


def test_a_server_that_goes_away_leaves_no_crop_twice(crop, uri, omero_server, crops):
    with Relay(omero_server.host, omero_server.port) as relay:
        there = f"omero://127.0.0.1:{relay.port}/{'/'.join(uri.split('/')[-2:])}"

        def lose(stage, done, _):
            if (stage, done) == ("cropping fields", 2):
                relay.refuse()

        def run(*given, **named):
            return run_task(*given, progress=lose, **named)

        with pytest.raises(ServerLostError):
            crop(there, run=run, limit=14)
        relay.refuse(refuse=False)
        assert crop(there, limit=14).how == "resumed"
    assert len({note.cell for note in crops()[2]}) == len(crops()[1]) == 14


def test_masks_stay_beside_the_crops(crop, uri, crops, omero_conn):
    crop(uri, save_masks=True, limit=10)
    _, images, notes = crops()
    assert len(images) == 10
    source = omero_conn.getObject("Image", notes[0].source)
    masks = source.listAnnotations(ns=LABEL_IMAGE_NAMESPACE)
    assert [note.getFile().getName()[:11] for note in masks] == ["hcs_nuclei_"]


def test_tags_on_crops_teach_a_model(crop, uri, crops, omero_conn, omero_uri, settings):
    pytest.importorskip("torch", reason="the extra 'ml' is not installed")
    from omero_hcs.learning.modelfile import load_model  # noqa: PLC0415
    from omero_hcs.tasks.verbs import train_qc  # noqa: PLC0415

    run = crop(uri)
    dataset, images, notes = crops()
    for text, own in (("normal", images[:10]), ("abnormal", images[10:])):
        tag = TagAnnotationWrapper(omero_conn)
        tag.setValue(text)
        tag.save()
        for image in own:
            image.linkAnnotation(tag)
    small = {"weights": "random", "encoder": "mobilenetv3_small_050", "head": "knn", "name": "m"}
    where = omero_uri(f"dataset/{dataset.getId()}")
    outcome = train_qc(where, settings=settings, labels="tags", crop_size="16px", **small)
    card = load_model(Path(outcome.places[0])).card
    assert card.labels.counts == {"abnormal": 8, "normal": 10}
    assert card.labels.weak == {}
    undone = undo_run(run.run_id, settings=settings)
    assert "crop" not in undone.counts
    assert len(undone.kept) == len(images) + 1
    assert len(crops()[2]) == len(notes)


class TestRefused:
    def test_tables_of_pixels(self, crop, uri):
        with pytest.raises(InputError, match="dataset, zarr or zip"):
            crop(uri, crops="table")

    def test_who_may_not_write_there_is_told_before_a_pixel_is_read(
        self, crop, memory, omero_make_group, omero_make_user, omero_put, omero_uri,
        omero_way_in, monkeypatch,
    ):  # fmt: skip
        group = omero_make_group("read-only")
        owner, member = omero_make_user(group), omero_make_user(group)
        uri = omero_uri(f"plate/{omero_put(owner, memory(1).store).plate}")
        omero_way_in(member)
        reads = "omero_hcs.stores.omero.pixels.PixelReader.read"
        monkeypatch.setattr(reads, lambda *_, **__: pytest.fail("read"))
        with pytest.raises(NotAllowedError, match="read-only group"):
            crop(uri, crops="dataset")


def test_a_dry_run_tells_of_the_dataset(crop, uri):
    told = crop(uri, run=dry_run)
    assert told.writes["crops"] == (
        f"about {FIELDS * NUCLEI} (at most 2000): images in 1 new dataset, 'Crops of small ...'"
    )
