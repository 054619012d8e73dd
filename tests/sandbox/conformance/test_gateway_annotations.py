"""BlitzGateway annotates: every kind of annotation, links made, shared, listed and removed."""

from __future__ import annotations

import datetime as dt

import omero
import pytest
from omero.gateway import (
    BooleanAnnotationWrapper,
    CommentAnnotationWrapper,
    DoubleAnnotationWrapper,
    LongAnnotationWrapper,
    MapAnnotationWrapper,
    TagAnnotationWrapper,
    TermAnnotationWrapper,
    TimestampAnnotationWrapper,
    XmlAnnotationWrapper,
)
from omero.model import ProjectAnnotationLinkI, ProjectI, TagAnnotationI
from omero.rtypes import rstring, rtime

KINDS = [
    (BooleanAnnotationWrapper, True),
    (CommentAnnotationWrapper, "words"),
    (DoubleAnnotationWrapper, 1.5),
    (LongAnnotationWrapper, 2**40),
    (TagAnnotationWrapper, "tag"),
    (TermAnnotationWrapper, "GO:0008150"),
    (XmlAnnotationWrapper, "<a>b</a>"),
    (MapAnnotationWrapper, [["b", "2"], ["a", "1"], ["b", "3"]]),
]


def annotation(kind, value, conn, ns=None):
    row = kind(conn)
    row.setValue(value)
    row.setNs(ns)
    return row


@pytest.fixture
def project(omero_conn, named):
    """A project's wrapper."""
    return omero_conn.getObject("Project", named("Project"))


@pytest.mark.parametrize(("kind", "value"), KINDS, ids=lambda x: getattr(x, "__name__", None))
def test_each_kind_keeps_its_value_and_namespace(omero_conn, project, kind, value):
    project.linkAnnotation(annotation(kind, value, omero_conn, ns="ns/one"))
    (found,) = project.listAnnotations()
    assert type(found).__name__ == f"{kind.__name__.replace('Wrapper', '')}Wrapper"
    assert found.getNs() == "ns/one"
    assert found.getValue() == ([tuple(p) for p in value] if isinstance(value, list) else value)
    assert project.getAnnotation("ns/one").getId() == found.getId()
    assert project.getAnnotation("ns/two") is None
    assert list(project.listAnnotations(ns="ns/two")) == []


def test_a_time_is_kept_to_the_millisecond(omero_conn, project):
    row = TimestampAnnotationWrapper(omero_conn)
    row._obj.timeValue = rtime(1_600_000_000_123)
    project.linkAnnotation(row)
    (found,) = project.listAnnotations()
    assert found._obj.timeValue.val == 1_600_000_000_123


def test_a_tag_is_shared_and_linked_once(omero_conn, project, named):
    other = omero_conn.getObject("Project", named("Project"))
    tag = annotation(TagAnnotationWrapper, "shared", omero_conn)
    tag.save()
    project.linkAnnotation(tag)
    other.linkAnnotation(tag)
    found = omero_conn.getObject("TagAnnotation", tag.getId())
    parents = list(omero_conn.getAnnotationLinks("Project", ann_ids=[tag.getId()]))
    assert {row.getParent().getId() for row in parents} == {project.getId(), other.getId()}
    assert found.getValue() == "shared"
    counts = omero_conn.getAnnotationCounts(objDict={"Project": [project]})
    assert counts["TagAnnotation"] == 1


def test_the_same_link_twice_is_refused(omero_conn, project):
    tag = annotation(TagAnnotationWrapper, "once", omero_conn)
    tag.save()
    project.linkAnnotation(tag)
    twice = ProjectAnnotationLinkI()
    twice.parent = ProjectI(project.getId(), loaded=False)
    twice.child = TagAnnotationI(tag.getId(), loaded=False)
    with pytest.raises(omero.ValidationException):
        omero_conn.getUpdateService().saveAndReturnObject(twice)
    assert len(list(project.listAnnotations())) == 1


def test_two_users_may_make_the_same_link(omero_conn, omero_second_conn, project):
    tag = annotation(TagAnnotationWrapper, "both", omero_conn)
    tag.save()
    project.linkAnnotation(tag)
    twice = ProjectAnnotationLinkI()
    twice.parent = ProjectI(project.getId(), loaded=False)
    twice.child = TagAnnotationI(tag.getId(), loaded=False)
    omero_second_conn.getUpdateService().saveAndReturnObject(twice)
    links = omero_conn.getAnnotationLinks("Project", parent_ids=[project.getId()])
    assert len(list(links)) == 2


def test_unlinking_leaves_a_shared_tag(omero_conn, project):
    tag = annotation(TagAnnotationWrapper, "kept", omero_conn, ns="x")
    tag.save()
    project.linkAnnotation(tag)
    project.unlinkAnnotations("x")
    assert list(project.listAnnotations()) == []
    assert omero_conn.getObject("TagAnnotation", tag.getId()) is not None


def test_removal_of_an_object_takes_its_own_annotations(omero_conn, project):
    tag = annotation(TagAnnotationWrapper, "stays", omero_conn)
    tag.save()
    project.linkAnnotation(tag)
    comment = annotation(CommentAnnotationWrapper, "goes", omero_conn)
    project.linkAnnotation(comment)
    (number,) = [a.getId() for a in project.listAnnotations() if a.getId() != tag.getId()]
    omero_conn.deleteObjects("Project", [project.getId()], wait=True)
    assert omero_conn.getObject("CommentAnnotation", number) is None
    assert omero_conn.getObject("TagAnnotation", tag.getId()) is not None


def test_wells_runs_plates_and_screens_are_annotated(omero_conn, new_plate, named):
    plate = omero_conn.getObject("Plate", new_plate())
    well = next(iter(plate.listChildren()))
    (run,) = plate.listPlateAcquisitions()
    screen = omero_conn.getObject("Screen", named("Screen"))
    for thing in (plate, well, run, screen):
        thing.linkAnnotation(annotation(CommentAnnotationWrapper, "seen", omero_conn))
        (found,) = thing.listAnnotations()
        assert found.getTextValue() == "seen"


def test_map_annotations_keep_order_and_repeated_keys(omero_conn, project):
    pairs = [["k", "1"], ["a", ""], ["k", "2"]]
    row = annotation(MapAnnotationWrapper, pairs, omero_conn, ns="pairs")
    row.save()
    project.linkAnnotation(row)
    again = omero_conn.getObject("MapAnnotation", row.getId())
    assert [list(pair) for pair in again.getValue()] == pairs
    again.setValue([["only", "this"]])
    again.save()
    found = omero_conn.getObject("MapAnnotation", row.getId())
    assert [list(pair) for pair in found.getValue()] == [["only", "this"]]


def test_a_key_is_found_by_hql(omero_conn, project):
    row = annotation(MapAnnotationWrapper, [["drug", "taxol"]], omero_conn)
    project.linkAnnotation(row)
    text = (
        "select p.id from ProjectAnnotationLink l join l.parent p, MapAnnotation m "
        "join m.mapValue v where l.child.id = m.id and v.name = 'drug' and v.value = :value"
    )
    parameters = omero.sys.ParametersI().addString("value", "taxol")
    rows = omero_conn.getQueryService().projection(text, parameters)
    assert [number.val for (number,) in rows] == [project.getId()]


def test_links_say_who_linked_when(omero_conn, omero_user, project):
    project.linkAnnotation(annotation(CommentAnnotationWrapper, "mine", omero_conn))
    (found,) = project.listAnnotations()
    assert found.link.getDetails().getOwner().getId() == omero_user.id
    assert found.getDetails().getOwner().getOmeName() == omero_user.name
    assert found.getDate() is not None


def test_annotations_of_one_kind_are_listed(omero_conn, project):
    tag = annotation(TagAnnotationWrapper, "listed", omero_conn, ns="mine")
    tag.save()
    found = omero_conn.getObjects("TagAnnotation", attributes={"ns": "mine"})
    assert [row.getId() for row in found] == [tag.getId()]
    text = omero_conn.getObjects("TagAnnotation", attributes={"textValue": rstring("listed").val})
    assert [row.getId() for row in text] == [tag.getId()]


def test_a_file_goes_up_and_comes_down(omero_conn, project, tmp_path):
    source = tmp_path / "table.csv"
    content = bytes(range(256)) * 5000
    source.write_bytes(content)
    row = omero_conn.createFileAnnfromLocalFile(
        str(source), mimetype="text/csv", ns="files", desc="numbers"
    )
    project.linkAnnotation(row)
    (found,) = project.listAnnotations()
    assert (found.getFileName(), found.getFileSize()) == ("table.csv", len(content))
    assert found.getDescription() == "numbers"
    assert b"".join(found.getFileInChunks(buf=100_000)) == content
    file = found.getFile()
    assert (file.getMimetype(), file.hash) == ("text/csv", file.getHash())
    listed = omero_conn.listFileAnnotations(eid=omero_conn.getUserId(), toInclude=["files"])
    assert [ann.getId() for ann in listed] == [found.getId()]
    with file.asFileObj() as handle:
        handle.seek(256)
        assert handle.read(256) == content[256:512]


def test_annotations_are_removed_by_namespace(omero_conn, project, named):
    other = omero_conn.getObject("Project", named("Project"))
    comment = annotation(CommentAnnotationWrapper, "on both", omero_conn, ns="mine")
    project.linkAnnotation(comment)
    other.linkAnnotation(comment)
    project.removeAnnotations("mine")
    assert project.getAnnotation("mine") is None
    assert other.getAnnotation("mine").getValue() == "on both"
    other.removeAnnotations("mine")
    assert other.getAnnotation("mine") is None


@pytest.mark.parametrize("same", [True, False])
def test_the_administrator_annotates_for_himself_or_for_the_owner(omero_root, project, same):
    omero_root.SERVICE_OPTS.setOmeroGroup("-1")
    seen = omero_root.getObject("Project", project.getId())
    CommentAnnotationWrapper.createAndLink(target=seen, ns="his", val="words", sameOwner=same)
    (found,) = seen.listAnnotations()
    owner = found.getDetails().getOwner().getId()
    assert owner == (project.getDetails().getOwner().getId() if same else 0)
    assert found.getDetails().getGroup().getId() == project.getDetails().getGroup().getId()


def test_a_file_goes_to_the_group_that_is_named(
    omero_make_group, omero_make_user, omero_connect, tmp_path
):
    first, second = omero_make_group(), omero_make_group("private")
    conn = omero_connect(omero_make_user(first, second))
    conn.SERVICE_OPTS.setOmeroGroup(second.id)
    path = tmp_path / "a.txt"
    path.write_text("content")
    row = conn.createFileAnnfromLocalFile(str(path), mimetype="text/plain", ns="ns")
    assert row.getDetails().getGroup().getId() == second.id
    assert b"".join(row.getFileInChunks()) == b"content"


def test_a_time_may_be_given_as_a_date_or_in_seconds(omero_conn, project):
    moment = dt.datetime(2026, 1, 2, 3, 4, 5)
    TimestampAnnotationWrapper.createAndLink(target=project, ns="date", val=moment)
    TimestampAnnotationWrapper.createAndLink(
        target=project, ns="seconds", val=int(moment.timestamp())
    )
    assert project.getAnnotation("date").getValue() == moment
    assert project.getAnnotation("seconds").getValue() == moment
