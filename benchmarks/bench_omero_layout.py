"""OMERO: the layout of a plate, ours against the gateway's, one run, the same facts.

A plate of 384 wells and 9 fields of three channels on the sandbox, over TLS on loopback. Ours is
what a task asks for: names, sizes, pixel sizes, channels, acquisitions, and what users wrote on the
wells. The gateway's way is `listChildren`, `getImage` of each field and its channels' labels; both
answers are compared. `python benchmarks/bench_omero_layout.py` tries it on a small plate.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from omero.gateway import BlitzGateway
from omero.model import PlateI, WellI, WellSampleI
from omero.rtypes import rint, rstring

from omero_hcs.model import Channel, Image, Plate
from omero_hcs.sandbox import launch
from omero_hcs.sandbox.importer import Enums, image_graph
from omero_hcs.stores.omero.address import parse_address
from omero_hcs.stores.omero.layout import Layouts
from omero_hcs.stores.omero.login import Login
from omero_hcs.stores.omero.planes import PIXEL_DTYPES
from omero_hcs.stores.omero.session import Session

ROWS, COLUMNS, FIELDS = 16, 24, 9
CHANNELS = tuple(Channel(index, name) for index, name in enumerate(("DNA", "GFP", "actin")))
WELLS_A_SAVE = 24


def measure(rows: int = ROWS, columns: int = COLUMNS, fields: int = FIELDS) -> dict[str, Any]:
    """Make the plate and ask for its layout in both ways."""
    with launch.start() as box:
        conn = BlitzGateway(box.user, box.password, host=box.host, port=box.port, secure=True)
        conn.connect()
        plate = make_plate(conn, rows, columns, fields)
        session = Session(Login(box.host, box.port, box.user, box.password))
        address = parse_address(f"omero://{box.host}:{box.port}/plate/{plate}")
        before, mine = timed(lambda: Layouts(session, address).plate(str(plate)))
        (gateway,), theirs = timed(lambda: gateway_facts(conn, plate), 1)
        after, mine = timed(lambda: Layouts(session, address).plate(str(plate)))
        ours = statistics.median([*before, *after])
        session.close()
        conn.close()
    if layout_facts(mine) != theirs:
        msg = "the two layouts differ"
        raise RuntimeError(msg)
    return {
        "wells": rows * columns,
        "fields": rows * columns * fields,
        "ours_s (median of 6)": round(ours, 3),
        "gateway_s (listChildren, getImage, channels)": round(gateway, 2),
        "times as fast": round(gateway / ours, 1),
    }


def timed(action: Callable[[], Any], times: int = 3) -> tuple[list[float], Any]:
    """Return how long something takes each time, and what it gave last."""
    taken, given = [], None
    for _ in range(times):
        started = time.perf_counter()
        given = action()
        taken.append(time.perf_counter() - started)
    return taken, given


def make_plate(conn: BlitzGateway, rows: int, columns: int, fields: int) -> int:
    """Save a plate as an importer does, without pixel data."""
    update, enums = conn.getUpdateService(), Enums(conn)
    plate = PlateI()
    plate.name, plate.rows, plate.columns = rstring("plate"), rint(rows), rint(columns)
    number = update.saveAndReturnObject(plate).id.val
    places = [(row, column) for row in range(rows) for column in range(columns)]
    for first in range(0, len(places), WELLS_A_SAVE):
        wells = [well_graph(number, *p, fields, enums) for p in places[first:][:WELLS_A_SAVE]]
        update.saveArray(wells)
    return int(number)


def well_graph(plate: int, row: int, column: int, fields: int, enums: Enums) -> WellI:
    """Make a well and its fields."""
    well = WellI()
    well.row, well.column, well.plate = rint(row), rint(column), PlateI(plate, False)
    for index in range(fields):
        image = Image(
            "", f"{row} {column} {index}", 1080, 1280, CHANNELS, pixel_size_um=(0.65, 0.65)
        )
        sample = WellSampleI()
        sample.image = image_graph(image, enums)
        well.addWellSample(sample)
    return well


def layout_facts(plate: Plate) -> list[tuple[Any, ...]]:
    """Return the facts of each field in our layout."""
    return [
        (
            site.well and (site.well.row, site.well.column), site.field, site.image.id,
            site.image.name, site.image.size_x, site.image.size_y, site.image.size_z,
            site.image.size_t, site.image.dtype, site.image.pixel_size_um,
            site.image.channel_names,
        )
        for site in plate.sites()
    ]  # fmt: skip


def gateway_facts(conn: BlitzGateway, plate: int) -> list[tuple[Any, ...]]:
    """Ask the gateway for the same facts, as its users do."""
    found = []
    wells = conn.getObject("Plate", plate).listChildren()
    for well in sorted(wells, key=lambda well: (well.row, well.column)):
        for index in range(well.countWellSample()):
            image = well.getImage(index)
            found.append(
                (
                    (well.row, well.column), index, str(image.getId()), image.getName(),
                    image.getSizeX(), image.getSizeY(), image.getSizeZ(), image.getSizeT(),
                    PIXEL_DTYPES[image.getPixelsType()],
                    (image.getPixelSizeY(), image.getPixelSizeX()),
                    tuple(image.getChannelLabels()),
                )
            )  # fmt: skip
    return found


if __name__ == "__main__":
    print(json.dumps(measure(4, 6, 2), indent=1), file=sys.stdout)
