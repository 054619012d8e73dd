"""A sandbox in a file: what a client sees before is what he sees after."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import zipfile
from pathlib import Path

import numpy as np
import omero
import pytest
from omero import grid
from omero.gateway import BlitzGateway
from omero.model.enums import UnitsLength
from omero.rtypes import rdouble, rint, rstring, unwrap

from omero_hcs.errors import InputError, SandboxError
from omero_hcs.sandbox import launch
from omero_hcs.sandbox.address import Address
from omero_hcs.sandbox.model.schema import SCHEMA
from omero_hcs.sandbox.objects.snapshot import check_place, read_snapshot, write_snapshot
from omero_hcs.sandbox.objects.world import World
from omero_hcs.sandbox.people import People

SAMPLES = Path(__file__).with_name("samples")
ALL_GROUPS = {"omero.group": "-1"}
SCRIPT = """
import omero.scripts as scripts
client = scripts.client("Kept.py", "A script that is kept.")
client.closeSession()
"""
PLANE = np.arange(48, dtype="uint16").reshape(6, 8)


def address(box):
    return Address(box.host, box.port, box.user, box.password, is_sandbox=True)


@contextlib.contextmanager
def running(snapshot, password="a password"):  # noqa: S107
    with launch.start(snapshot=snapshot, password=password) as box:
        yield box


@contextlib.contextmanager
def connected(box, name, password):
    conn = BlitzGateway(name, password, host=box.host, port=box.port, secure=True)
    assert conn.connect(), conn.getLastError()
    try:
        yield conn
    finally:
        conn.close()


def seen(conn):
    """Everything that a client can see, by entity and id."""
    query = conn.getQueryService()
    found = {}
    for entity in SCHEMA.values():
        if entity.base is None and entity.name not in ("Event", "EventLog", "Session", "Node"):
            rows = query.findAllByQuery(f"from {entity.name}", None, ALL_GROUPS)
            found |= {(type(row).__name__, row.id.val): described(row) for row in rows}
    return found


def described(row):
    if not row.isLoaded():  # links to what has no class of its own, as OMERO gives them
        return None
    told = {
        name: plain(value)
        for name, value in vars(row).items()
        if name not in ("_id", "_details", "_loaded")
    }
    details = row._details
    told["owner"] = None if details._owner is None else details._owner.id.val
    told["group"] = None if details._group is None else details._group.id.val
    told["permissions"] = str(details._permissions)
    return told


def plain(value):
    if isinstance(value, omero.model.IObject):
        return value.id.val
    if hasattr(value, "getUnit"):
        return (value.getValue(), str(value.getUnit()))
    if isinstance(value, list):
        return [(one.name, one.value) if hasattr(one, "name") else one for one in value]
    return unwrap(value)


def fill(conn):
    """Make one of each kind of thing that is kept in its own way: their ids."""
    update = conn.getUpdateService()

    def save(row):
        return update.saveAndReturnObject(row, conn.SERVICE_OPTS).id.val

    image = conn.createImageFromNumpySeq(iter([PLANE, PLANE + 1]), "an image", 1, 2, 1)
    pixels = conn.getQueryService().get("Pixels", image.getPrimaryPixels().getId())
    pixels.physicalSizeX = omero.model.LengthI(0.325, UnitsLength.MICROMETER)
    update.saveObject(pixels)
    notes = omero.model.MapAnnotationI()
    notes.mapValue = [omero.model.NamedValue("gene", "ABC1"), omero.model.NamedValue("dose", "")]
    table = conn.c.sf.sharedResources().newTable(1, "cells.h5")
    table.initialize([grid.LongColumn("id", "", [])])
    table.addData([grid.LongColumn("id", "", [7, 8])])
    cells = table.getOriginalFile().id.val
    table.close()
    gone = omero.model.DatasetI()
    gone.name = rstring("gone")
    gone_id = save(gone)
    conn.deleteObjects("Dataset", [gone_id], wait=True)
    return {
        "image": image.getId(),
        "roi": save(roi(image.getId())),
        "notes": save(notes),
        "table": cells,
        "file": conn.createFileAnnfromLocalFile(__file__).getFile().getId(),
        "gone": gone_id,
    }


def roi(image):
    row = omero.model.RoiI()
    row.image = omero.model.ImageI(image, False)
    mask = omero.model.MaskI()
    mask.x = mask.y = mask.width = mask.height = rdouble(4)
    mask.bytes = b"\x00\xff"
    label = omero.model.LabelI()
    label.x = label.y = rdouble(1)
    label.textValue = rstring("Zelle ü")
    label.theZ = rint(0)
    for shape in (label, mask):
        row.addShape(shape)
    return row


def test_what_was_there_is_there_again(tmp_path):
    file = tmp_path / "state.zip"
    with running(file, "first") as box, People(address(box)) as people:
        groups = [people.make_group(level) for level in ("private", "read-write")]
        users = [people.make_user(*groups), people.make_user(groups[1])]
        with connected(box, users[1].name, users[1].password) as conn:
            ids = fill(conn)
        with connected(box, "root", "first") as root:
            root.c.sf.getConfigService().setConfigValue("omero.client.ui.test", "kept")
            script = root.c.sf.getScriptService().uploadOfficialScript("/lab/Kept.py", SCRIPT)
            everything = seen(root)
        with connected(box, users[1].name, users[1].password) as conn:
            mine = seen(conn)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["state.zip"]

    with running(file, "second") as box:
        with connected(box, "root", "second") as root:
            assert seen(root) == everything
            config = root.c.sf.getConfigService()
            assert config.getConfigValue("omero.client.ui.test") == "kept"
            assert root.c.sf.getScriptService().getScriptText(script) == SCRIPT
            assert root.c.sf.getScriptService().getParams(script).name == "Kept.py"
        with connected(box, users[1].name, users[1].password) as conn:
            assert seen(conn) == mine
            check_bytes(conn, ids)
        with connected(box, users[0].name, users[0].password) as conn:
            assert conn.getGroupFromContext().getName() == groups[0].name
        refused = BlitzGateway("root", "first", host=box.host, port=box.port, secure=True)
        assert not refused.connect()


def check_bytes(conn, ids):
    image = conn.getObject("Image", ids["image"])
    planes = image.getPrimaryPixels().getPlanes([(0, 0, 0), (0, 1, 0)])
    for plane, expected in zip(planes, (PLANE, PLANE + 1), strict=True):
        np.testing.assert_array_equal(plane, expected)
    text = b"".join(conn.getObject("OriginalFile", ids["file"]).getFileInChunks())
    assert text == Path(__file__).read_bytes()
    file = omero.model.OriginalFileI(ids["table"], False)
    with contextlib.closing(conn.c.sf.sharedResources().openTable(file)) as table:
        assert table.read([0], 0, 2).columns[0].values == [7, 8]
    (found,) = conn.getRoiService().findByImage(ids["image"], None).rois
    assert [type(shape).__name__ for shape in found.copyShapes()] == ["LabelI", "MaskI"]
    new = omero.model.DatasetI()
    new.name = rstring("new")
    assert conn.getUpdateService().saveAndReturnObject(new).id.val == ids["gone"] + 1


def test_a_state_is_kept_over_several_starts(tmp_path):
    file = tmp_path / "state.zip"
    for number in range(3):
        with running(file) as box, connected(box, "root", box.password) as root:
            assert len(list(root.getObjects("Project"))) == number
            row = omero.model.ProjectI()
            row.name = rstring(f"{number}")
            root.getUpdateService().saveObject(row)


def test_a_server_that_is_killed_leaves_the_old_state(tmp_path):
    file = tmp_path / "state.zip"
    with running(file):
        pass
    before = file.read_bytes()
    with pytest.raises(SandboxError, match="exit -9"), running(file) as box:
        os.kill(box.pid, 9)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["state.zip"]


# -- the file itself


@pytest.fixture
def world():
    """A few rows that point at each other, one of them gone, in an order that is not their ids'."""
    made = World()
    with made.transaction():
        first, second = (made.insert("Dataset", name=name) for name in "ab")
        project = made.insert("Project", name="p")
        for dataset in (second, first):
            made.insert("ProjectDatasetLink", parent=project, child=dataset)
        roi = made.insert("Roi")
        shapes = [made.insert("Label", textValue=str(number), x=1.5) for number in range(3)]
        for shape in reversed(shapes):
            made.set(shape, "roi", roi)
        made.arrange(project, "datasetLinks", list(made.all("ProjectDatasetLink"))[::-1])
        made.remove(made.insert("Tag") if "Tag" in SCHEMA else made.insert("Screen", name="gone"))
    return made


def test_rows_their_orders_and_the_next_ids_are_the_same(tmp_path, world):
    write_snapshot(tmp_path / "s.zip", world, tmp_path, {"config": {}})
    again = World()
    assert read_snapshot(tmp_path / "s.zip", again, tmp_path)["config"] == {}
    assert told(again) == told(world)
    assert again.next_ids == world.next_ids


def told(world):
    rows = {}
    for row in world.all_rows():
        values = {name: repr(value) for name, value in row.values.items()}
        members = {
            one.name: list(map(repr, world.members(row, one.name)))
            for one in row.entity.collections
        }
        rows[repr(row)] = (row.version, values, members)
    return rows


def test_a_file_that_can_not_be_written_leaves_the_old_one(tmp_path, world):
    file = tmp_path / "s.zip"
    write_snapshot(file, world, tmp_path, {})
    before = file.read_bytes()
    with pytest.raises(TypeError):
        write_snapshot(file, world, tmp_path, {"config": object()})
    with pytest.raises(SandboxError, match=r"gone.*can't be written"):
        write_snapshot(tmp_path / "gone" / "s.zip", world, tmp_path, {})
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["s.zip"]


def rewritten(file, target, **members):
    """Copy a snapshot with other members; None leaves one out."""
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(target, "w") as made:
        for name in source.namelist():
            content = members.get(name, source.read(name))
            if content is not None:
                made.writestr(name, content)
    return target


def test_a_later_version_is_refused_by_name(tmp_path, world):
    file = tmp_path / "s.zip"
    write_snapshot(file, world, tmp_path, {})
    state = json.loads(zipfile.ZipFile(file).read("sandbox.json"))
    later = rewritten(
        file, tmp_path / "later.zip", **{"sandbox.json": json.dumps({**state, "schema_version": 2})}
    )
    with pytest.raises(InputError, match=r"later\.zip has schema_version 2; .* reads 1"):
        read_snapshot(later, World(), tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda _, target: target.write_bytes(b"no archive at all"),
        lambda file, target: target.write_bytes(file.read_bytes()[:-40]),
        lambda _, target: target.write_bytes(b""),
        lambda file, target: rewritten(file, target, **{"sandbox.json": "{"}),
        lambda file, target: rewritten(file, target, **{"sandbox.json": "[]"}),
        lambda file, target: rewritten(file, target, **{"rows.jsonl": None}),
        lambda file, target: rewritten(file, target, **{"rows.jsonl": '{"entity": "Cell"}\n'}),
        lambda file, target: rewritten(
            file,
            target,
            **{"rows.jsonl": '{"entity": "Roi", "id": 1, "version": 0, "values": {"image": 9}}\n'},
        ),
    ],
)
def test_a_damaged_file_is_refused_by_name(tmp_path, world, damage):
    file, target = tmp_path / "s.zip", tmp_path / "damaged.zip"
    write_snapshot(file, world, tmp_path, {})
    damage(file, target)
    with pytest.raises(InputError, match=r"damaged\.zip is no snapshot of a sandbox, or a damaged"):
        read_snapshot(target, World(), tmp_path)


def test_bytes_that_were_changed_are_noticed(tmp_path, world):
    file = tmp_path / "s.zip"
    with world.transaction():
        row = world.insert("OriginalFile", name="x")
    (tmp_path / "Files").mkdir()
    (tmp_path / "Files" / str(row.id)).write_bytes(b"these are the bytes")
    write_snapshot(file, world, tmp_path, {})
    file.write_bytes(file.read_bytes().replace(b"are the bytes", b"ARE the bytes"))
    with pytest.raises(InputError, match="CRC"):
        read_snapshot(file, World(), tmp_path)


def test_nothing_is_written_outside_of_the_data_folder(tmp_path, world):
    file, data = tmp_path / "s.zip", tmp_path / "data"
    data.mkdir()
    write_snapshot(file, world, data, {})
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("../outside", "x")
        archive.writestr("Files/../../outside", "x")
    read_snapshot(file, World(), data)
    assert not (tmp_path / "outside").exists()
    assert list(data.iterdir()) == []


def test_a_server_does_not_start_on_a_damaged_file(tmp_path):
    file = tmp_path / "state.zip"
    file.write_bytes(b"no archive")
    with pytest.raises(InputError, match="is no snapshot of a sandbox"), running(file):
        pass
    assert file.read_bytes() == b"no archive"


def test_a_place_that_can_not_be_written_to_is_named_before_the_start(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        check_place(tmp_path)
    with pytest.raises(InputError, match="no folder"):
        check_place(tmp_path / "none" / "state.zip")


def test_the_stored_sample_of_the_first_version_is_read(tmp_path):
    """Made by `tests/sandbox/samples/make_sample.py`; a later version has to read it as well."""
    file = shutil.copy(SAMPLES / "snapshot-1.zip", tmp_path / "state.zip")
    with running(file) as box, connected(box, "ann", "ann's password") as conn:
        (image,) = conn.getObjects("Image")
        assert image.getName() == "a sample"
        np.testing.assert_array_equal(image.getPrimaryPixels().getPlane(), PLANE)
        size = image.getPrimaryPixels().getPhysicalSizeX()
        assert (size.getValue(), str(size.getUnit())) == (0.325, "MICROMETER")
        (notes,) = image.listAnnotations()
        assert notes.getValue() == [("gene", "ABC1")]
        assert conn.getGroupFromContext().getName() == "lab"
