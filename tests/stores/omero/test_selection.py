"""What a URI means: plates, parts of plates, image sets, and what crop images were cut from."""

from __future__ import annotations

import ezomero
import pytest
from omero.model import PlateI, ScreenI, ScreenPlateLinkI

from omero_hcs.errors import PlateNotFoundError
from omero_hcs.model import ObjectRef
from omero_hcs.stores.omero.cropnote import CropNote
from omero_hcs.stores.omero.record import CROP_NAMESPACE
from tests.stores.omero.objects import Maker, named

NOWHERE = 987_654_321


def plate(number):
    return ObjectRef(kind="plate", id=str(number))


def images(name):
    return ObjectRef(kind="images", id=name)


@pytest.fixture
def make(omero_conn):
    return Maker(omero_conn)


@pytest.fixture
def layouts(omero_user, omero_open):
    """Layouts of a place: ``layouts("screen/3")``."""
    return lambda place: omero_open(omero_user, place)._layouts


class TestPlates:
    def test_several_are_as_they_were_named(self, make, layouts):
        first, second = make.plate(), make.plate()
        assert layouts(f"plate/{second},{first}").refs() == (plate(second), plate(first))

    def test_a_screen_stands_for_its_plates_in_natural_order(self, make, layouts):
        screen = make.save(named(ScreenI(), "screen"))
        ids = [make.plate(name=name) for name in ("plate 10", "plate 2")]
        for number in ids:
            link = ScreenPlateLinkI()
            link.parent, link.child = ScreenI(screen, False), PlateI(number, False)
            make.save(link)
        assert layouts(f"screen/{screen}").refs() == (plate(ids[1]), plate(ids[0]))

    def test_a_screen_without_plates_is_refused(self, make, layouts):
        screen = make.save(named(ScreenI(), "screen"))
        with pytest.raises(PlateNotFoundError, match=f"screen/{screen} has no plates"):
            layouts(f"screen/{screen}").refs()

    def test_wells_stand_for_a_part_of_their_plates(self, omero_tiny, make, layouts):
        other = make.plate([((0, 0), ()), ((3, 3), ())])
        (well,) = make.wells(other, (3, 3))
        wanted = (omero_tiny.well(7, 11), well, omero_tiny.well(0, 0))
        found = layouts(f"well/{','.join(map(str, wanted))}")
        mine = plate(omero_tiny.ids.plate)
        assert set(found.refs()) == {mine, plate(other)}
        read = found.plate(mine.id)
        assert [well.name for well in read.wells] == ["A01", "H12"]
        assert (read.id, read.rows, read.columns) == (mine.id, 8, 12)
        assert set(found.wells(mine)) == {"A01", "H12"}
        assert [well.name for well in found.plate(str(other)).wells] == ["D04"]

    def test_a_run_stands_for_its_images(self, omero_tiny, layouts):
        ref = plate(omero_tiny.ids.plate)
        whole = layouts(f"plate/{ref.id}").plate(ref.id)
        live, fixed = whole.acquisitions
        part = layouts(f"run/{fixed.id}").plate(ref.id)
        assert part.acquisitions == (fixed,)
        assert [(well.name, len(well.fields)) for well in part.wells] == [
            ("A01", 0), ("B03", 2), ("H12", 0)
        ]  # fmt: skip
        both = layouts(f"run/{fixed.id},{live.id}")
        assert both.refs() == (ref,)
        assert both.plate(ref.id) == whole


class TestRefusals:
    @pytest.mark.parametrize(
        "kind", ["screen", "plate", "run", "well", "project", "dataset", "image"]
    )
    def test_an_unknown_id_is_told(self, layouts, kind):
        with pytest.raises(PlateNotFoundError, match=f"no {kind} {NOWHERE}.*there are: none"):
            layouts(f"{kind}/{NOWHERE}").refs()

    def test_with_those_that_are_there(self, make, layouts):
        number = make.plate()
        with pytest.raises(PlateNotFoundError, match=f"no plate {NOWHERE}.*there are: {number}"):
            layouts(f"plate/{number},{NOWHERE}").refs()

    def test_what_the_uri_does_not_name_is_not_answered(self, make, layouts):
        number, other, dataset = make.plate(), make.plate(), make.dataset("set")
        of_plate, of_set = layouts(f"plate/{number}"), layouts(f"dataset/{dataset}")
        for call, wanted, there in (
            (of_plate.plate, str(other), f"plate '{number}'"),
            (of_plate.plate, f"dataset:{dataset}", f"plate '{number}'"),
            (of_plate.images, str(number), f"plate '{number}'"),
            (of_plate.images, f"dataset:{dataset}", f"plate '{number}'"),
            (of_set.plate, str(number), f"images 'dataset:{dataset}'"),
            (of_set.images, "dataset:x", f"images 'dataset:{dataset}'"),
        ):
            with pytest.raises(PlateNotFoundError, match=f"'{wanted}'.*It has: {there}"):
                call(wanted)

    def test_a_plate_that_was_deleted_meanwhile(self, make, layouts, omero_conn):
        number = make.plate()
        found = layouts(f"plate/{number}")
        assert found.refs() == (plate(number),)
        omero_conn.deleteObjects("Plate", [number], wait=True)
        with pytest.raises(PlateNotFoundError, match=f"no plate '{number}'"):
            found.plate(str(number))


class TestSets:
    def test_each_project_and_dataset_is_one(self, make, layouts):
        first, second = make.dataset("first"), make.dataset("second")
        project = make.project("project", first, second)
        assert layouts(f"dataset/{second},{first}").refs() == (
            images(f"dataset:{second}"), images(f"dataset:{first}")
        )  # fmt: skip
        assert layouts(f"project/{project}").refs() == (images(f"project:{project}"),)

    def test_images_are_one_together(self, make, layouts):
        ids = [make.save(make.image()) for _ in range(2)]
        assert layouts(f"image/{ids[0]},{ids[1]}").refs() == (images(f"image:{ids[0]},{ids[1]}"),)


class TestCrops:
    @pytest.fixture
    def cut(self, make, omero_conn):
        """Make a crop image; the value is its id."""

        def crop(note, **changes):
            number = make.save(make.image("crop"))
            pairs = dict(note.pairs()) | changes
            ezomero.post_map_annotation(omero_conn, "Image", number, pairs, ns=CROP_NAMESPACE)
            return number

        return crop

    def test_a_dataset_of_them_stands_for_the_images_of_plates(
        self, omero_tiny, make, layouts, cut
    ):
        first, other = omero_tiny.ids.images[0], omero_tiny.ids.images[3]
        notes = [CropNote(first, 12.5, 7.0), CropNote(first, 3, 4, z=1), CropNote(other, 9, 9)]
        crops = [cut(note) for note in notes]
        found = layouts(f"dataset/{make.dataset('normal', *crops)}")
        ref = plate(omero_tiny.ids.plate)
        assert found.refs() == (ref,)
        sites = [(site.label, int(site.image.id)) for site in found.plate(ref.id).sites()]
        assert [number for _, number in sites] == [first, other]
        assert sites[0][0].startswith("A01 field 1")
        assert sites[1][0].startswith("B03 field 2")
        assert found.crops(ref) == dict(zip(crops, notes, strict=True))
        assert found.anchors(ref) == (("Plate", omero_tiny.ids.plate),)

    def test_datasets_of_one_plate_and_of_images_go_together(self, omero_tiny, make, layouts, cut):
        field, alone = omero_tiny.ids.images[0], make.save(make.image("alone"))
        crops = [cut(CropNote(source, 1, 1)) for source in (field, alone)]
        first, second = make.dataset("a", *crops), make.dataset("b", cut(CropNote(field, 2, 2)))
        found = layouts(f"dataset/{first},{second}")
        of_plate, of_images = plate(omero_tiny.ids.plate), images(f"image:{alone}")
        assert set(found.refs()) == {of_plate, of_images}
        assert len(found.crops(of_plate)) == 2
        assert found.crops(of_images) == {crops[1]: CropNote(alone, 1, 1)}
        assert found.images(of_images.id).name == "alone"

    def test_a_project_and_the_crops_themselves_do_so_too(self, omero_tiny, make, layouts, cut):
        crop = cut(CropNote(omero_tiny.ids.images[0], 1, 1))
        project = make.project("labelled", make.dataset("blurred", crop), make.dataset("empty"))
        for place in (f"project/{project}", f"image/{crop}"):
            assert layouts(place).refs() == (plate(omero_tiny.ids.plate),)

    @pytest.mark.parametrize("changes", [{"Centre Y": "?"}, {"Source image": ""}])
    def test_a_note_that_leads_nowhere_makes_its_dataset_one_like_any_other(
        self, omero_tiny, make, layouts, cut, changes
    ):
        note = CropNote(omero_tiny.ids.images[0], 1, 1)
        number = make.dataset("set", cut(note), cut(note, **changes))
        found = layouts(f"dataset/{number}")
        assert found.refs() == (images(f"dataset:{number}"),)
        assert found.crops(found.refs()[0]) == {}

    def test_a_mixed_dataset_is_one_like_any_other(self, omero_tiny, make, layouts, cut):
        crop = cut(CropNote(omero_tiny.ids.images[0], 1, 1))
        number = make.dataset("mixed", crop, make.image())
        assert layouts(f"dataset/{number}").refs() == (images(f"dataset:{number}"),)

    def test_crops_whose_source_is_gone_are_left_out(self, omero_tiny, make, layouts, cut):
        field = omero_tiny.ids.images[0]
        kept, lost = cut(CropNote(field, 1, 1)), cut(CropNote(NOWHERE, 1, 1))
        found = layouts(f"dataset/{make.dataset('set', kept, lost)}")
        assert list(found.crops(plate(omero_tiny.ids.plate))) == [kept]
        with pytest.raises(PlateNotFoundError, match=r"crops.* sees none of the images"):
            layouts(f"image/{lost}").refs()


@pytest.mark.parametrize(
    "note",
    [CropNote(5, 12.5, 7.0), CropNote(5, 0.1, 2e4, 3, 4, 51, "B03", 0, "20250101T120000-0000aaaa")],
)
def test_a_crop_note_is_read_as_it_was_written(note):
    assert CropNote.from_pairs(note.pairs()) == note
