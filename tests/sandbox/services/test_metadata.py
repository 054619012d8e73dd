"""What IMetadata finds, and how much of it comes loaded."""

from __future__ import annotations

import omero
import pytest
from omero.gateway import BlitzGateway  # noqa: F401  (loads the modules in the order that works)
from omero.rtypes import rlong, rstring, rtime
from omero.sys import ParametersI

TAG_SET = "openmicroscopy.org/omero/insight/tagset"


@pytest.fixture
def metadata(omero_conn):
    return omero_conn.getMetadataService()


@pytest.fixture
def add(omero_conn):
    """Save an object with these fields: an unloaded object with its id."""

    def adder(kind, conn=omero_conn, **fields):
        made = getattr(omero.model, f"{kind}I")()
        for name, value in fields.items():
            setattr(made, name, rstring(value) if isinstance(value, str) else value)
        saved = conn.getUpdateService().saveAndReturnObject(made, conn.SERVICE_OPTS)
        return saved.__class__(saved.id.val, False)

    return adder


@pytest.fixture
def annotate(add, omero_conn):
    """Make an annotation of an object: an unloaded object with its id."""

    def annotator(parent, kind, conn=omero_conn, **fields):
        note = add(kind, conn, **fields)
        link = f"{parent.__class__.__name__.removesuffix('I')}AnnotationLink"
        add(link, conn, parent=parent, child=note)
        return note

    return annotator


def ids(found):
    return sorted(one.id.val for one in found)


# -- annotations


def test_annotations_come_with_owner_event_and_file(metadata, add, annotate):
    image, empty = add("Image", name="i"), add("Image", name="empty")
    file = add("OriginalFile", name="f", path="/")
    tag = annotate(image, "TagAnnotation", textValue="t")
    note = annotate(image, "FileAnnotation", file=file)
    found = metadata.loadAnnotations("Image", [image.id.val, empty.id.val], [], [], None)
    assert ids(found[image.id.val]) == ids([tag, note])
    assert found[empty.id.val] == []
    by_type = {type(one).__name__: one for one in found[image.id.val]}
    assert by_type["TagAnnotationI"].details.owner.loaded
    assert by_type["TagAnnotationI"].details.creationEvent.loaded
    assert by_type["FileAnnotationI"].file.name.val == "f"
    assert not by_type["TagAnnotationI"].annotationLinksLoaded


def test_annotations_of_some_types_or_users_are_found(
    metadata, add, annotate, omero_conn, omero_second_conn
):
    image = add("Image", name="i")
    tag = annotate(image, "TagAnnotation", textValue="t")
    comment = annotate(image, "CommentAnnotation", textValue="c", conn=omero_second_conn)
    key, other = image.id.val, omero_second_conn.getUserId()
    kinds = ["ome.model.annotations.TagAnnotation"]
    assert ids(metadata.loadAnnotations("Image", [key], kinds, [], None)[key]) == ids([tag])
    assert ids(metadata.loadAnnotations("Image", [key], [], [other], None)[key]) == ids([comment])
    with pytest.raises(omero.ApiUsageException, match="IAnnotated"):
        metadata.loadAnnotations("Pixels", [1], [], [], None)


def test_annotations_are_found_by_type_and_namespace(metadata, add, omero_conn):
    add("TagAnnotation", textValue="plain")
    mine = add("TagAnnotation", textValue="t", ns="mine")
    owner = ParametersI().exp(rlong(omero_conn.getUserId()))
    found = metadata.loadSpecifiedAnnotations("TagAnnotation", ["mine"], [], None)
    assert ids(found) == ids([mine])
    found = metadata.loadSpecifiedAnnotations("TagAnnotation", [], ["mine"], owner)
    assert [one.textValue.val for one in found] == ["plain"]
    assert metadata.countSpecifiedAnnotations("TagAnnotation", [], [], owner).val == 2
    with pytest.raises(omero.ApiUsageException):
        metadata.loadSpecifiedAnnotations("Image", [], [], None)


def test_file_annotations_without_a_file_are_left_out(metadata, add, omero_conn):
    file = add("OriginalFile", name="f", path="/")
    note = add("FileAnnotation", file=file)
    add("FileAnnotation")
    owner = ParametersI().exp(rlong(omero_conn.getUserId()))
    (found,) = metadata.loadSpecifiedAnnotations("FileAnnotation", [], [], owner)
    assert (found.id.val, found.file.name.val) == (note.id.val, "f")


def test_annotations_linked_to_objects_are_found_by_them(metadata, add, annotate):
    images = [add("Image", name="i") for _ in range(3)]
    notes = [annotate(image, "MapAnnotation", ns="mine") for image in images[:2]]
    keys = [image.id.val for image in images]
    found = metadata.loadSpecifiedAnnotationsLinkedTo(
        "MapAnnotation", ["mine"], [], "Image", keys, None
    )
    assert {key: ids(one) for key, one in found.items()} == {
        keys[0]: ids(notes[:1]),
        keys[1]: ids(notes[1:]),
    }


def test_annotations_by_their_ids(metadata, add):
    notes = [add("CommentAnnotation", textValue=text) for text in "ab"]
    found = metadata.loadAnnotation(ids(notes))
    assert sorted(one.textValue.val for one in found) == ["a", "b"]


def test_annotations_of_others_that_somebody_uses(metadata, add, omero_conn, omero_second_conn):
    image, mine = add("Image", name="i"), add("TagAnnotation", textValue="mine")
    tag = add("TagAnnotation", conn=omero_second_conn, textValue="t")
    for child in (mine, tag):
        add("ImageAnnotationLink", parent=image, child=child)
    user = omero_conn.getUserId()
    found = metadata.loadAnnotationsUsedNotOwned("TagAnnotation", user)
    assert ids(found) == ids([tag])
    assert metadata.countAnnotationsUsedNotOwned("TagAnnotation", user).val == 1


# -- tags


def test_what_has_a_tag_is_found(metadata, add, annotate):
    image, project = add("Image", name="i"), add("Project", name="p")
    tag = annotate(image, "TagAnnotation", textValue="t")
    add("ProjectAnnotationLink", parent=project, child=tag)
    key = tag.id.val
    found = metadata.loadTagContent([key], None)[key]
    assert {type(one).__name__ for one in found} == {"ImageI", "ProjectI"}
    assert metadata.getTaggedObjectsCount([key], None) == {key: 2}


def test_tag_sets_come_with_their_tags(metadata, add, omero_conn):
    whole = add("TagAnnotation", textValue="set", ns=TAG_SET)
    inside, alone = (add("TagAnnotation", textValue=text) for text in ("inside", "alone"))
    add("AnnotationAnnotationLink", parent=whole, child=inside)
    owner = ParametersI().exp(rlong(omero_conn.getUserId()))
    (found,) = metadata.loadTagSets(owner)
    assert [one.child.textValue.val for one in found.copyAnnotationLinks()] == ["inside"]
    found = metadata.loadTagSets(owner.orphan())
    assert ids(found) == ids([whole, alone])


# -- how images were taken


def test_an_instrument_comes_with_its_parts(metadata, omero_conn):
    made, objective = omero.model.InstrumentI(), omero.model.ObjectiveI()
    for name, kind in (("immersion", "Oil"), ("correction", "PlanApo")):
        enumeration = getattr(omero.model, f"{name.capitalize()}I")()
        enumeration.value = rstring(kind)
        setattr(objective, name, enumeration)
    made.addObjective(objective)
    key = omero_conn.getUpdateService().saveAndReturnObject(made).id.val
    found = metadata.loadInstrument(key)
    assert found.copyObjective()[0].immersion.value.val == "Oil"
    assert found.copyDetector() == []
    assert metadata.loadInstrument(123456789) is None


def test_a_channel_comes_with_how_it_was_taken(metadata, omero_conn):
    channel, mode = omero.model.LogicalChannelI(), omero.model.AcquisitionModeI()
    mode.value = rstring("WideField")
    channel.mode = mode
    key = omero_conn.getUpdateService().saveAndReturnObject(channel).id.val
    (found,) = metadata.loadChannelAcquisitionData([key])
    assert found.mode.value.val == "WideField"
    assert found.lightPath is None
    assert not found.channelsLoaded


def test_import_logs_of_images_are_found(metadata, add):
    fileset = add("Fileset", templatePrefix="x")
    image = add("Image", name="i", fileset=fileset)
    status = omero.model.JobStatusI()
    status.value = rstring("Finished")
    texts = dict.fromkeys(("username", "groupname", "type", "message"), "x")
    times = dict.fromkeys(("submitted", "scheduledFor"), rtime(0))
    job = add("UploadJob", status=status, **texts, **times)
    log = add("OriginalFile", name="log", path="/", mimetype="application/omero-log-file")
    add("FilesetJobLink", parent=fileset, child=job)
    add("JobOriginalFileLink", parent=job, child=log)
    key = image.id.val
    assert ids(metadata.loadLogFiles("Image", [key])[key]) == ids([log])
    with pytest.raises(omero.ApiUsageException, match="Fileset or Image"):
        metadata.loadLogFiles("Plate", [1])
