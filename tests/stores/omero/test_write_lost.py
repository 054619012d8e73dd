"""A connection that is cut in the middle of a write or an undo: the same call completes it."""

from __future__ import annotations

import contextlib
import subprocess
import sys

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
KILLED = """
import os, sys
from omero_hcs.model import StoreSpec
from omero_hcs.results import Results, Roi
from omero_hcs.settings import Settings
from omero_hcs.stores.omero.journal import Pen
from omero_hcs.stores.omero.login import Login
from omero_hcs.stores.omero.session import Session
from omero_hcs.stores.omero.store import OmeroStore
host, port, user, password, plate, image, run, line = sys.stdin.read().split()
login = Login(host, int(port), user, password)
spec = StoreSpec(uri=f"omero://{host}:{port}/plate/{plate}")
store = OmeroStore(spec, session=Session(login), settings=Settings())
left, whole = iter(range(int(line), -1, -1)), Pen.write
def write(pen, *lines):
    if next(left) == 0:
        os._exit(9)  # as the kernel ends it: nothing is closed, nothing is told
    return whole(pen, *lines)
Pen.write = write
rois = tuple(Roi(image, "point", ((1.0, float(x)),), "abnormal") for x in range(5))
store.write(Results(run, "k", "apply_qc", store.refs()[0], unit="u", rois=rois))
"""
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


@pytest.mark.parametrize("again", [True, False], ids=["written again", "undone"])
def test_a_process_that_was_killed_between_its_rois_and_the_journal(
    omero_home, omero_server, omero_user, again
):
    before, image = omero_home.snapshot(), omero_home.first_image().id
    told = [
        omero_server.host, omero_server.port, omero_user.name, omero_user.password,
        omero_home.ref.id, image, RUN, 2,
    ]  # fmt: skip
    given = " ".join(map(str, told))
    done = subprocess.run([sys.executable, "-c", KILLED], input=given, text=True, timeout=60)
    assert done.returncode == 9
    assert omero_home.snapshot() != before
    if again:
        rois = tuple(Roi(image, "point", ((1.0, float(x)),), "abnormal") for x in range(5))
        nothing = {"tables": {}, "tags": (), "key_values": (), "files": ()}
        report = omero_home.store.write(omero_home.results(RUN, unit="u", rois=rois, **nothing))
        assert (report.counts, report.kept) == ({"roi": 5}, ())
    assert omero_home.store.undo(RUN).counts == {"roi": 5}
    assert omero_home.snapshot() == before
