"""Original files read where they lie: the same arrays, or the server's; never another file."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from omero.model import FilesetEntryI, FilesetI, OriginalFileI
from omero.rtypes import rint, rlong, rstring

from omero_hcs.imaging.focus import project
from omero_hcs.model import Channel, Field, Image, Plate, Well
from omero_hcs.stores.ome_zarr.writer import PlateWriter
from omero_hcs.stores.omero.login import Login
from omero_hcs.stores.omero.pixels import PixelReader
from omero_hcs.stores.omero.session import Session

FOLDER = "user_7/2026-01/02/10-11-12.131/"
SHAPE = (2, 2, 3, 24, 30)  # T, C, Z, Y, X
IN_FILE = 1000  # is added to what lies in the file, so that one sees where pixels come from


class Original:
    """An image on the server, and a mount where its original files may lie."""

    def __init__(self, conn, session, mount):
        self.conn, self._session, self.mount = conn, session, mount
        self.stack = np.random.default_rng(2).integers(0, 900, SHAPE).astype(np.uint16)
        self.image = self.put_image()

    def put_image(self):
        """Make an image of `stack` on the server."""
        size_t, size_c, size_z, size_y, size_x = self.stack.shape
        order = np.ndindex(size_z, size_c, size_t)
        made = self.conn.createImageFromNumpySeq(
            (self.stack[t, c, z] for z, c, t in order), "field", size_z, size_c, size_t
        )
        channels = tuple(Channel(index, f"channel {index}") for index in range(size_c))
        return Image(
            str(made.getId()), "field", size_y, size_x, channels, self.stack.dtype.name,
            size_z, size_t,
        )  # fmt: skip

    def become(self, stack):
        """Be an image of other pixels."""
        self.stack = stack
        self.image = self.put_image()

    def register(self, *paths, images=(), size=None):
        """Say on the server that the image was imported from files."""
        fileset = FilesetI()
        fileset.templatePrefix = rstring("")
        for path in paths:
            folder, _, name = path.rpartition("/")
            entry, file = FilesetEntryI(), OriginalFileI()
            file.path, file.name = rstring(f"{folder}/"), rstring(name)
            here = self.mount / path.lstrip("/")
            file.size = rlong(size or (here.stat().st_size if here.is_file() else 1))
            entry.clientPath, entry.originalFile = rstring("home/somewhere"), file
            fileset.addFilesetEntry(entry)
        update = self.conn.getUpdateService()
        number = update.saveAndReturnObject(fileset).id.val
        for image_id in (self.image.id, *images):
            image = self.conn.getQueryService().get("Image", int(image_id))
            image.fileset, image.series = FilesetI(number, False), rint(0)
            update.saveObject(image)

    def path(self, name):
        """A file of the repository; its folder is made."""
        path = self.mount / FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write_tiff(self, name="field.ome.tif", stack=None, **options):
        """Write an OME-TIFF; the value is its path in the repository."""
        stack = self.stack + np.uint16(IN_FILE) if stack is None else stack
        options = {"ome": True, "metadata": {"axes": "TZCYX"}} | options
        tifffile.imwrite(self.path(name), stack.swapaxes(1, 2), **options)
        return FOLDER + name

    def write_zarr(self, name="field.zarr"):
        """Write an OME-Zarr image; the value are paths of its files in the repository."""
        plate = Plate("p", "p", 1, 1, (Well(0, 0, (Field(0, self.image),)),))
        with PlateWriter(self.mount / "plate.zarr", plate) as writer:
            writer.write_field("A01", 0, None, self.stack + np.uint16(IN_FILE))
        shutil.copytree(self.mount / "plate.zarr" / "A" / "01" / "0", self.path(name))
        return [
            str(path.relative_to(self.mount))
            for path in sorted(self.path(name).rglob("*"))
            if path.is_file()
        ]

    def read(self, image=None, **place):
        with contextlib.closing(PixelReader(self._session, mount=self.mount)) as reader:
            return reader.read(image or self.image, **{"channels": [0, 1], **place})

    def is_in_place(self):
        """Whether pixels come from the file; they come from there or from the server, whole."""
        read, stored = self.read(z=1, t=1), self.stack[1, :, 1]
        in_place = bool((read == stored + IN_FILE).all())
        assert in_place or (read == stored).all()
        return in_place


@pytest.fixture
def original(omero_server, omero_user, omero_conn, tmp_path):
    login = Login(omero_server.host, omero_server.port, omero_user.name, omero_user.password)
    (tmp_path / "ManagedRepository").mkdir()
    with contextlib.closing(Session(login)) as session:
        yield Original(omero_conn, session, tmp_path / "ManagedRepository")


@pytest.fixture(params=["ome-tiff", "imagej", "zipped", "zarr"])
def registered(request, original):
    """An image whose original file is of one of the kinds that are read in place."""
    if request.param == "zarr":
        original.register(*original.write_zarr())
    else:
        options = {
            "ome-tiff": {},
            "imagej": {"ome": False, "imagej": True},
            "zipped": {"compression": "zlib"},
        }[request.param]
        original.register(original.write_tiff(**options))
    return original


@pytest.mark.parametrize("z", [0, 2, "middle", "focus", "max"])
def test_every_plane_is_the_servers(registered, z):
    for t in (0, 1):
        expected = project(registered.stack[t] + np.uint16(IN_FILE), z)
        read = registered.read(channels=[1, 0, 1], z=z, t=t)
        assert (read.dtype, read.flags.writeable) == (np.uint16, True)
        np.testing.assert_array_equal(read, expected[[1, 0, 1]])


def test_colours_of_a_plain_tiff_are_its_channels(original):
    rgb = np.random.default_rng(5).integers(0, 255, (3, 20, 22)).astype(np.uint8)
    original.become(rgb[None, :, None])
    tifffile.imwrite(original.path("rgb.tif"), np.moveaxis(255 - rgb, 0, -1), photometric="rgb")
    original.register(f"{FOLDER}rgb.tif")
    np.testing.assert_array_equal(original.read(channels=[2, 0]), 255 - rgb[[2, 0]])


class TestFallsBack:
    """Whatever is not surely the image comes from the server."""

    def test_an_image_without_a_file(self, original):
        assert not original.is_in_place()

    def test_a_file_that_is_not_in_the_mount(self, original):
        original.register(f"{FOLDER}gone.tif")
        assert not original.is_in_place()

    def test_a_mount_that_is_not_there(self, original):
        original.register(original.write_tiff())
        original.mount = original.mount / "nowhere"
        assert not original.is_in_place()

    def test_several_images_in_one_file(self, original):
        other = original.put_image()
        original.register(original.write_tiff(), images=[other.id])
        assert not original.is_in_place()

    def test_an_image_of_several_files(self, original):
        original.register(original.write_tiff(), original.write_tiff("companion.ome.tif"))
        assert not original.is_in_place()

    @pytest.mark.parametrize(
        "change",
        [
            lambda stack: stack[:1],
            lambda stack: stack[..., :-1],
            lambda stack: stack.astype(np.int16),
            lambda stack: stack.astype(np.float32),
        ],
    )
    def test_a_file_of_another_shape_or_type(self, original, change):
        original.register(original.write_tiff(stack=change(original.stack)))
        assert not original.is_in_place()

    def test_a_file_of_another_size_than_the_imported(self, original):
        original.register(original.write_tiff(), size=77)
        assert not original.is_in_place()

    def test_a_truncated_file(self, original):
        path = original.write_tiff()
        file = original.mount / path
        os.truncate(file, file.stat().st_size * 2 // 3)
        original.register(path)
        assert not original.is_in_place()

    def test_a_file_that_is_no_image(self, original):
        original.path("field.tif").write_bytes(b"not a TIFF")
        original.register(f"{FOLDER}field.tif")
        assert not original.is_in_place()

    @pytest.mark.parametrize(
        "options", [{"photometric": "miniswhite"}, {"ome": False, "metadata": None}]
    )
    def test_a_file_that_readers_differ_on(self, original, options):
        original.register(original.write_tiff(**options))
        assert not original.is_in_place()

    def test_jpeg_which_every_decoder_rounds_differently(self, original):
        rgb = np.random.default_rng(5).integers(0, 255, (32, 32, 3)).astype(np.uint8)
        original.become(np.moveaxis(rgb, -1, 0)[None, :, None])
        tifffile.imwrite(original.path("a.tif"), rgb, photometric="rgb", compression="jpeg")
        original.register(f"{FOLDER}a.tif")
        np.testing.assert_array_equal(original.read(channels=[0])[0], rgb[:, :, 0])

    def test_pages_that_may_be_z_or_time(self, original):
        original.become(original.stack[:1, :1])
        pages = original.stack[0, 0] + np.uint16(IN_FILE)
        tifffile.imwrite(original.path("a.tif"), pages, metadata=None, photometric="minisblack")
        original.register(f"{FOLDER}a.tif")
        np.testing.assert_array_equal(original.read(channels=[0], z=2)[0], original.stack[0, 0, 2])

    def test_a_file_with_a_second_image(self, original):
        with tifffile.TiffWriter(original.path("two.ome.tif")) as writer:
            first = (original.stack + np.uint16(IN_FILE)).swapaxes(1, 2)
            writer.write(first, metadata={"axes": "TZCYX"})
            writer.write(np.zeros((50, 60), np.uint8))
        original.register(f"{FOLDER}two.ome.tif")
        assert not original.is_in_place()

    def test_a_file_that_breaks_while_it_is_read(self, original, caplog):
        path = original.write_tiff(compression="zlib")
        with tifffile.TiffFile(original.mount / path) as tiff:
            start, count = tiff.pages[-1].dataoffsets[0], tiff.pages[-1].databytecounts[0]
        with (original.mount / path).open("r+b") as file:
            file.seek(start)
            file.write(bytes(count))
        original.register(path)
        with caplog.at_level(logging.INFO):
            read = original.read(z=2, t=1)
        np.testing.assert_array_equal(read, original.stack[1, :, 2])
        assert "read from the server" in caplog.text

    def test_a_plate_of_ome_zarr(self, original):
        original.write_zarr()
        shutil.move(original.mount / "plate.zarr", original.path("plate.zarr"))
        original.register(f"{FOLDER}plate.zarr/zarr.json", f"{FOLDER}plate.zarr/A/01/zarr.json")
        assert not original.is_in_place()


class TestStaysInTheMount:
    """Nothing outside the mount is read, wherever the database or the repository lead."""

    @pytest.mark.parametrize("up", ["../", f"{FOLDER}../../../../../"])
    def test_a_path_with_dots(self, original, up):
        path = original.mount / original.write_tiff()
        shutil.move(path, original.mount.parent / "field.ome.tif")
        original.register(f"{up}field.ome.tif")
        assert not original.is_in_place()

    def test_an_absolute_path_is_one_of_the_repository(self, original):
        original.register(f"/{original.write_tiff()}")
        assert original.is_in_place()

    def test_a_link_to_a_file_elsewhere(self, original):
        path = original.mount / original.write_tiff()
        outside = original.mount.parent / "secret.ome.tif"
        shutil.move(path, outside)
        path.symlink_to(outside)
        original.register(str(path.relative_to(original.mount)))
        assert not original.is_in_place()

    def test_a_link_within_the_mount_is_followed(self, original):
        path = original.mount / original.write_tiff()
        elsewhere = original.mount / "field.ome.tif"
        shutil.move(path, elsewhere)
        path.symlink_to(elsewhere)
        original.register(str(path.relative_to(original.mount)))
        assert original.is_in_place()

    def test_metadata_that_name_a_file_elsewhere(self, original):
        path = original.mount / original.write_tiff()
        shutil.copy(path, original.mount.parent / "secret.ome.tif")
        with tifffile.TiffFile(path) as tiff:
            xml = tiff.pages.first.description
        uuid = '><UUID FileName="../../../../../secret.ome.tif">urn:uuid:1</UUID></TiffData>'
        assert xml.count("/></Pixels>") == 1
        tifffile.tiffcomment(path, xml.replace("/></Pixels>", f"{uuid}</Pixels>").encode())
        original.register(str(path.relative_to(original.mount)))
        assert not original.is_in_place()

    def test_a_chunk_that_is_a_link(self, original):
        paths = original.write_zarr()
        files = [original.mount / path for path in paths]
        chunk = max(files, key=lambda path: path.stat().st_size)
        shutil.move(chunk, original.mount.parent / "chunk")
        chunk.symlink_to(original.mount.parent / "chunk")
        original.register(*paths)
        assert not original.is_in_place()

    @pytest.mark.parametrize("what", ["level", "datasets"])
    def test_an_ome_zarr_that_leads_elsewhere(self, original, what):
        paths = original.write_zarr()
        folder = original.path("field.zarr")
        level = next(path for path in folder.iterdir() if path.is_dir())
        shutil.move(level, original.mount.parent / "level")
        if what == "level":
            level.symlink_to(original.mount.parent / "level")
        else:
            document = folder / "zarr.json"
            text = document.read_text()
            assert f'"path": "{level.name}"' in text or f'"path":"{level.name}"' in text
            for space in ("", " "):
                text = text.replace(
                    f'"path":{space}"{level.name}"', '"path": "../../../../../../level"'
                )
            document.write_text(text)
        original.register(*paths)
        assert not original.is_in_place()


def test_why_the_server_is_read_is_told_once(original, caplog):
    second = replace(original.image, id=original.put_image().id)
    with (
        caplog.at_level(logging.INFO, logger="omero_hcs"),
        contextlib.closing(PixelReader(original._session, mount=original.mount)) as reader,
    ):
        for image in (original.image, second, original.image):
            reader.read(image, channels=[0])
    told = [record.getMessage() for record in caplog.records if "server" in record.getMessage()]
    assert len(told) == 1
    assert "was not imported from a file" in told[0]
    assert original.image.id in told[0]
