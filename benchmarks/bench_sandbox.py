"""Sandbox: what the real clients see of it on loopback, one run, a warm machine.

Planes are compared with the same bytes sent by Python's own TLS and TCP in the same run: what a
server in Python could reach at best. Times are medians; the server is a process of its own.
"""

from __future__ import annotations

import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import omero
import omero.clients
import psutil
from omero.gateway import BlitzGateway
from omero.model import (
    ChannelI,
    DimensionOrderI,
    ImageI,
    LogicalChannelI,
    PixelsI,
    PixelsTypeI,
    PlateI,
    PolygonI,
    RoiI,
    WellI,
    WellSampleI,
)
from omero.rtypes import rint, rlong, rstring
from omero.sys import ParametersI

from omero_hcs.sandbox import launch

ROWS, COLUMNS, FIELDS, CHANNELS = 16, 24, 4, 3
PLANE = 2048  # uint16: 8 MB
PLANES = 16
SHAPES = 5000
POINTS = " ".join(f"{x},{2 * x}" for x in range(30))
CLIENTS = 16
CALLS = 10_000
MEGA = 1e6
PLATE_QUERY = (
    "select w.row, w.column, ws.id, i.id, i.name, p.id, p.sizeX, p.sizeY, p.sizeC, p.sizeZ, "
    "p.sizeT, t.value from WellSample ws join ws.well w join ws.image i join i.pixels p "
    "join p.pixelsType t where w.plate.id = :plate order by w.row, w.column, ws.id"
)
CLIENT = """
import sys
import numpy as np
from omero.gateway import BlitzGateway
from omero.model import ProjectI
from omero.rtypes import rstring
number, port = int(sys.argv[1]), int(sys.argv[2])
conn = BlitzGateway("root", sys.stdin.readline().strip(), host="127.0.0.1", port=port, secure=True)
assert conn.connect()
for k in range(20):
    project = ProjectI()
    project.name = rstring(f"{number} {k}")
    saved = conn.getUpdateService().saveAndReturnObject(project)
    assert conn.getObject("Project", saved.id.val).getName() == f"{number} {k}"
planes = [np.full((512, 512), number, np.uint16)] * 4
image = conn.createImageFromNumpySeq(iter(planes), f"of {number}", sizeZ=4)
again = conn.getObject("Image", image.getId()).getPrimaryPixels()
assert all((again.getPlane(z) == number).all() for z in range(4))
conn.close()
"""


def measure() -> dict[str, Any]:
    """Start a sandbox and ask it everything that the issue sets a number for."""
    with launch.start() as box:
        conn = BlitzGateway(box.user, box.password, host=box.host, port=box.port, secure=True)
        conn.connect()
        measured = {
            "start_and_log_in": {**starts(), **connects(box)},
            "round_trips_ms": round_trips(conn),
            "planes_mb_per_s": planes(conn, box),
            "shapes_per_s": shapes(conn),
            "plate_384_wells_4_fields_3_channels": plate(conn),
            "sixteen_clients_at_once": crowd(box),
            "memory": memory(conn, box),
        }
        conn.close()
    return measured


def median_seconds(action: Callable[[], Any], times: int) -> float:
    """Return the median of how long something takes."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def starts() -> dict[str, float]:
    """Start servers: from the call until they answer, and until they are gone."""
    ready, gone = [], []
    for _ in range(5):
        started = time.perf_counter()
        box = launch.start()
        ready.append(time.perf_counter() - started)
        started = time.perf_counter()
        box.stop()
        gone.append(time.perf_counter() - started)
    return {
        "ready_s (target 1.5)": round(statistics.median(ready), 2),
        "stopped_s": round(statistics.median(gone), 2),
    }


def connects(box: launch.Sandbox) -> dict[str, float]:
    """Log in by TLS, as every client does first."""
    clients = []

    def connect() -> None:
        client = omero.client(box.host, box.port)
        client.createSession(box.user, box.password)
        clients.append(client)

    taken = median_seconds(connect, 30)
    for client in clients:
        client.closeSession()
    return {"tls_log_in_ms (target 20)": round(taken * 1e3, 1)}


def round_trips(conn: BlitzGateway) -> dict[str, float]:
    """Call what does next to nothing, over TLS."""
    config, query, admin = conn.getConfigService(), conn.getQueryService(), conn.getAdminService()
    calls = {
        "IConfig.getVersion (target 0.5)": config.getVersion,
        "IAdmin.getEventContext": admin.getEventContext,
        "IQuery.get": lambda: query.get("PixelsType", 1),
        "IQuery.findAllByQuery": lambda: query.findAllByQuery(
            "select t from PixelsType t where t.value like 'u%'", None
        ),
    }
    return {name: round(median_seconds(call, 500) * 1e3, 3) for name, call in calls.items()}


def planes(conn: BlitzGateway, box: launch.Sandbox) -> dict[str, Any]:
    """Write and read planes of 8 MB."""
    random = np.random.default_rng(0)
    drawn = [random.integers(0, 4096, (PLANE, PLANE), np.uint16) for _ in range(PLANES)]
    megabytes = drawn[0].nbytes / MEGA
    started = time.perf_counter()
    image = conn.createImageFromNumpySeq(iter(drawn), "planes", sizeZ=PLANES)
    written = PLANES * megabytes / (time.perf_counter() - started)
    pixels = conn.getObject("Image", image.getId()).getPrimaryPixels()
    started = time.perf_counter()
    again = list(pixels.getPlanes([(z, 0, 0) for z in range(PLANES)]))
    gateway = PLANES * megabytes / (time.perf_counter() - started)
    if not all((one == other).all() for one, other in zip(again, drawn, strict=True)):
        msg = "planes came back changed"
        raise RuntimeError(msg)
    tls = read_raw(conn.c, pixels.getId())
    plain = omero.client(
        [f"--Ice.Default.Router=OMERO.Glacier2/router:tcp -p {box.plain_port} -h {box.host}"]
    )
    plain.createSession(box.user, box.password)
    tcp = read_raw(plain, pixels.getId())
    plain.closeSession()
    best_tls, best_tcp = socket_rate(secure=True), socket_rate(secure=False)
    return {
        "createImageFromNumpySeq": round(written),
        "BlitzGateway.getPlanes": round(gateway),
        "RawPixelsStore.getPlane by TLS (target 400)": round(tls),
        "RawPixelsStore.getPlane by TCP": round(tcp),
        "baseline: Python's TLS": round(best_tls),
        "baseline: Python's TCP": round(best_tcp),
        "TLS, share of the baseline": round(tls / best_tls, 2),
        "TCP, share of the baseline": round(tcp / best_tcp, 2),
    }


def read_raw(client: Any, pixels_id: int) -> float:
    """Read planes by a store that is kept open; MB/s."""
    store = client.getSession().createRawPixelsStore()
    store.setPixelsId(pixels_id, False)
    megabytes = store.getPlaneSize() / MEGA
    taken = median_seconds(lambda: np.frombuffer(store.getPlane(0, 0, 0), ">u2"), 30)
    store.close()
    return megabytes / taken


def socket_rate(*, secure: bool) -> float:
    """Send 8 MB blocks from a thread by Python's own sockets; MB/s."""
    block = bytes(PLANE * PLANE * 2)
    blocks = 30
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        serving, asking = contexts(Path(folder)) if secure else (None, None)

        def serve() -> None:
            raw, _ = server.accept()
            connection = serving.wrap_socket(raw, server_side=True) if serving else raw
            with connection:
                for _ in range(blocks):
                    connection.sendall(block)

        thread = threading.Thread(target=serve)
        thread.start()
        raw = socket.create_connection(server.getsockname())
        client = asking.wrap_socket(raw) if asking else raw
        buffer = bytearray(1 << 20)
        received, started = 0, time.perf_counter()
        while count := client.recv_into(buffer):
            received += count
        taken = time.perf_counter() - started
        client.close()
        thread.join()
    return received / MEGA / taken


def contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Make both ends of a TLS connection, as the sandbox's: 1.2, a certificate nobody checks."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *files], check=True, capture_output=True)
    serving, asking = (
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )
    serving.load_cert_chain(certificate, key)
    asking.check_hostname, asking.verify_mode = False, ssl.CERT_NONE
    asking.maximum_version = ssl.TLSVersion.TLSv1_2
    return serving, asking


def shapes(conn: BlitzGateway) -> dict[str, Any]:
    """Save ROIs of one polygon of thirty points each."""
    image = conn.createImageFromNumpySeq(iter([np.zeros((16, 16), np.uint8)]), "rois")
    update = conn.getUpdateService()
    made = {
        "saveArray (target 5000)": update.saveArray,
        "saveAndReturnIds": update.saveAndReturnIds,
        "saveAndReturnArray": update.saveAndReturnArray,
    }
    rates = {}
    for name, save in made.items():
        rois = list(polygons(image.getId(), SHAPES))
        started = time.perf_counter()
        save(rois)
        rates[name] = round(SHAPES / (time.perf_counter() - started))
    started = time.perf_counter()
    found = conn.getRoiService().findByImage(image.getId(), None)
    return {**rates, "findByImage": round(len(found.rois) / (time.perf_counter() - started))}


def polygons(image_id: int, count: int) -> Iterator[RoiI]:
    """Make ROIs on one image."""
    for number in range(count):
        roi, polygon = RoiI(), PolygonI()
        roi.image = ImageI(image_id, False)
        polygon.points, polygon.textValue = rstring(POINTS), rstring(f"cell {number}")
        polygon.theZ, polygon.theT = rint(0), rint(0)
        roi.addShape(polygon)
        yield roi


def plate(conn: BlitzGateway) -> dict[str, float]:
    """Save a plate as an importer does, list it, delete it."""
    query, update = conn.getQueryService(), conn.getUpdateService()
    kind = query.findByQuery("select t from PixelsType t where t.value = 'uint16'", None).id.val
    order = query.findByQuery("select o from DimensionOrder o where o.value = 'XYZCT'", None).id.val
    graph = plate_graph(kind, order)
    started = time.perf_counter()
    plate_id = update.saveAndReturnIds([graph])[0]
    saved = time.perf_counter() - started
    params = ParametersI()
    params.add("plate", rlong(plate_id))
    listed = median_seconds(lambda: query.projection(PLATE_QUERY, params), 5)
    if len(query.projection(PLATE_QUERY, params)) != ROWS * COLUMNS * FIELDS:
        msg = "the query did not list all fields"
        raise RuntimeError(msg)
    started = time.perf_counter()
    children = sum(1 for _ in conn.getObject("Plate", plate_id).listChildren())
    gateway = time.perf_counter() - started
    started = time.perf_counter()
    conn.deleteObjects("Plate", [plate_id], deleteChildren=True, wait=True)
    deleted = time.perf_counter() - started
    if children != ROWS * COLUMNS or conn.getObject("Plate", plate_id) is not None:
        msg = "the plate was not listed or not deleted"
        raise RuntimeError(msg)
    return {
        "saved_in_one_graph_s (target 4)": round(saved, 2),
        "listed_by_one_query_s (target 0.3)": round(listed, 3),
        "listed_by_the_gateway_s": round(gateway, 2),
        "deleted_s (target 2)": round(deleted, 2),
    }


def plate_graph(pixels_type: int, order: int) -> PlateI:
    """Make 384 wells of 4 fields: images, pixels, channels; enumerations by id only."""
    made = PlateI()
    made.name = rstring("plate")
    for row in range(ROWS):
        for column in range(COLUMNS):
            well = WellI()
            well.row, well.column = rint(row), rint(column)
            for field in range(FIELDS):
                sample = WellSampleI()
                sample.image = image_graph(f"{row} {column} {field}", pixels_type, order)
                well.addWellSample(sample)
            made.addWell(well)
    return made


def image_graph(name: str, pixels_type: int, order: int) -> ImageI:
    """Make one image of three channels."""
    image, pixels = ImageI(), PixelsI()
    image.name = rstring(name)
    pixels.pixelsType = PixelsTypeI(pixels_type, False)
    pixels.dimensionOrder = DimensionOrderI(order, False)
    pixels.sizeX = pixels.sizeY = rint(1080)
    pixels.sizeC, pixels.sizeZ, pixels.sizeT = rint(CHANNELS), rint(1), rint(1)
    pixels.sha1 = rstring("Pending...")
    for _ in range(CHANNELS):
        channel = ChannelI()
        channel.logicalChannel = LogicalChannelI()
        pixels.addChannel(channel)
    image.addPixels(pixels)
    return image


def crowd(box: launch.Sandbox) -> dict[str, Any]:
    """Let sixteen processes save, query, write and read at once."""
    started = time.perf_counter()
    clients = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", CLIENT, str(number), str(box.port)],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(CLIENTS)
    ]  # fmt: skip
    failed = 0
    for client in clients:
        client.communicate(f"{box.password}\n")
        failed += client.returncode != 0
    return {"errors (target 0)": failed, "seconds": round(time.perf_counter() - started, 1)}


def memory(conn: BlitzGateway, box: launch.Sandbox) -> dict[str, Any]:
    """Call ten thousand times, log in every hundredth time, and weigh the server."""
    server, query = psutil.Process(box.pid), conn.getQueryService()

    def call_often(times: int) -> None:
        for number in range(times):
            query.projection("select t.id, t.value from PixelsType t", None)
            if number % 100 == 0:
                client = omero.client(box.host, box.port)
                session = client.createSession(box.user, box.password)
                store = session.createRawFileStore()
                store.close()
                client.closeSession()

    call_often(CALLS // 10)  # what is made once is made now
    before = server.memory_info().rss
    call_often(CALLS)
    grown = server.memory_info().rss - before
    return {
        "server_mb": round(before / MEGA),
        "grown_kb_over_10000_calls": round(grown / 1e3),
    }
