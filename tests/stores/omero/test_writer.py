"""What a run leaves on a server besides ROIs, and what is refused before anything is written."""

from __future__ import annotations

import ezomero
import pytest
from omero.model import AnnotationAnnotationLinkI, PermissionsI, TagAnnotationI
from omero.rtypes import rstring

from omero_hcs.errors import InputError, InputErrors, NotAllowedError, WriteError
from omero_hcs.results import KeyValues, ResultFile, Roi, Tag
from omero_hcs.stores.omero.record import TAG_NAMESPACE

RUN, LATER = "20250101T120000-0000aaaa", "20250102T120000-0000bbbb"
ODD = "<b>5 > 4</b> \N{MICROSCOPE} 'x\""


@pytest.fixture
def home(omero_home):
    return omero_home


@pytest.fixture
def write(home):
    """Write nothing but what is given."""

    def save(run_id=RUN, store=home.store, **given):
        nothing = {"tables": {}, "rois": (), "tags": (), "key_values": (), "files": ()}
        return store.write(home.results(run_id, **(nothing | given)))

    return save


@pytest.fixture
def images(home):
    return [site.image.id for site in home.layout().sites()]


@pytest.fixture
def tags_of(rows):
    """Texts of the tags on images, by image."""

    def ask():
        hql = "select l.parent.id, t.textValue from ImageAnnotationLink l join l.child t"
        found = rows(f"{hql} where t.ns = :ns", ns=TAG_NAMESPACE)
        return sorted((str(image), text) for image, text in found)

    return ask


class TestTags:
    def test_one_tag_a_text_is_made_and_put_wherever_it_is_wanted(
        self, home, write, images, tags_of, rows
    ):
        wanted = [Tag("image", image, "QC: warn") for image in images[:3]]
        wanted += [Tag("well", f"{home.ref.id}/B03", "QC: warn"), Tag("plate", home.ref.id, "seen")]
        assert write(tags=tuple(wanted)).counts == {"tag": 5}
        assert tags_of() == sorted((image, "QC: warn") for image in images[:3])
        count = "select count(t.id) from TagAnnotation t where t.ns = :ns"
        assert rows(count, ns=TAG_NAMESPACE) == [(2,)]

    def test_a_later_run_uses_the_tags_that_are_there(self, write, images, tags_of, rows):
        write(tags=(Tag("image", images[0], "QC: warn"),))
        write(LATER, tags=tuple(Tag("image", image, "QC: warn") for image in images[:2]))
        assert tags_of() == sorted((image, "QC: warn") for image in images[:2])
        count = "select count(t.id) from TagAnnotation t where t.ns = :ns"
        assert rows(count, ns=TAG_NAMESPACE) == [(1,)]

    @pytest.mark.parametrize("first", [RUN, LATER])
    def test_what_two_runs_put_on_one_object_goes_with_the_second_undo(
        self, home, write, images, tags_of, first
    ):
        before = home.snapshot()
        for run_id in (RUN, LATER):
            assert write(run_id, tags=(Tag("image", images[0], "blurred"),)).counts == {"tag": 1}
        second = LATER if first == RUN else RUN
        home.store.undo(first)
        assert tags_of() == [(images[0], "blurred")]
        home.store.undo(second)
        assert home.snapshot() == before

    def test_a_tag_of_another_user_that_may_not_be_used_has_one_beside_it(
        self, write, images, tags_of, omero_root, omero_user, omero_second_conn
    ):
        tag = TagAnnotationI()
        tag.ns, tag.textValue = rstring(TAG_NAMESPACE), rstring("blurred")
        omero_second_conn.getUpdateService().saveObject(tag)
        admin = omero_root.getAdminService()
        admin.changePermissions(admin.getGroup(omero_user.groups[0].id), PermissionsI("rwr---"))
        report = write(tags=(Tag("image", images[0], "blurred"),))
        assert report.counts == {"tag": 1}
        (note,) = report.notes
        assert "tag 'blurred' is another user's" in note
        assert tags_of() == [(images[0], "blurred")]

    def test_a_tag_that_a_user_put_into_a_tag_set_stays_when_the_run_goes(
        self, home, write, images, omero_conn, rows
    ):
        write(tags=(Tag("image", images[0], "blurred"),))
        ours = "select t.id from TagAnnotation t where t.ns = :ns"
        ((tag,),) = rows(ours, ns=TAG_NAMESPACE)
        tags, link = TagAnnotationI(), AnnotationAnnotationLinkI()
        tags.textValue = rstring("Quality")
        tags.ns = rstring("openmicroscopy.org/omero/insight/tagset")
        link.parent, link.child = tags, TagAnnotationI(tag, loaded=False)
        omero_conn.getUpdateService().saveObject(link)
        assert home.store.undo(RUN).counts == {"tag": 1}
        assert rows("select t.id from TagAnnotation t where t.ns = :ns", ns=TAG_NAMESPACE) == [
            (tag,)
        ]

    def test_odd_texts_come_back_and_are_found_again(self, home, write, images, tags_of):
        before = home.snapshot()
        for run_id in (RUN, LATER):
            write(run_id, tags=(Tag("image", images[0], ODD), Tag("image", images[0], "%")))
        assert tags_of() == sorted([(images[0], ODD), (images[0], "%")])
        home.store.undo(RUN)
        home.store.undo(LATER)
        assert home.snapshot() == before


class TestKeyValues:
    def test_they_are_on_plate_well_and_image_in_their_order(self, home, write, images, omero_conn):
        pairs = (("zeta", "1"), ("alpha", ODD), ("zeta", "2"))
        places = (("plate", home.ref.id), ("well", "A01"), ("image", images[0]))
        notes = tuple(KeyValues(kind, number, "omero-hcs/qc", pairs) for kind, number in places)
        assert write(key_values=notes).counts == {"key-values": 3}
        found = [
            note.getValue()
            for note in omero_conn.getObjects("MapAnnotation", attributes={"ns": "omero-hcs/qc"})
        ]
        assert found == [list(pairs)] * 3
        ids = ezomero.get_map_annotation_ids(omero_conn, "Image", int(images[0]))
        assert len(ids) == 1

    def test_other_values_replace_those_of_the_same_unit_only(self, write, images, rows):
        def note(count):
            return (KeyValues("image", images[0], "omero-hcs/qc", (("cells", count),)),)

        write(key_values=note("5"))
        write(LATER, key_values=note("6"))
        write(key_values=note("7"))
        hql = "select m.value from MapAnnotation a join a.mapValue m where a.ns = :ns"
        assert sorted(rows(hql, ns="omero-hcs/qc")) == [("6",), ("7",)]


class TestRefusals:
    def test_all_that_is_about_something_else_is_told_at_once_and_nothing_written(
        self, home, write
    ):
        before = home.snapshot()
        point = Roi("424242", "point", ((1.0, 1.0),), "x")
        tags = (
            Tag("well", "P24", "x"),
            Tag("well", "999/A01", "x"),
            Tag("image", "..", "x"),
            Tag("plate", "999", "x"),
        )
        with pytest.raises(InputErrors) as caught:
            write(rois=(point,), tags=tags, key_values=(KeyValues("well", "P23", "n", ()),))
        told = "\n".join(caught.value.faults)
        assert len(caught.value.faults) == 6
        assert all(name in told for name in ("424242", "P24", "999/A01", "'..'", "'999'", "P23"))
        assert home.snapshot() == before

    @pytest.mark.parametrize("run_id", ["", "../x", "a b", "x" * 200])
    def test_a_run_id_that_is_none_is_refused(self, home, write, run_id):
        with pytest.raises(InputError, match="run id"):
            write(run_id)
        assert home.store.runs(home.ref) == ()

    def test_a_plate_that_was_deleted_meanwhile_is_named(self, home, write, images, omero_conn):
        point = ((1.0, 1.0),)
        write(unit=images[1], rois=(Roi(images[1], "point", point, "x"),))
        omero_conn.deleteObjects("Plate", [int(home.ref.id)], wait=True)
        with pytest.raises(WriteError, match=rf"plate {home.ref.id}"):
            write(unit=images[0], rois=(Roi(images[0], "point", point, "x"),))

    def test_one_who_may_not_annotate_is_told_the_group_and_the_mend(
        self, write, omero_make_group, omero_make_user, omero_import, omero_open, tiny_plate
    ):
        group = omero_make_group("read-only")
        owner, other = omero_make_user(group), omero_make_user(group)
        plate = omero_import(owner, tiny_plate).ids.plate
        store = omero_open(other, f"plate/{plate}")
        (ref,) = store.refs()
        with pytest.raises(
            NotAllowedError, match=rf"(?s){other.name}.*plate {plate}.*{group.name}"
        ):
            write(store=store, target=ref, files=(ResultFile("a.txt", "text/plain", b"1"),))
        assert store.runs(ref) == ()
