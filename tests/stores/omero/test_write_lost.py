"""A connection that is cut in the middle of a write or an undo: the same call completes it."""

from __future__ import annotations

import contextlib

import pytest

from omero_hcs.errors import ServerLostError
from omero_hcs.model import StoreSpec
from omero_hcs.results import KeyValues, ResultFile, Roi, Tag
from omero_hcs.settings import Settings
from omero_hcs.stores.omero.login import Login
from omero_hcs.stores.omero.session import Session
from omero_hcs.stores.omero.store import OmeroStore
from tests.stores.omero.relay import Relay

RUN = "20250101T120000-0000aaaa"
CUTS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Where in the answers of the server it is cut, as a part of all of them."""


@pytest.fixture
def relay(omero_server):
    with Relay(omero_server.host, omero_server.port) as relay:
        yield relay


@pytest.fixture
def store(omero_home, omero_user, relay):
    """A store whose connection can be cut."""
    login = Login("127.0.0.1", relay.port, omero_user.name, omero_user.password, origin="a test")
    spec = StoreSpec(uri=f"omero://127.0.0.1:{relay.port}/plate/{omero_home.ref.id}")
    with contextlib.closing(OmeroStore(spec, session=Session(login), settings=Settings())) as store:
        store.plate(omero_home.ref.id)
        yield store


@pytest.fixture
def results(omero_home):
    image = omero_home.first_image().id
    return omero_home.results(
        RUN,
        tables={},
        rois=tuple(Roi(image, "point", ((1.0, float(x)),), "abnormal") for x in range(20)),
        tags=(Tag("image", image, "QC: fail"),),
        key_values=(KeyValues("image", image, "omero-hcs/qc", (("cells", "5"),)),),
        files=(ResultFile("report.html", "text/html", b"<p>5 cells</p>"),),
    )


def cut_within(relay, size, part, call):
    """Make a call whose connection is lost after a part of what the server answers."""
    relay.cut_after(int(size * part))
    try:
        # A cut that hits a question is made good at once, and goes unnoticed.
        with contextlib.suppress(ServerLostError):
            call()
            return 0
    finally:
        relay.cut_after(1 << 40)
    return 1


def test_the_same_write_completes_what_a_cut_left_half_done(omero_home, store, results, relay):
    before, start = omero_home.snapshot(), relay.passed
    report, size = store.write(results), relay.passed - start
    complete = omero_home.snapshot()
    store.undo(RUN)
    lost = 0
    for part in CUTS:
        lost += cut_within(relay, size, part, lambda: store.write(results))
        again = store.write(results)
        assert (again.counts, again.kept) == (report.counts, ())
        assert omero_home.snapshot() == complete
        store.undo(RUN)
        assert omero_home.snapshot() == before
    assert lost


def test_the_same_undo_completes_what_a_cut_left_half_done(omero_home, store, results, relay):
    before = omero_home.snapshot()
    store.write(results)
    start = relay.passed
    store.undo(RUN)
    size = relay.passed - start
    lost = 0
    for part in CUTS:
        store.write(results)
        lost += cut_within(relay, size, part, lambda: store.undo(RUN))
        if store.runs(omero_home.ref):
            assert store.undo(RUN).kept == ()
        assert omero_home.snapshot() == before
    assert lost
