"""What a newcomer finds in the sandbox, seen through the real client."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from omero_hcs.errors import InputError
from omero_hcs.model import Acquisition, Channel, Field, Image, Plate, Well
from omero_hcs.sandbox import launch
from omero_hcs.sandbox.demo import GROUP, USER, connect, fill
from omero_hcs.sandbox.importer import PIXEL_TYPES, import_plate
from omero_hcs.sandbox.sources import SimulatedSource


class Drawn:
    """A plate of two fields of random numbers, in two channels, two planes, two time points."""

    def __init__(self, dtype, *, acquisitions=2):
        channels = (Channel(0, "DNA", "0000FF"), Channel(1, "GFP"))
        image = Image(
            "", "one", 24, 40, channels, dtype, size_z=2, size_t=2, pixel_size_um=(0.5, 0.25),
            z_step_um=2.0,
        )  # fmt: skip
        runs = tuple(Acquisition(f"run{n}", f"Run {n}") for n in range(acquisitions))
        fields = tuple(Field(0, image, run.id) for run in runs) or (Field(0, image),)
        self.plate = Plate("p", "drawn", 2, 3, (Well(1, 2, fields),), runs)
        rng = np.random.default_rng(0)
        self.pixels = (rng.random((len(fields), 2, 2, 2, 24, 40)) * 100).astype(dtype)

    def planes(self, number, site):  # noqa: ARG002
        for t in range(2):
            for z in range(2):
                yield z, t, self.pixels[number, t, :, z]


@pytest.fixture(scope="module")
def sandbox():
    """A sandbox of these tests alone."""
    with launch.start() as box:
        yield box


@pytest.fixture(scope="module")
def demo(sandbox):
    """What it was filled with."""
    with contextlib.closing(SimulatedSource(6)) as source:
        yield fill(sandbox, source)


@pytest.fixture
def conn(sandbox, demo):
    """A connection of the demo's user."""
    with connect(sandbox, USER) as conn:
        yield conn


@pytest.fixture
def plate(conn, demo):
    """The demo plate."""
    return conn.getObject("Plate", demo.plate)


def test_its_owner_is_an_ordinary_user_of_a_read_annotate_group(conn):
    assert not conn.isAdmin()
    group = conn.getGroupFromContext()
    assert group.getName() == GROUP
    assert str(group.getDetails().permissions) == "rwra--"


def test_the_plate_is_in_a_screen_and_has_its_wells_and_fields(plate):
    assert [screen.getName() for screen in plate.listParents()] == ["Demo screen"]
    assert (plate.getRows(), plate.getColumns()) == (2, 3)
    wells = sorted((well.row, well.column) for well in plate.listChildren())
    assert wells == [(row, column) for row in range(2) for column in range(3)]
    assert plate.getNumberOfFields() == (0, 1)
    assert [run.getName() for run in plate.listPlateAcquisitions()] == ["Run 1"]


def test_images_have_channels_with_names_colours_and_sizes(plate):
    image = next(iter(plate.listChildren())).getImage(0)
    names = [channel.getLabel() for channel in image.getChannels()]
    colors = [channel.getColor().getHtml() for channel in image.getChannels()]
    assert names == ["DAPI", "FITC", "TRITC"]
    assert colors == ["0000FF", "00FF00", "FF0000"]
    assert image.getPixelSizeX() == pytest.approx(0.65)


def test_all_images_are_shown_alike_and_none_is_black(plate):
    windows = set()
    for well in plate.listChildren():
        for index in range(2):
            image = well.getImage(index)
            channels = image.getChannels()
            windows.add(tuple((c.getWindowStart(), c.getWindowEnd()) for c in channels))
            assert all(c.getWindowMin() < c.getWindowMax() for c in channels)
            shown = np.asarray(image.renderImage(0, 0))
            assert 5 < shown.mean() < 200
    assert len(windows) == 1


def test_wells_tell_what_is_in_them_and_controls_are_tagged(plate):
    said, tagged = {}, {}
    for well in plate.listChildren():
        notes = list(well.listAnnotations())
        place = (well.row, well.column)
        said[place] = dict(
            next(note.getValue() for note in notes if "Map" in note.OMERO_TYPE.__name__)
        )
        tagged[place] = [note.getValue() for note in notes if "Tag" in note.OMERO_TYPE.__name__]
    assert said[0, 0] == {
        "treatment": "DMSO", "dose": "0", "dose_unit": "uM", "role": "negative_control",
    }  # fmt: skip
    assert tagged[0, 0] == ["negative control"]
    assert tagged[1, 0] == ["positive control"]
    assert tagged[0, 1] == []
    assert {tag.getValue() for tag in plate.listAnnotations()} == {"demo"}


def test_filling_it_again_changes_the_password_alone(sandbox, demo, conn):
    with contextlib.closing(SimulatedSource(6)) as source:
        assert fill(sandbox, source) == demo
    assert len(list(conn.getObjects("Plate"))) == 1


@pytest.mark.parametrize("dtype", PIXEL_TYPES)
def test_pixels_of_every_type_arrive_as_they_were(conn, dtype):
    source = Drawn(dtype)
    made = import_plate(conn, source, screen=dtype)
    for number, image_id in enumerate(made.images):
        pixels = conn.getObject("Image", image_id).getPrimaryPixels()
        assert pixels.getPixelsType().getValue() == PIXEL_TYPES[dtype]
        for (t, c, z), plane in (
            (place, source.pixels[number][place]) for place in np.ndindex(2, 2, 2)
        ):
            assert np.array_equal(pixels.getPlane(z, c, t), plane)


@pytest.mark.parametrize("acquisitions", [0, 1, 2])
def test_fields_are_in_the_acquisition_that_took_them(conn, acquisitions):
    made = import_plate(conn, Drawn("uint8", acquisitions=acquisitions), screen="runs")
    plate = conn.getObject("Plate", made.plate)
    names = [run.getName() for run in plate.listPlateAcquisitions()]
    assert names == [f"Run {n}" for n in range(acquisitions)]
    (well,) = plate.listChildren()
    runs = [sample.getPlateAcquisition() for sample in well.listChildren()]
    assert [run.getName() for run in runs if run] == names


def test_extremes_and_sizes_are_those_of_the_pixels(conn):
    source = Drawn("int16", acquisitions=0)
    made = import_plate(conn, source, screen="extremes")
    image = conn.getObject("Image", made.images[0])
    first = image.getChannels()[0]
    assert first.getWindowMin() == source.pixels[0, :, 0].min()
    assert first.getWindowMax() == source.pixels[0, :, 0].max()
    assert (image.getPixelSizeY(), image.getPixelSizeX(), image.getPixelSizeZ()) == (0.5, 0.25, 2.0)


def test_a_type_that_omero_has_not_is_told_before_anything_is_made(conn):
    before = [screen.getId() for screen in conn.getObjects("Screen")]
    with pytest.raises(InputError, match=r"is of uint64, which OMERO has not. It has: int8"):
        import_plate(conn, Drawn("uint64"), screen="none")
    assert [screen.getId() for screen in conn.getObjects("Screen")] == before


def test_a_snapshot_keeps_the_plate_and_lets_the_user_in_with_the_new_password(tmp_path):
    snapshot = tmp_path / "kept.snapshot"
    source = Drawn("uint16", acquisitions=0)
    with launch.start(snapshot=snapshot) as box:
        first = fill(box, source)
        old = box.password
    with launch.start(snapshot=snapshot) as box:
        assert box.password != old
        assert fill(box, Drawn("uint8")) == first
        with connect(box, USER) as conn:
            (plate,) = conn.getObjects("Plate")
            (well,) = plate.listChildren()
            pixels = well.getImage(0).getPrimaryPixels()
            assert np.array_equal(pixels.getPlane(1, 1, 1), source.pixels[0, 1, 1, 1])
