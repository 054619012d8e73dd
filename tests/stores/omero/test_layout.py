"""Layouts: plates and image sets are described as they were put in, however odd they are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from omero.model import ImageI, LengthI
from omero.model.enums import UnitsLength
from omero.rtypes import rint

from omero_hcs.errors import DataError, InputError, PlateNotFoundError
from omero_hcs.model import ObjectRef
from tests.stores.omero.objects import Maker, named


@pytest.fixture
def make(omero_conn):
    return Maker(omero_conn)


@pytest.fixture
def read(omero_user, omero_open):
    """Layout of a plate or image set by its id: ``read("plate/51")``, ``read("dataset/7")``."""

    def layout(place):
        store = omero_open(omero_user, place)
        (ref,) = store.refs()
        return store.plate(ref.id) if ref.kind == "plate" else store.images(ref.id)

    return layout


def bare(plate):
    """Wells and fields of a plate without the ids that a server gives."""
    runs = {run.id: run.name for run in plate.acquisitions}
    return [
        (
            well.name,
            [
                (field.index, runs.get(field.acquisition), replace(field.image, id="", channels=()))
                for field in well.fields
            ],
        )
        for well in plate.wells
    ]


class TestPlate:
    def test_it_is_what_was_put_in(self, omero_tiny, read):
        plate = read(f"plate/{omero_tiny.ids.plate}")
        assert (plate.id, plate.name) == (str(omero_tiny.ids.plate), "tiny")
        assert (plate.rows, plate.columns) == (8, 12)
        assert plate.owner == omero_tiny.owner.name
        assert [run.name for run in plate.acquisitions] == ["live", "fixed"]
        assert bare(plate) == bare(omero_tiny.truth)
        assert [site.image.id for site in plate.sites()] == list(map(str, omero_tiny.ids.images))
        assert {site.image.channel_names for site in plate.sites()} == {("DNA", "GFP")}

    def test_its_wells_hold_what_users_wrote(self, omero_home):
        wells = [replace(well, fields=()) for well in omero_home.layout().wells]
        assert wells == [replace(well, fields=()) for well in omero_home.truth.wells]

    def test_one_of_no_wells_is_a_plate(self, make, read):
        plate = read(f"plate/{make.plate(size=(8, 12))}")
        assert (plate.rows, plate.columns, plate.wells) == (8, 12, ())

    def test_wells_without_fields_stay_and_are_in_row_order(self, make, read):
        wells = [((2, 0), ()), ((0, 3), ((make.image(), None),)), ((0, 1), ())]
        plate = read(f"plate/{make.plate(wells)}")
        told = [(well.name, len(well.fields)) for well in plate.wells]
        assert told == [("A02", 0), ("A04", 1), ("C01", 0)]

    @pytest.mark.parametrize(
        ("place", "size"),
        [
            ((0, 0), (2, 3)), ((3, 3), (4, 6)), ((7, 11), (8, 12)), ((8, 0), (16, 24)),
            ((0, 30), (32, 48)),
        ],
    )  # fmt: skip
    def test_a_size_that_nobody_told_is_that_of_the_smallest_usual_plate(
        self, make, read, place, size
    ):
        plate = read(f"plate/{make.plate([(place, ())])}")
        assert (plate.rows, plate.columns) == size

    def test_a_size_that_is_too_small_is_not_believed(self, make, read):
        plate = read(f"plate/{make.plate([((5, 0), ())], size=(4, 6))}")
        assert (plate.rows, plate.columns) == (6, 8)

    def test_each_acquisition_counts_its_fields_and_so_do_those_of_none(self, make, read):
        order = (1, 0, None, 1, None, 0)
        fields = [(make.image(f"{place}"), run) for place, run in enumerate(order)]
        plate = read(f"plate/{make.plate([((0, 0), fields)], runs=('first', None))}")
        first, second = plate.acquisitions
        assert (first.name, second.name) == ("first", f"Run {second.id}")
        told = [
            (field.image.name, field.index, field.acquisition) for field in plate.wells[0].fields
        ]
        assert told == [
            ("0", 0, second.id), ("1", 0, first.id), ("2", 0, None),
            ("3", 1, second.id), ("4", 1, None), ("5", 1, first.id),
        ]  # fmt: skip

    def test_images_that_are_not_alike_are_told_one_by_one(self, make, read):
        graphs = (
            make.image("a", channels=("DNA", "GFP")),
            make.image("b", channels=("DNA",), dtype="float32", pixel_size_um=(0.5, 0.5)),
            named(ImageI(), "c"),
            make.image("d", channels=("", "GFP"), size_z=2),
        )
        wells = [((0, column), ((graph, None),)) for column, graph in enumerate(graphs)]
        sites = read(f"plate/{make.plate(wells)}").sites()
        images = [site.image for site in sites]
        assert [(image.channel_names, image.dtype, image.size_z) for image in images] == [
            (("DNA", "GFP"), "uint16", 1), (("DNA",), "float32", 1),
            (("DNA", "GFP"), "uint16", 1), (("Channel 1", "GFP"), "uint16", 2),
        ]  # fmt: skip
        assert [image.size_y for image in images] == [3, 3, 0, 3]
        assert [image.pixel_size_um for image in images] == [None, (0.5, 0.5), None, None]

    def test_one_field_without_pixels_fails_alone(self, make, omero_user, omero_open):
        fields = ((named(ImageI(), "lost"), None), (make.image("kept"), None))
        number = make.plate([((0, 0), fields)])
        store = omero_open(omero_user, f"plate/{number}")
        lost, kept = (site.image for site in store.plate(str(number)).sites())
        assert replace(lost, id=kept.id, name=kept.name) == replace(kept, size_y=0, size_x=0)
        with pytest.raises(DataError, match=rf"lost \(id {lost.id}\) has no pixels"):
            store.read(lost, channels=[lost.channel("DNA").index])

    def test_names_stay_as_they_are(self, make, read):
        name = "<script>alert(1)</script> 🧫 %s {0}"
        plate = read(f"plate/{make.plate([((0, 0), ((make.image(name), None),))], name=name)}")
        assert (plate.name, plate.wells[0].fields[0].image.name) == (name, name)

    def test_what_users_of_other_groups_have_is_not_there(
        self, make, omero_make_user, omero_make_group, omero_open
    ):
        number = make.plate()
        store = omero_open(omero_make_user(omero_make_group()), f"plate/{number}")
        with pytest.raises(PlateNotFoundError, match=rf"no plate {number}, or \S+ may not see it"):
            store.refs()

    def test_it_is_asked_for_once(self, omero_tiny, omero_open):
        store = omero_open(omero_tiny.owner, f"plate/{omero_tiny.ids.plate}")
        assert store.plate(str(omero_tiny.ids.plate)) is store.plate(str(omero_tiny.ids.plate))


class TestImage:
    @pytest.fixture
    def described(self, make, read):
        """An image of the server as our layout describes it."""

        def describe(graph):
            (image,) = read(f"image/{make.save(graph)}").images
            return image

        return describe

    @pytest.mark.parametrize(
        "dtype",
        ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"],
    )
    def test_every_pixel_type_is_told_as_numpy_names_it(self, make, described, dtype):
        assert described(make.image(dtype=dtype)).dtype == dtype

    @pytest.mark.parametrize(("kind", "dtype"), [("bit", "uint8"), ("complex", "complex64")])
    def test_even_those_that_nobody_images_with(self, make, described, kind, dtype):
        graph = make.image()
        graph.getPrimaryPixels().pixelsType = make.enums.get("PixelsType", kind)
        assert described(graph).dtype == dtype

    def test_one_without_pixels_has_no_size(self, described):
        image = described(named(ImageI(), "never imported"))
        assert (image.name, image.size_y, image.size_x) == ("never imported", 0, 0)

    def test_channels_without_names_are_named_as_omero_web_does(self, make, described):
        graph = make.image(channels=("", "", "GFP", " "))
        channels = graph.getPrimaryPixels().copyChannels()
        channels[0].logicalChannel.name = None
        channels[1].logicalChannel.emissionWave = LengthI(0.525, UnitsLength.MICROMETER)
        channels[2].red, channels[2].green, channels[2].blue = rint(0), rint(255), rint(16)
        image = described(graph)
        assert image.channel_names == ("Channel 1", "525 nm", "GFP", "Channel 4")
        assert [channel.color for channel in image.channels] == [None, None, "00FF10", None]

    def test_doubled_names_are_told_apart(self, make, described):
        image = described(make.image(channels=("DAPI", "DAPI 2", "DAPI", "DAPI")))
        assert image.channel_names == ("DAPI", "DAPI 2", "DAPI 3", "DAPI 4")
        assert image.channel("DAPI").index == 0

    def test_channels_that_nobody_described_are_there(self, make, described):
        graph = make.image(channels=("DNA",))
        graph.getPrimaryPixels().sizeC = rint(3)
        assert described(graph).channel_names == ("DNA", "Channel 2", "Channel 3")

    @pytest.mark.parametrize(
        ("value", "unit", "size"),
        [
            (650.0, "NANOMETER", 0.65), (0.00065, "MILLIMETER", 0.65), (1.0, "PIXEL", None),
            (0.0, "MICROMETER", None), (0.65, "MICROMETER", 0.65), (1.0, "REFERENCEFRAME", None),
        ],
    )  # fmt: skip
    def test_pixel_sizes_are_in_micrometres(self, make, described, value, unit, size):
        graph = make.image()
        pixels = graph.getPrimaryPixels()
        pixels.physicalSizeX = pixels.physicalSizeY = LengthI(value, getattr(UnitsLength, unit))
        pixels.physicalSizeZ = LengthI(value, getattr(UnitsLength, unit))
        image = described(graph)
        assert image.z_step_um == pytest.approx(size)
        assert image.pixel_size_um == (size and pytest.approx((size, size)))


class TestSet:
    def test_a_dataset_is_in_natural_order(self, make, read, omero_user):
        number = make.dataset(
            "blood cells", *map(make.image, ("field 10", "field 2", "Field 1", "field 2"))
        )
        images = read(f"dataset/{number}")
        assert (images.id, images.name) == (f"dataset:{number}", "blood cells")
        assert images.owner == omero_user.name
        assert [image.name for image in images.images] == [
            "Field 1", "field 2", "field 2", "field 10"
        ]  # fmt: skip
        assert int(images.images[1].id) < int(images.images[2].id)

    def test_a_project_has_each_image_once(self, make, read):
        shared = make.save(make.image("b"))
        first = make.dataset("first", make.image("c"), shared)
        number = make.project("study", first, make.dataset("second", shared, make.image("a")))
        images = read(f"project/{number}")
        assert (images.id, images.name) == (f"project:{number}", "study")
        assert [image.name for image in images.images] == ["a", "b", "c"]

    def test_images_are_one_set(self, make, read):
        ids = [make.save(make.image(name)) for name in ("b", "a")]
        images = read(f"image/{ids[0]},{ids[1]}")
        assert (images.id, images.name) == (f"image:{ids[0]},{ids[1]}", "2 images")
        assert [image.name for image in images.images] == ["a", "b"]
        assert read(f"image/{ids[0]}").name == "b"

    @pytest.mark.parametrize("kind", ["dataset", "project"])
    def test_an_empty_one_is_a_set(self, make, read, kind):
        assert read(f"{kind}/{getattr(make, kind)('empty')}").images == ()


class TestPlaces:
    """What writers ask for: the group, the objects and the wells of a target."""

    def test_of_a_plate(self, omero_tiny, omero_open):
        number = omero_tiny.ids.plate
        layouts = omero_open(omero_tiny.owner, f"plate/{number}")._layouts
        ref = ObjectRef(kind="plate", id=str(number))
        assert layouts.group_of(ref) == omero_tiny.owner.groups[0].id
        assert layouts.anchors(ref) == (("Plate", number),)
        assert layouts.wells(ref) == {
            "A01": omero_tiny.well(0, 0), "B03": omero_tiny.well(1, 2),
            "H12": omero_tiny.well(7, 11),
        }  # fmt: skip

    def test_of_sets(self, make, omero_user, omero_open):
        images = [make.save(make.image()) for _ in range(2)]
        dataset = make.dataset("set", *images)
        for place, anchors in (
            (f"image/{images[1]},{images[0]}", [("Image", image) for image in images]),
            (f"dataset/{dataset}", [("Dataset", dataset)]),
        ):
            layouts = omero_open(omero_user, place)._layouts
            (ref,) = layouts.refs()
            assert layouts.anchors(ref) == tuple(anchors)
            assert layouts.group_of(ref) == omero_user.groups[0].id
            assert layouts.wells(ref) == {}

    def test_images_of_two_groups_are_read_and_have_no_group(
        self, omero_make_group, omero_make_user, omero_connect, omero_open
    ):
        groups = [omero_make_group(), omero_make_group()]
        user = omero_make_user(*groups)
        ids = []
        for group in groups:
            make = Maker(omero_connect(user, group))
            ids.append(make.save(make.image()))
        layouts = omero_open(user, f"image/{ids[0]},{ids[1]}")._layouts
        (ref,) = layouts.refs()
        assert len(layouts.images(ref.id).images) == 2
        with pytest.raises(InputError, match="in 2 groups"):
            layouts.group_of(ref)
