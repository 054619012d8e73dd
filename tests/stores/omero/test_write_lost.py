"""A connection that is cut in the middle of a write or an undo: the same call completes it."""

from __future__ import annotations

import contextlib

import pytest
from omero.gateway import BlitzGateway  # noqa: F401  (first: loads omero's modules in order)

from omero.clients import BaseClient  # isort: skip

from omero_hcs.errors import ServerLostError
from omero_hcs.model import StoreSpec
from omero_hcs.results import KeyValues, ResultFile, Roi, Tag
from omero_hcs.settings import Settings
from omero_hcs.stores.omero.journal import Pen
from omero_hcs.stores.omero.login import Login
from omero_hcs.stores.omero.session import Session
from omero_hcs.stores.omero.store import OmeroStore
from tests.stores.omero.relay import Relay

RUN = "20250101T120000-0000aaaa"
LINES = 6
"""Lines of the journal in a write of these results."""


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


@pytest.fixture
def losing(relay, monkeypatch):
    """Call something that loses its connection within the given call of a method."""

    def lose(owner, name, number, action):
        whole, left = getattr(owner, name), iter(range(number, -1, -1))

        def call(*given, **named):
            if next(left, None) == 0:
                relay.cut_after(1)
            return whole(*given, **named)

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, call)
            with pytest.raises(ServerLostError):
                action()

    return lose


def test_the_same_write_completes_what_a_cut_left_half_done(omero_home, store, results, losing):
    before = omero_home.snapshot()
    report, complete = store.write(results), omero_home.snapshot()
    store.undo(RUN)
    for line in range(LINES):
        losing(Pen, "write", line, lambda: store.write(results))
        again = store.write(results)
        assert (again.counts, again.kept) == (report.counts, ())
        assert omero_home.snapshot() == complete
        store.undo(RUN)
        assert omero_home.snapshot() == before


@pytest.mark.parametrize("deletion", [0, 1, 2])
def test_the_same_undo_completes_what_a_cut_left_half_done(
    omero_home, store, results, losing, deletion
):
    before = omero_home.snapshot()
    store.write(results)
    losing(BaseClient, "submit", deletion, lambda: store.undo(RUN))
    if store.runs(omero_home.ref):
        assert store.undo(RUN).kept == ()
    assert omero_home.snapshot() == before
