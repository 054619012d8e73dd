"""OMERO pixels: our reader beside the gateway, ezomero and a bare store, one plate, one run.

A plate of 32 fields of two channels, 2048 x 2048 uint16, on a sandbox of its own, read over TLS.
Every way reads the same fields, and is checked to give the same arrays; ways take turns field by
field, and rates are medians. "Bare" is a RawPixelsStore kept open that is told which pixels to read
and whose bytes are only looked at by numpy: what OMERO's client can do at best.
"""

from __future__ import annotations

import gc
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import ezomero
import numpy as np
import psutil
from numpy.typing import NDArray
from omero.gateway import BlitzGateway

from omero_hcs.model import Channel, Field, Image, Plate, Well
from omero_hcs.sandbox import launch
from omero_hcs.sandbox.importer import import_plate
from omero_hcs.sandbox.sources import StoreSource
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.stores.omero.login import Login
from omero_hcs.stores.omero.pixels import PixelReader
from omero_hcs.stores.omero.session import Session
from omero_hcs.tasks.readahead import read_ahead

SMALL = bool(os.environ.get("BENCH_SMALL"))
FIELDS, SIDE = (8, 512) if SMALL else (32, 2048)
CHANNELS = ("DAPI", "GFP")
TURNS = 32
PAIR = 2
"""Fields a turn of two readers, each of which reads one."""
PASSES = 4
MEGA = 1e6


@dataclass(frozen=True)
class Put:
    """Images on the server, with the arrays, (C, Y, X), that are in them."""

    images: tuple[Image, ...]
    arrays: tuple[NDArray[np.uint16], ...]

    def megabytes(self, count: int) -> float:
        """Size of some fields."""
        return count * self.arrays[0].nbytes / MEGA


Way = Callable[[Sequence[Image]], list[Any]]
"""Reads some fields; the value has for each of them its planes."""


def measure() -> dict[str, Any]:
    """Put a plate on a sandbox and read it in every way."""
    with launch.start() as box, closing(connected(box)) as conn:
        put = put_plate(conn)
        login = Login(box.host, box.port, box.user, box.password)
        with (
            closing(Session(login)) as session,
            closing(PixelReader(session, readers=1)) as one,
            closing(PixelReader(session, readers=2)) as two,
        ):
            ways: dict[str, Way] = {
                "bare RawPixelsStore": bare(conn, put),
                "ours, 1 reader": ours(one, 1),
                "ours, 2 readers": ours(two, PAIR),
                "gateway getPlanes": gateway(conn),
                "ezomero get_image": by_ezomero(conn),
            }
            for name, way in ways.items():
                check_same(name, way, put)
            rates = measure_rates(ways, put)
            return {
                "fields": FIELDS,
                "megabytes": round(put.megabytes(FIELDS)),
                "mb_per_s": {name: round(rate) for name, rate in rates.items()},
                "ratios": ratios(rates),
                "memory": memory(two, put),
            }


def connected(box: launch.Sandbox) -> BlitzGateway:
    """Log in as the clients that are compared do."""
    conn = BlitzGateway(box.user, box.password, host=box.host, port=box.port, secure=True)
    conn.connect()
    return conn


def put_plate(conn: BlitzGateway) -> Put:
    """Send a plate of random fields to the server."""
    channels = tuple(Channel(index, name) for index, name in enumerate(CHANNELS))
    images = [Image(f"i{n}", f"i{n}", SIDE, SIDE, channels) for n in range(FIELDS)]
    wells = tuple(Well(n // 12, n % 12, (Field(0, image),)) for n, image in enumerate(images))
    random = np.random.default_rng(0)
    shape = (len(CHANNELS), SIDE, SIDE)
    arrays = tuple(random.integers(0, 4096, shape, np.uint16) for _ in images)
    pixels = {image.id: array[None, :, None] for image, array in zip(images, arrays, strict=True)}
    store = MemoryStore.create("bench", Plate("p", "p", 8, 12, wells), pixels)
    made = import_plate(conn, StoreSource(store), screen="bench")
    return Put(
        tuple(
            Image(str(number), image.name, SIDE, SIDE, channels)
            for number, image in zip(made.images, images, strict=True)
        ),
        arrays,
    )


def ours(reader: PixelReader, threads: int) -> Way:
    """Read as a task does."""
    pool = ThreadPoolExecutor(threads)

    def field(image: Image) -> Any:
        return reader.read(image, channels=range(len(CHANNELS)))

    def read(images: Sequence[Image]) -> list[Any]:
        return [field(images[0])] if len(images) == 1 else list(pool.map(field, images))

    return read


def bare(conn: BlitzGateway, put: Put) -> Way:
    """Only the bytes: pixels' ids are known, and nothing is decoded."""
    known = {image.id: conn.getObject("Image", image.id).getPixelsId() for image in put.images}
    store = conn.c.sf.createRawPixelsStore()

    def field(image: Image) -> Any:
        store.setPixelsId(known[image.id], True)
        return [
            np.frombuffer(store.getPlane(0, channel, 0), ">u2").reshape(SIDE, SIDE)
            for channel in range(len(CHANNELS))
        ]

    return lambda images: list(map(field, images))


def gateway(conn: BlitzGateway) -> Way:
    """As OMERO's own documentation reads pixels."""

    def field(image: Image) -> Any:
        pixels = conn.getObject("Image", image.id).getPrimaryPixels()
        return list(pixels.getPlanes([(0, channel, 0) for channel in range(len(CHANNELS))]))

    return lambda images: list(map(field, images))


def by_ezomero(conn: BlitzGateway) -> Way:
    """As most scripts for OMERO read pixels today; (T, Z, Y, X, C)."""

    def field(image: Image) -> Any:
        _, found = ezomero.get_image(conn, int(image.id))
        return np.moveaxis(found[0, 0], -1, 0)

    return lambda images: list(map(field, images))


def check_same(name: str, way: Way, put: Put) -> None:
    """Stop where a way gives other pixels than were put in."""
    for image, array in zip(put.images, put.arrays, strict=True):
        (read,) = way([image])
        if not all((one == other).all() for one, other in zip(read, array, strict=True)):
            sys.exit(f"{name} gives other pixels")


def measure_rates(ways: dict[str, Way], put: Put) -> dict[str, float]:
    """MB/s of each way; they take turns, so that a busy moment of the machine meets them all."""
    random = np.random.default_rng(1)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TURNS):
        for name in random.permutation(list(ways)).tolist():
            count = PAIR if name.endswith("readers") else 1
            images = [put.images[(turn + number) % FIELDS] for number in range(count)]
            started = time.perf_counter()
            read = ways[name](images)
            taken[name].append(put.megabytes(count) / (time.perf_counter() - started))
            del read
    return {name: statistics.median(rates) for name, rates in taken.items()}


def ratios(rates: dict[str, float]) -> dict[str, float]:
    """Compare the rates that the issue sets targets for."""
    alone, two = rates["ours, 1 reader"], rates["ours, 2 readers"]
    return {
        "1 reader / getPlanes (target 8)": round(alone / rates["gateway getPlanes"], 1),
        "1 reader / ezomero": round(alone / rates["ezomero get_image"], 1),
        "1 reader / bare (target 0.8)": round(alone / rates["bare RawPixelsStore"], 2),
        "2 readers / getPlanes": round(two / rates["gateway getPlanes"], 1),
        "2 readers / bare": round(two / rates["bare RawPixelsStore"], 2),
    }


def memory(reader: PixelReader, put: Put) -> dict[str, float]:
    """Weigh this process while the plate streams through it, read ahead as by a task."""
    here = psutil.Process()

    def read(image: Image) -> Any:
        return reader.read(image, channels=range(len(CHANNELS)))

    weights = []
    for _ in range(PASSES):
        most = 0
        for _, result in read_ahead(read, put.images, threads=PAIR):
            result()
            most = max(most, here.memory_info().rss)
        gc.collect()
        weights.append(most / MEGA)
    return {
        "one_field_mb": round(put.megabytes(1), 1),
        "plate_mb": round(put.megabytes(FIELDS), 1),
        "most_mb_in_the_first_pass": round(weights[0]),
        "grown_mb_over_three_more": round(max(weights[1:]) - weights[0], 1),
    }


if __name__ == "__main__":
    import json

    sys.stdout.write(json.dumps(measure(), indent=1) + "\n")
