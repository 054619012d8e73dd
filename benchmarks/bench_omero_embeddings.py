"""Features of a plate's cells on an OMERO server: written as one OMERO.table, and read back.

The sandbox and the real client, on one machine. The features lie in a file, as those of a run do,
so that the memory told is what writing itself takes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from omero.gateway import BlitzGateway

from omero_hcs.model import StoreSpec
from omero_hcs.results import Results, Table
from omero_hcs.sandbox import launch
from omero_hcs.sandbox.importer import import_plate
from omero_hcs.sandbox.sources import SimulatedSource
from omero_hcs.settings import Settings
from omero_hcs.simulate.design import SimulationSettings
from omero_hcs.stores.omero.login import Login
from omero_hcs.stores.omero.session import Session
from omero_hcs.stores.omero.store import OmeroStore

ROWS, FEATURES = 50_000, 1_280
PLATE = SimulationSettings(wells=6, fields=1, size_y=96, size_x=96)
RUN = "20250101T120000-0000aaaa"


def measure(*, rows: int = ROWS, features: int = FEATURES) -> dict[str, Any]:
    """Write a table of features, read it back, and undo it."""
    with server() as store, tempfile.TemporaryFile() as file:
        table = cells(store, np.memmap(file, np.float32, "w+", shape=(rows, features)))
        results = Results(RUN, "k", "embed_cells", store.refs()[0], tables={"embeddings": table})
        with memory() as taken:
            written = seconds(lambda: store.write(results))
        found: list[Table] = []
        read = seconds(
            lambda: found.append(Table.from_parquet(store.fetch(RUN, "embeddings.parquet")))
        )
        if not np.array_equal(found[0]["features"], table["features"]):
            sys.exit("What was read is not what was written.")
        undone = seconds(lambda: store.undo(RUN))
        return {
            "cells": rows,
            "features": features,
            "written_s": round(written, 2),
            "written_rows_per_s": round(rows / written),
            "read_s": round(read, 2),
            "read_rows_per_s": round(rows / read),
            "undone_s": round(undone, 2),
            "memory_of_writing_mb": round(max(taken) - taken[0]),
            "features_mb": round(table["features"].nbytes / 1e6),
        }


@contextlib.contextmanager
def server() -> Iterator[OmeroStore]:
    """Start a sandbox with a plate, and open a store over it."""
    with launch.start() as box, contextlib.ExitStack() as stack:
        conn = BlitzGateway(box.user, box.password, host=box.host, port=box.port, secure=True)
        conn.connect()
        stack.callback(conn.close)
        with SimulatedSource(settings=PLATE) as source:
            plate = import_plate(conn, source, screen="Screen").plate
        login = Login(box.host, box.port, box.user, box.password)
        uri = f"omero://{box.host}:{box.port}/plate/{plate}"
        store = OmeroStore(StoreSpec(uri=uri), session=Session(login), settings=Settings())
        stack.callback(store.close)
        yield store


def cells(store: OmeroStore, features: np.memmap[Any, Any]) -> Table:
    """Make a table as an embedding run makes it."""
    rng, rows, target = np.random.default_rng(0), len(features), store.refs()[0]
    for start in range(0, rows, 1000):
        part = features[start : start + 1000]
        part[:] = rng.standard_normal(part.shape, dtype=np.float32)
    sites = list(store.plate(target.id).sites())
    places = [sites[row * len(sites) // rows] for row in range(rows)]
    return Table(
        {
            "cell": np.array([f"{target.id}/B03/f0/z0/t0/c{row:05d}" for row in range(rows)]),
            "plate": np.full(rows, target.id),
            "well": np.array([site.well.name if site.well else "" for site in places]),
            "field": np.zeros(rows, dtype=np.int32),
            "image": np.array([site.image.id for site in places]),
            "y": rng.uniform(0, 2048, rows),
            "x": rng.uniform(0, 2048, rows),
            "nucleus_area": rng.random(rows, dtype=np.float32),
            "at_border": rng.random(rows) > 0.5,
            "features": features,
        }
    )


@contextlib.contextmanager
def memory() -> Iterator[list[float]]:
    """Look every 50 ms at how many MB this process has beside files: the first is at the start."""
    taken, ended = [_anonymous_mb()], threading.Event()

    def look() -> None:
        while not ended.wait(0.05):
            taken.append(_anonymous_mb())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield taken
    finally:
        ended.set()
        thread.join()


def _anonymous_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("RssAnon"))


def seconds(action: Any) -> float:
    """Time one call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tiny", action="store_true", help="a try of a few seconds")
    told = {"rows": 300, "features": 64} if parser.parse_args().tiny else {}
    print(json.dumps(measure(**told), indent=1))
