"""Search, as BlitzGateway and OMERO.web use it."""

from __future__ import annotations

import omero
import pytest
from omero.model import ImageI, MapAnnotationI, NamedValue, ProjectI, TagAnnotationI
from omero.rtypes import rstring, rtime


@pytest.fixture
def images(omero_conn):
    """Three images, one of them described, tagged and with a key and its value."""
    update, made = omero_conn.getUpdateService(), []
    for name in ("HeLa_plate-7 field 1.tiff", "U2OS control", "hela cells, late"):
        image = ImageI()
        image.name = rstring(name)
        made.append(image)
    made[1].description = rstring("Treated with Nocodazole")
    tag = TagAnnotationI()
    tag.textValue = rstring("mitotic arrest")
    made[1].linkAnnotation(tag)
    pairs = MapAnnotationI()
    pairs.mapValue = [NamedValue("gene", "AURKB")]
    made[1].linkAnnotation(pairs)
    return update.saveAndReturnArray(made)


def names(found):
    return sorted(one.getName() for one in found)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("hela", 2),
        ("HELA AND late", 1),
        ("hela OR control", 3),
        ("hela u2os", 3),
        ("h?la*", 2),
        ("*plat*", 1),
        ('"field 1"', 1),
        ('"1 field"', 0),
        ("nocodazole", 1),
        ("mitotic", 1),
        ("tag:mitotic", 1),
        ("name:mitotic", 0),
        ("gene:AURKB", 1),
        ("hel", 0),
    ],
)
def test_words_are_found_where_lucene_finds_them(omero_conn, images, query, count):
    assert len(omero_conn.searchObjects(["Image"], query)) == count


def test_fields_kinds_and_owners_restrict_a_search(omero_conn, omero_second_conn, images):
    project = ProjectI()
    project.name = rstring("HeLa")
    omero_conn.getUpdateService().saveObject(project)
    found = omero_conn.searchObjects(["Image", "Project"], "hela")
    assert {type(one).__name__ for one in found} >= {"_ProjectWrapper"}
    assert len(found) == 3
    by_name = omero_conn.searchObjects(["Image"], "nocodazole", fields=("name",), rawQuery=False)
    assert by_name == []
    described = ("name", "description")
    assert omero_conn.searchObjects(["Image"], "nocodazole", fields=described, rawQuery=False)
    me = omero_conn.getUserId()
    assert len(omero_second_conn.searchObjects(["Image"], "hela", ownedBy=me)) == 2
    other = omero_second_conn.getUserId()
    assert omero_second_conn.searchObjects(["Image"], "hela", ownedBy=other) == []


def test_a_time_restricts_a_search(omero_conn, images):
    whole, past = (rtime(0), rtime(2**62)), (rtime(0), rtime(1))
    assert len(omero_conn.searchObjects(["Image"], "hela", created=whole)) == 2
    assert omero_conn.searchObjects(["Image"], "hela", created=past) == []


def test_nobody_finds_what_he_may_not_see(images, omero_make_user, omero_make_group, omero_connect):
    stranger = omero_connect(omero_make_user(omero_make_group("read-write")))
    assert stranger.searchObjects(["Image"], "hela", searchGroup="-1") == []


def test_results_come_in_batches(omero_conn, images):
    search = omero_conn.c.sf.createSearchService()
    search.onlyType("Image")
    search.setBatchSize(2)
    search.byFullText("hela u2os")
    sizes = []
    while search.hasNext():
        sizes.append(len(search.results()))
    assert sizes == [2, 1]
    with pytest.raises(omero.ApiUsageException):
        search.results()
    search.byHqlQuery("select i from Image i", None)
    assert search.next().name.val
    search.clearQueries()
    assert not search.hasNext()
    search.close()


def test_what_can_not_be_asked_is_an_error(omero_conn):
    search = omero_conn.c.sf.createSearchService()
    with pytest.raises(omero.ApiUsageException, match="single type"):
        search.byFullText("hela")
    search.onlyType("Image")
    with pytest.raises(omero.ApiUsageException, match="no words"):
        search.byFullText(" ")
    search.close()
