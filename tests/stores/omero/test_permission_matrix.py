"""Four kinds of groups, four roles: who may read a plate, keep results with it, and undo them.

The table is that of OMERO's documentation, "Groups and permissions system": in a private group
only an object's owner may annotate it; in a read-only one group owners and administrators may, too;
in a read-annotate one every member may; in a read-write one every member may edit and delete as
well. Group owners and administrators may delete everywhere. What somebody annotated is his own: the
plate's owner may not remove it, except in a read-write group.
"""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from omero_hcs.errors import NotAllowedError, PlateNotFoundError
from omero_hcs.model import StoreSpec
from omero_hcs.results import KeyValues, ResultFile, Results, Roi, Tag
from omero_hcs.sandbox.importer import ImportedPlate, import_plate
from omero_hcs.sandbox.people import Group, User
from omero_hcs.sandbox.sources import StoreSource
from omero_hcs.settings import Settings
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.stores.omero.login import Login
from omero_hcs.stores.omero.session import Session
from omero_hcs.stores.omero.store import OmeroStore

# What each may: r(ead layout and pixels), a(nnotate: keep a run's results), u(ndo his own run),
# undo another's o(ne).
TABLE = {
    "private": {"owner": "rau", "member": "", "leader": "ro", "admin": "ro"},
    "read-only": {"owner": "rau", "member": "r", "leader": "rauo", "admin": "rauo"},
    "read-annotate": {"owner": "rau", "member": "rau", "leader": "rauo", "admin": "rauo"},
    "read-write": {"owner": "rauo", "member": "rauo", "leader": "rauo", "admin": "rauo"},
}
ROLES = ("owner", "member", "leader", "admin")
# Of whom a run is that somebody else finds there: the plate's owner finds that of a group owner.
WRITER = {"owner": "leader", "member": "owner", "leader": "owner", "admin": "owner"}
REFUSED = {
    "private": "not even a group owner or an administrator",
    "read-only": "In a read-only group members only look",
}
# Nothing of ours that is left on or beside a plate after a run was refused or undone.
LEFT = (
    "select a.id from Annotation a where a.ns like 'omero-hcs/%' and a.details.group.id = :group",
    "select r.id from Roi r where r.details.group.id = :group",
    "select f.id from OriginalFile f where f.name like '%run%' and f.details.group.id = :group",
)
_numbers = itertools.count()


@dataclass(frozen=True)
class Lab:
    """A group, its people, a plate of `owner`, and every role's store over it."""

    group: Group
    people: dict[str, Any]
    ids: ImportedPlate
    pixels: np.ndarray
    stores: dict[str, OmeroStore]

    def left(self) -> list[Any]:
        admin = self.stores["admin"]._session
        return [row for hql in LEFT for row in admin.project(hql, {"group": self.group.id})]


@pytest.fixture(scope="module", params=TABLE)
def lab(request, omero_people, omero_server, tiny_plate, pixels_of):
    group = omero_people.make_group(request.param)
    people = {
        "owner": omero_people.make_user(group),
        "member": omero_people.make_user(group),
        "leader": omero_people.make_user(group, owns=[group]),
        "admin": User(0, omero_server.user, omero_server.password),
    }
    pixels = pixels_of(tiny_plate)
    by_id = {site.image.id: one for site, one in zip(tiny_plate.sites(), pixels, strict=True)}
    memory = MemoryStore.create(f"matrix {request.param}", tiny_plate, by_id)
    with contextlib.ExitStack() as stack:
        conn = stack.enter_context(contextlib.closing(omero_people.connect(people["owner"])))
        ids = import_plate(conn, StoreSource(memory), screen="Screen")
        stores = {}
        for role, who in people.items():
            login = Login(omero_server.host, omero_server.port, who.name, who.password)
            session = stack.enter_context(contextlib.closing(Session(login)))
            spec = StoreSpec(
                uri=f"omero://{omero_server.host}:{omero_server.port}/plate/{ids.plate}"
            )
            stores[role] = OmeroStore(spec, session=session, settings=Settings())
            stack.callback(stores[role].close)
        yield Lab(group, people, ids, pixels[0], stores)


def results_on(store, run_id):
    (ref,) = store.refs()
    plate = store.plate(ref.id)
    site = next(iter(plate.sites()))
    image = site.image.id
    return Results(
        run_id=run_id,
        key="k" * 64,
        task="apply_qc",
        target=ref,
        rois=(Roi(image, "rectangle", ((2.0, 3.0), (9.0, 11.0)), "abnormal"),),
        tags=(Tag("well", f"{ref.id}/{site.well.name}", "QC: fail"), Tag("image", image, "bad")),
        key_values=(KeyValues("plate", ref.id, "omero-hcs/qc", (("cells", "5"),)),),
        files=(ResultFile("report.html", "text/html", b"<p>5 cells</p>"),),
    )


def new_run():
    return f"20250101T120000-{next(_numbers):08x}"


def reads(store, pixels):
    try:
        (ref,) = store.refs()
        plate = store.plate(ref.id)
    except PlateNotFoundError:
        return False
    image = next(iter(plate.sites())).image
    np.testing.assert_array_equal(store.read(image, channels=[0, 1], z=1, t=1), pixels[1, :, 1])
    return True


def writes(store, run_id):
    try:
        store.write(results_on(store, run_id))
    except NotAllowedError:
        return False
    return True


def undoes(store, run_id):
    try:
        report = store.undo(run_id)
    except NotAllowedError:
        return False
    assert report.kept == ()
    return True


@pytest.mark.parametrize("role", ROLES)
def test_each_cell_is_what_the_table_says_and_what_was_foretold(lab, role):
    store, may = lab.stores[role], TABLE[lab.group.level][role]
    done = "r" * reads(store, lab.pixels)
    if done:
        faults = store.write_faults(store.refs()[0])
        assert bool(faults) == ("a" not in may)
        assert all(REFUSED[lab.group.level] in fault for fault in faults)
        run = new_run()
        wrote = writes(store, run)
        done += "a" * wrote
        if wrote:
            done += "u" * undoes(store, run)
        assert lab.left() == []
        done += "o" * _undoes_anothers(lab, role)
    assert done == may


def _undoes_anothers(lab, role):
    """Whether somebody may undo a run of another; what he may not, its writer can."""
    writer, run = lab.stores[WRITER[role]], new_run()
    if not writes(writer, run):
        return False  # nobody else can write in a private group
    before = lab.left()
    assert before
    undone = undoes(lab.stores[role], run)
    if not undone:
        assert lab.left() == before
        assert undoes(writer, run)
    assert lab.left() == []
    return undone


def test_a_tag_of_another_user_is_not_removed_with_a_run_that_used_it(lab):
    """The owner's tag is there first; whoever may write beside him leaves it."""
    if "a" not in TABLE[lab.group.level]["leader"]:
        pytest.skip("nobody else can write in a private group")
    first, second = new_run(), new_run()
    owner, leader = lab.stores["owner"], lab.stores["leader"]
    assert writes(owner, first)
    assert writes(leader, second)
    assert undoes(leader, second)
    tags = "select t.textValue from TagAnnotation t where t.details.group.id = :group"
    rows = lab.stores["admin"]._session.project(tags, {"group": lab.group.id})
    assert sorted(row[0] for row in rows) == ["QC: fail", "bad"]
    assert undoes(owner, first)
    assert lab.left() == []
