"""ITimeline, and the services that the sandbox has little of."""

from __future__ import annotations

import omero
import pytest
from omero.model import DatasetI, ImageI, ProjectI, TagAnnotationI
from omero.rtypes import rint, rlong, rstring, rtime

ACQUIRED = 1_700_000_000_000


@pytest.fixture
def timeline(omero_conn):
    return omero_conn.c.sf.getTimelineService()


@pytest.fixture
def project(omero_conn):
    """A project with a dataset with two images; one was acquired at a known time."""
    project, dataset = ProjectI(), DatasetI()
    project.name, dataset.name = rstring("project"), rstring("dataset")
    project.linkDataset(dataset)
    for name, time in (("new", ACQUIRED), ("unknown", None)):
        image = ImageI()
        image.name = rstring(name)
        image.acquisitionDate = None if time is None else rtime(time)
        dataset.linkImage(image)
    return omero_conn.getUpdateService().saveAndReturnObject(project)


def mine(conn, limit=None):
    made = omero.sys.ParametersI()
    made.exp(conn.getUserId())
    made.theFilter.limit = None if limit is None else rint(limit)
    return made


def test_images_count_when_they_were_acquired(timeline, omero_conn, project):
    period = (rtime(ACQUIRED - 1), rtime(ACQUIRED + 1))
    kinds = ["Image", "Project", "Dataset"]
    assert timeline.countByPeriod(kinds, *period, mine(omero_conn)) == {
        "Image": 1,
        "Project": 0,
        "Dataset": 0,
    }
    found = timeline.getByPeriod(kinds, *period, mine(omero_conn), False)
    (image,) = found["Image"]
    assert image.details.owner.omeName.val
    (link,) = image.copyDatasetLinks()
    assert link.parent.name.val == "dataset"


def test_containers_count_when_they_were_made(timeline, omero_conn, project):
    day = 86_400_000
    made = project.details.creationEvent.id.val
    event = omero_conn.getQueryService().get("Event", made)
    period = (rtime(event.time.val - day), rtime(event.time.val + day))
    counts = timeline.countByPeriod(["Project", "Dataset"], *period, mine(omero_conn))
    assert counts == {"Project": 1, "Dataset": 1}
    logs = timeline.getEventLogsByPeriod(*period, mine(omero_conn))
    kinds = sorted(log.entityType.val for log in logs)
    assert kinds == [
        "ome.model.containers.Dataset",
        "ome.model.containers.Project",
        "ome.model.core.Image",
        "ome.model.core.Image",
    ]
    assert all(log.event.time.val and log.action.val == "INSERT" for log in logs)


def test_the_most_recent_of_all_kinds(timeline, omero_conn, project):
    found = timeline.getMostRecentObjects(["Project", "Dataset"], mine(omero_conn, 1), True)
    assert sum(len(rows) for rows in found.values()) == 1
    images = list(omero_conn.timelineListImages(limit=5))
    assert {image.getName() for image in images} == {"new", "unknown"}


def test_links_of_annotations_are_listed_by_their_last_change(timeline, omero_conn):
    project, tag = ProjectI(), TagAnnotationI()
    project.name, tag.textValue, tag.ns = rstring("p"), rstring("t"), rstring("here")
    project.linkAnnotation(tag)
    omero_conn.getUpdateService().saveObject(project)
    (link,) = timeline.getMostRecentAnnotationLinks(["Project"], ["TagAnnotation"], ["here"], None)
    assert link.child.textValue.val == "t"
    nothing = timeline.getMostRecentAnnotationLinks(["Project"], [], ["elsewhere"], None)
    assert nothing == []


def test_nobody_sees_what_others_did_in_private(omero_root, omero_conn, project, omero_people):
    stranger = omero_people.connect(omero_people.make_user(omero_people.make_group()))
    with stranger:
        timeline = stranger.c.sf.getTimelineService()
        everybody = omero.sys.ParametersI()
        everybody.theFilter = omero.sys.Filter()
        everybody.theFilter.ownerId = rlong(-1)
        counts = timeline.countByPeriod(["Project"], rtime(0), rtime(2**62), everybody)
        assert counts == {"Project": 0}


def test_the_disk_has_some_space(omero_conn):
    assert omero_conn.getFreeSpace() > 0
    service = omero_conn.getRepositoryInfoService()
    assert 0 < service.getUsageFraction() < 1
    assert service.getUsedSpaceInKilobytes() > 0


def test_there_is_no_ldap_no_share_and_no_export(omero_conn):
    assert omero_conn.c.sf.getLdapService().getSetting() is False
    assert omero_conn.c.sf.getShareService().getOwnShares(True) == []
    exporter = omero_conn.c.sf.createExporter()
    with pytest.raises(omero.InternalException, match="no OME-TIFF"):
        exporter.addImage(1)
    exporter.close()
