"""ROIs of a run on an OMERO server: batches with a journal against one save a ROI.

The sandbox and the real client, on one machine. "One by one" saves each ROI with
`saveAndReturnObject`, and no record of it; it is measured on a sample and scaled. Undo looks at
every ROI before it deletes it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from omero.gateway import BlitzGateway
from omero.model import DatasetI, DatasetImageLinkI, ImageI, RectangleI, RoiI
from omero.rtypes import rdouble, rint, rstring

from omero_hcs.model import Channel, Image, ObjectRef, StoreSpec
from omero_hcs.results import Results, Roi
from omero_hcs.sandbox import launch
from omero_hcs.sandbox.importer import Enums, image_graph
from omero_hcs.settings import Settings
from omero_hcs.stores.omero.login import Login
from omero_hcs.stores.omero.session import Session
from omero_hcs.stores.omero.store import OmeroStore

IMAGES, ROIS, SAMPLE = 25, 200, 500
LARGE_UNITS = 100
SIZE = 2048
RUN = "20250101T120000-0000aaaa"


def measure(*, images: int = IMAGES, rois: int = ROIS, sample: int = SAMPLE) -> dict[str, Any]:
    """Write rectangles on some images of a dataset, and undo them."""
    with server() as (conn, store):
        target = store.refs()[0]
        layout = store.images(target.id)
        names = [image.id for image in layout.images]
        wanted = {name: rectangles(name, rois, seed) for seed, name in enumerate(names[:images])}
        total = images * rois
        alone, written = in_turns(conn, store, wanted, names[images:], sample)
        again = seconds(lambda: write_all(store, target, wanted))
        undone = seconds(lambda: store.undo(RUN))
        at_once = seconds(lambda: write_at_once(store, target, wanted))
        store.undo(RUN)
        journal = steady(store, target, names[0], rois)
        return {
            "rectangles": total,
            "images": images,
            "one_by_one_s (scaled)": round(alone, 2),
            "with_journal_s": round(written, 2),
            "ratio (target 3)": round(alone / written, 1),
            "in_one_write_s": round(at_once, 2),
            "written_per_s": round(total / written),
            "written_again_unchanged_s": round(again, 2),
            "undone_s": round(undone, 2),
            "undone_per_s": round(total / undone),
            "a_unit_of_a_long_run": journal,
        }


@contextlib.contextmanager
def server() -> Iterator[tuple[Any, OmeroStore]]:
    """Start a sandbox with a dataset of images, and open a store over it."""
    with launch.start() as box, contextlib.ExitStack() as stack:
        conn = BlitzGateway(box.user, box.password, host=box.host, port=box.port, secure=True)
        conn.connect()
        stack.callback(conn.close)
        dataset = dataset_of(conn, 2 * IMAGES)
        login = Login(box.host, box.port, box.user, box.password)
        uri = f"omero://{box.host}:{box.port}/dataset/{dataset}"
        session = Session(login)
        store = OmeroStore(StoreSpec(uri=uri), session=session, settings=Settings())
        stack.callback(store.close)
        yield conn, store


def dataset_of(conn: Any, count: int) -> int:
    """Make a dataset of images without pixel data; its id."""
    enums, update = Enums(conn), conn.getUpdateService()
    described = Image("", "field", SIZE, SIZE, (Channel(0, "DNA"),))
    dataset = DatasetI()
    dataset.name = rstring("fields")
    dataset = update.saveAndReturnObject(dataset)
    ids = update.saveAndReturnIds([image_graph(described, enums) for _ in range(count)])
    links = []
    for number in ids:
        link = DatasetImageLinkI()
        link.parent, link.child = DatasetI(dataset.id.val, False), ImageI(number, False)
        links.append(link)
    update.saveArray(links)
    return int(dataset.id.val)


def rectangles(image: str, count: int, seed: int) -> tuple[Roi, ...]:
    """Cells of a field, as a quality run marks them."""
    corners = np.random.default_rng(seed).uniform(0, SIZE - 64, (count, 2)).round(2)
    return tuple(
        Roi(image, "rectangle", ((y, x), (y + 64, x + 64)), "abnormal", score=0.9)
        for y, x in corners.tolist()
    )


def in_turns(
    conn: Any,
    store: OmeroStore,
    wanted: dict[str, tuple[Roi, ...]],
    others: list[str],
    sample: int,
) -> tuple[float, float]:
    """Time both ways field by field in turns, so that a busy moment is in both; all of it, each."""
    target, share = store.refs()[0], max(1, sample // len(wanted))
    alone = written = 0.0
    for name, rois in wanted.items():
        alone += seconds(lambda: one_by_one(conn, others, share)) / share * len(rois)
        written += seconds(lambda field={name: rois}: write_all(store, target, field))
    return alone, written


def write_all(store: OmeroStore, target: ObjectRef, wanted: dict[str, tuple[Roi, ...]]) -> None:
    """Write field by field, as the driver does."""
    for name, rois in wanted.items():
        results = Results(RUN, "k", "apply_qc", target, unit=f"field {name}", rois=rois)
        if store.write(results).counts != {"roi": len(rois)}:
            sys.exit(f"Not all ROIs of {name} were written.")


def write_at_once(store: OmeroStore, target: ObjectRef, wanted: dict[str, tuple[Roi, ...]]) -> None:
    """Write all fields as one unit."""
    rois = tuple(roi for own in wanted.values() for roi in own)
    store.write(Results(RUN, "k", "apply_qc", target, rois=rois))


def one_by_one(conn: Any, images: list[str], count: int) -> None:
    """Save a ROI a call, as scripts do."""
    update = conn.getUpdateService()
    places = np.random.default_rng(0).uniform(0, SIZE - 64, (count, 2)).round(2).tolist()
    for index, (y, x) in enumerate(places):
        shape = RectangleI()
        shape.x, shape.y, shape.width, shape.height = map(rdouble, (x, y, 64, 64))
        shape.textValue, shape.theZ, shape.theT = rstring("abnormal 0.90"), rint(0), rint(0)
        roi = RoiI()
        roi.image = ImageI(int(images[index % len(images)]), False)
        roi.addShape(shape)
        update.saveAndReturnObject(roi)


def steady(store: OmeroStore, target: ObjectRef, image: str, rois: int) -> dict[str, float]:
    """Time units while the journal grows: the last ones against the first."""
    taken = []
    for unit in range(LARGE_UNITS):
        own = rectangles(image, rois, 1000 + unit)
        results = Results(RUN, "k", "apply_qc", target, unit=f"unit {unit}", rois=own)
        taken.append(seconds(lambda results=results: store.write(results)))
    tenth = LARGE_UNITS // 10
    return {
        "first_ms": round(1000 * float(np.median(taken[:tenth])), 1),
        "last_ms": round(1000 * float(np.median(taken[-tenth:])), 1),
        "units": LARGE_UNITS,
    }


def seconds(action: Any) -> float:
    """Time one call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tiny", action="store_true", help="a try of a few seconds")
    told = {"images": 3, "rois": 20, "sample": 20} if parser.parse_args().tiny else {}
    print(json.dumps(measure(**told), indent=1))
