"""A folder of images as a store: formats, axes, sizes, damage."""

from __future__ import annotations

import imagecodecs
import numpy as np
import PIL.Image
import pytest
import tifffile

from omero_hcs.errors import DataError, ImageNotFoundError, InputError, PlateNotFoundError
from omero_hcs.model import StoreSpec
from omero_hcs.stores.folder import FolderStore

RANDOM = np.random.default_rng(7)
GREY = RANDOM.integers(0, 255, (20, 30), np.uint8)
DEEP = RANDOM.integers(0, 65_535, (20, 30), np.uint16)
RGB = RANDOM.integers(0, 255, (20, 30, 3), np.uint8)
STACK = RANDOM.integers(0, 65_535, (2, 3, 2, 20, 30), np.uint16)  # T, Z, C, Y, X


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "images"
    path.mkdir()
    return path


def opened(folder):
    return FolderStore(StoreSpec(uri=str(folder)))


def images(folder):
    store = opened(folder)
    return store.images(store.refs()[0].id).images


def only(folder):
    """The one image of a folder, and all its channels at the first plane."""
    (image,) = images(folder)
    return image, opened(folder).read(image, channels=range(len(image.channels)))


class TestFolder:
    def test_images_come_in_natural_order_by_file_name(self, folder):
        for name in ("s10.tif", "s2.TIF", "S1.png", "s3.jpeg"):
            PIL.Image.fromarray(GREY).save(folder / name)
        assert [image.id for image in images(folder)] == ["S1.png", "s2.TIF", "s3.jpeg", "s10.tif"]

    def test_hidden_files_other_files_and_subfolders_are_left_out(self, folder):
        (folder / "masks").mkdir()
        for name in ("a.tif", "._a.tif", ".hidden.png", "masks/a.tif"):
            tifffile.imwrite(folder / name, GREY)
        (folder / "Thumbs.db").write_bytes(b"x")
        (folder / "folder.tif").mkdir()
        assert [image.id for image in images(folder)] == ["a.tif"]

    def test_an_empty_one_is_told_with_what_is_looked_for(self, folder):
        (folder / "notes.txt").write_text("x")
        with pytest.raises(InputError, match=r"has no image.*\.tif, \.tiff, \.png, \.jpg, \.jpeg"):
            images(folder)

    def test_one_that_is_not_there_is_told(self, folder):
        with pytest.raises(PlateNotFoundError, match="nowhere: no such folder"):
            opened(folder / "nowhere")

    def test_a_plate_asked_of_it_is_told_how_to_make_one(self, folder):
        with pytest.raises(PlateNotFoundError, match="omero-hcs convert"):
            opened(folder).plate("images")

    def test_its_name_is_that_of_the_folder_from_inside_too(self, folder, monkeypatch):
        monkeypatch.chdir(folder)
        assert opened(".").refs()[0].id == "images"

    def test_results_stand_beside_it_and_are_no_images(self, folder_home):
        before = folder_home.layout()
        folder_home.store.write(folder_home.results("run1", labels=(folder_home.label_image(),)))
        assert folder_home.layout() == before

    def test_an_image_that_was_removed_is_told_by_name(self, folder):
        tifffile.imwrite(folder / "a.tif", GREY)
        (image,) = images(folder)
        (folder / "a.tif").unlink()
        with pytest.raises(ImageNotFoundError, match=r"no image 'a\.tif'"):
            opened(folder).read(image, channels=[0])

    def test_an_image_that_changed_since_is_told_by_name(self, folder):
        tifffile.imwrite(folder / "a.tif", GREY)
        (image,) = images(folder)
        tifffile.imwrite(folder / "a.tif", GREY[:10])
        with pytest.raises(DataError, match=r"a\.tif has changed"):
            opened(folder).read(image, channels=[0])


class TestPictures:
    @pytest.mark.parametrize("pixels", [GREY, DEEP], ids=["8 bit", "16 bit"])
    @pytest.mark.parametrize("name", ["a.png", "a.tif"])
    def test_grey_is_one_channel_in_its_own_dtype(self, folder, pixels, name):
        PIL.Image.fromarray(pixels).save(folder / name)
        image, read = only(folder)
        assert image.channel_names == ("grey",)
        assert image.dtype == read.dtype.name == pixels.dtype.name
        np.testing.assert_array_equal(read[0], pixels)

    @pytest.mark.parametrize("name", ["a.png", "a.tif"])
    @pytest.mark.parametrize("alpha", [False, True])
    def test_colour_is_three_channels_and_alpha_is_dropped(self, folder, name, alpha):
        picture = PIL.Image.fromarray(RGB)
        if alpha:
            picture.putalpha(PIL.Image.fromarray(GREY))
        picture.save(folder / name)
        image, read = only(folder)
        assert image.channel_names == ("red", "green", "blue")
        np.testing.assert_array_equal(read, np.moveaxis(RGB, 2, 0))

    def test_jpeg_is_read(self, folder):
        smooth = np.tile(np.linspace(0, 255, 30, dtype=np.uint8)[:, np.newaxis], (20, 1, 3))
        PIL.Image.fromarray(smooth).save(folder / "a.jpg", quality=95)
        image, read = only(folder)
        assert image.channel_names == ("red", "green", "blue")
        assert np.abs(read.astype(int) - np.moveaxis(smooth, 2, 0)).max() < 12

    def test_deep_colour_png_keeps_its_16_bits(self, folder):
        deep = RANDOM.integers(0, 65_535, (20, 30, 3), np.uint16)
        (folder / "a.png").write_bytes(imagecodecs.png_encode(deep))
        image, read = only(folder)
        assert image.dtype == "uint16"
        np.testing.assert_array_equal(read, np.moveaxis(deep, 2, 0))

    def test_grey_with_alpha_is_grey(self, folder):
        PIL.Image.fromarray(np.dstack([GREY, GREY // 2]), "LA").save(folder / "a.png")
        image, read = only(folder)
        assert image.channel_names == ("grey",)
        np.testing.assert_array_equal(read[0], GREY)

    @pytest.mark.parametrize(("colours", "channels"), [((1, 1, 1), 1), ((1, 0, 0), 3)])
    def test_a_palette_of_greys_is_grey_and_one_of_colours_is_colour(
        self, folder, colours, channels
    ):
        picture = PIL.Image.fromarray(GREY, "P")
        picture.putpalette([level * on for level in range(256) for on in colours])
        picture.save(folder / "a.png")
        _, read = only(folder)
        assert len(read) == channels
        np.testing.assert_array_equal(read[0], GREY)


class TestTiffAxes:
    @pytest.mark.parametrize(
        "settings",
        [
            {"imagej": True, "metadata": {"axes": "TZCYX"}},
            {"ome": True, "metadata": {"axes": "TZCYX"}},
            {"ome": True, "compression": "zlib", "metadata": {"axes": "TZCYX"}},
            {"metadata": {"axes": "TZCYX"}},
        ],
        ids=["ImageJ", "OME", "OME compressed", "shaped"],
    )
    def test_they_come_from_the_file(self, folder, settings):
        tifffile.imwrite(folder / "a.tif", STACK, **settings, photometric="minisblack")
        (image,) = images(folder)
        assert (image.size_t, image.size_z, len(image.channels)) == (2, 3, 2)
        read = opened(folder).read(image, channels=[1, 0], z=2, t=1)
        np.testing.assert_array_equal(read, STACK[1, 2, ::-1])

    def test_pages_without_a_name_are_planes(self, folder):
        with tifffile.TiffWriter(folder / "a.tif") as writer:
            for page in STACK[0, :, 0]:
                writer.write(page, metadata=None, contiguous=False)
        (image,) = images(folder)
        assert (image.size_z, image.size_t) == (3, 1)
        read = opened(folder).read(image, channels=[0], z=1)
        np.testing.assert_array_equal(read[0], STACK[0, 1, 0])

    def test_pages_of_colour_are_planes_of_colour(self, folder):
        tifffile.imwrite(
            folder / "a.tif", np.stack([RGB, RGB // 2]), photometric="rgb", metadata=None
        )
        (image,) = images(folder)
        assert (image.size_z, image.channel_names) == (2, ("red", "green", "blue"))
        read = opened(folder).read(image, channels=[2], z=1)
        np.testing.assert_array_equal(read[0], RGB[..., 2] // 2)

    def test_colour_planes_one_after_another_are_colour(self, folder):
        planes = np.moveaxis(RGB, 2, 0)
        tifffile.imwrite(folder / "a.tif", planes, photometric="rgb", planarconfig="separate")
        image, read = only(folder)
        assert image.channel_names == ("red", "green", "blue")
        np.testing.assert_array_equal(read, planes)

    def test_a_display_palette_does_not_change_the_values(self, folder):
        green = np.zeros((3, 256), np.uint16)
        green[1] = np.arange(256) * 257
        tifffile.imwrite(folder / "a.tif", GREY, photometric="palette", colormap=green)
        image, read = only(folder)
        assert image.channel_names == ("grey",)
        np.testing.assert_array_equal(read[0], GREY)

    def test_axes_that_say_nothing_are_refused_with_the_mend(self, folder):
        tifffile.imwrite(folder / "a.tif", STACK, photometric="minisblack")
        with pytest.raises(DataError, match=r"a\.tif are QQQYX.*OME-TIFF"):
            images(folder)

    @pytest.mark.parametrize(
        ("given", "names"),
        [
            (["DAPI", "GFP"], ("DAPI", "GFP")),
            (["DAPI", "DAPI"], ("DAPI 1", "DAPI 2")),
            (None, ("channel 1", "channel 2")),
        ],
    )
    def test_channel_names_are_those_of_the_file_or_numbers(self, folder, given, names):
        metadata = {"axes": "CYX"} | ({"Channel": {"Name": given}} if given else {})
        tifffile.imwrite(folder / "a.ome.tif", STACK[0, 0], metadata=metadata)
        assert images(folder)[0].channel_names == names


OME_SET = """<?xml version="1.0" encoding="UTF-8"?>
<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{file}">
<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16"
 SizeX="30" SizeY="20" SizeC="2" SizeZ="{z}" SizeT="1"
 PhysicalSizeX="0.5" PhysicalSizeXUnit="um" PhysicalSizeY="0.5" PhysicalSizeYUnit="um">
<Channel ID="Channel:0:0" Name="DAPI"/><Channel ID="Channel:0:1" Name="GFP"/>
<TiffData FirstC="0" PlaneCount="{z}"><UUID FileName="0.ome.tif">urn:uuid:0</UUID></TiffData>
<TiffData FirstC="1" PlaneCount="{z}"><UUID FileName="1.ome.tif">urn:uuid:1</UUID></TiffData>
</Pixels></Image></OME>"""


class TestOmeSets:
    def put(self, folder, planes):
        for file in range(2):
            tifffile.imwrite(
                folder / f"{file}.ome.tif",
                STACK[file, :planes, 0],
                description=OME_SET.format(file=file, z=planes),
                metadata=None,
                photometric="minisblack",
            )

    def test_a_file_of_a_set_is_read_as_itself(self, folder):
        """Tifffile gives the pixels of the whole set for each of its files."""
        self.put(folder, 1)
        first, second = images(folder)
        assert len(first.channels) == len(second.channels) == 1
        assert second.pixel_size_um == (0.5, 0.5)
        read = opened(folder).read(second, channels=[0])
        np.testing.assert_array_equal(read[0], STACK[1, 0, 0])

    def test_planes_of_a_set_that_only_the_set_can_name_are_refused(self, folder):
        self.put(folder, 3)
        with pytest.raises(DataError, match=r"0\.ome\.tif has 3 planes of a set of OME-TIFF"):
            images(folder)

    def test_a_renamed_file_keeps_its_axes(self, folder):
        tifffile.imwrite(folder / "a.ome.tif", STACK, metadata={"axes": "TZCYX"})
        (folder / "a.ome.tif").rename(folder / "renamed.tif")
        (image,) = images(folder)
        assert (image.size_t, image.size_z, len(image.channels)) == (2, 3, 2)


class TestPixelSize:
    @pytest.mark.parametrize(
        ("settings", "size"),
        [
            ({"resolution": (20_000, 10_000), "resolutionunit": "CENTIMETER"}, (1.0, 0.5)),
            ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),
            ({"resolution": (600, 600), "resolutionunit": "INCH"}, None),
            ({"resolution": (2, 2), "resolutionunit": "NONE"}, None),
            ({"resolution": (2, 4), "imagej": True, "metadata": {"unit": "um"}}, (0.25, 0.5)),
            ({"resolution": (2, 2), "imagej": True, "metadata": {"unit": "\\u00B5m"}}, (0.5, 0.5)),
            ({"resolution": (2, 2), "imagej": True, "metadata": {"unit": "pixel"}}, None),
            ({}, None),
        ],
        ids=["cm", "72 dpi", "600 dpi", "no unit", "ImageJ", "ImageJ µm", "ImageJ pixel", "none"],
    )
    def test_it_comes_from_tags_that_are_a_microscopes(self, folder, settings, size):
        tifffile.imwrite(folder / "a.tif", GREY, **settings)
        found = images(folder)[0].pixel_size_um
        assert found == (size if size is None else pytest.approx(size))

    def test_it_comes_from_ome_xml_in_its_unit(self, folder):
        metadata = {
            "axes": "ZYX",
            "PhysicalSizeX": 500.0,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 0.25,
            "PhysicalSizeYUnit": "µm",
            "PhysicalSizeZ": 2.0,
            "PhysicalSizeZUnit": "µm",
        }
        tifffile.imwrite(folder / "a.ome.tif", STACK[0, :, 0], metadata=metadata)
        (image,) = images(folder)
        assert image.pixel_size_um == pytest.approx((0.25, 0.5))
        assert image.z_step_um == pytest.approx(2.0)


class TestDamage:
    @pytest.mark.parametrize("part", [0.0, 0.05, 0.3, 0.6, 0.9, 0.99])
    @pytest.mark.parametrize(
        "settings",
        [
            {"imagej": True, "metadata": {"axes": "TZCYX"}},
            {"ome": True, "metadata": {"axes": "TZCYX"}},
            {"ome": True, "compression": "zlib", "metadata": {"axes": "TZCYX"}},
            {"metadata": {"axes": "TZCYX"}},
            {"metadata": {"axes": "TZCYX"}, "bigtiff": True},
        ],
        ids=["ImageJ", "OME", "OME compressed", "shaped", "big"],
    )
    def test_a_truncated_tiff_is_never_taken_for_a_smaller_one(self, folder, settings, part):
        path = folder / "cut.tif"
        tifffile.imwrite(path, STACK, photometric="minisblack", **settings)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
        with pytest.raises(DataError, match=r"cut\.tif"):
            images(folder)

    def test_all_damaged_files_are_named_at_once(self, folder):
        for name in ("good.tif", "cut.tif"):
            tifffile.imwrite(folder / name, DEEP)
        cut = (folder / "cut.tif").read_bytes()
        (folder / "cut.tif").write_bytes(cut[:700])
        (folder / "text.png").write_text("no picture")
        with pytest.raises(DataError, match="2 of 3 images cannot be read") as caught:
            images(folder)
        assert "cut.tif cannot be read: it is truncated" in str(caught.value)
        assert "text.png" in str(caught.value)
        assert "good.tif" not in str(caught.value)

    @pytest.mark.parametrize("name", ["cut.png", "cut.jpg"])
    def test_a_truncated_picture_is_told_at_reading(self, folder, name):
        PIL.Image.fromarray(RANDOM.integers(0, 255, (200, 200, 3), np.uint8)).save(folder / name)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
        (image,) = images(folder)
        with pytest.raises(DataError, match=rf"{name} cannot be read: .*truncated"):
            opened(folder).read(image, channels=[0])

    def test_damaged_bytes_inside_are_told_at_reading(self, folder):
        path = folder / "a.tif"
        tifffile.imwrite(path, DEEP, compression="zlib")
        with tifffile.TiffFile(path) as tiff:
            (offset,) = tiff.pages[0].dataoffsets
        content = bytearray(path.read_bytes())
        content[offset : offset + 40] = b"\xff" * 40
        path.write_bytes(content)
        (image,) = images(folder)
        with pytest.raises(DataError, match=r"a\.tif cannot be read"):
            opened(folder).read(image, channels=[0])
