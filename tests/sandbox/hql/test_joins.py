"""Joins: which rows there are, and how fast the right ones are found."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omero_hcs.sandbox.hql.engine import Engine
from omero_hcs.sandbox.ice.record import omero, rtypes


@pytest.fixture
def plate(lab):
    """A plate: a well with two fields, one with one, one with none."""
    plate = lab.add("Plate", name="P")
    for column, fields in enumerate((2, 1, 0)):
        well = lab.add("Well", plate=plate, row=0, column=column)
        for field in range(fields):
            image = lab.add("Image", name=f"{column}-{field}")
            lab.add("WellSample", well=well, image=image)
    lab.add("WellSample", well=well)  # a field without an image
    return plate


def values(engine, text, caller=None, **parameters):
    """The values of a projection, unwrapped; those of one column without their lists."""
    told = omero.sys.ParametersI()
    for name, value in parameters.items():
        told.add(name, value)
    rows = [[rtypes.unwrap(value) for value in row] for row in engine.project(text, told, caller)]
    return [row[0] if len(row) == 1 else tuple(row) for row in rows]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        # every join, and what it does with rows that have nothing to join
        ("select w.column, s.id from Well w join w.wellSamples s",
         [(0, 1), (0, 2), (1, 3), (2, 4)]),
        ("select w.column, i.name from Well w left join w.wellSamples s left join s.image i",
         [(0, "0-0"), (0, "0-1"), (1, "1-0"), (2, None)]),
        ("select w.column, i.name from Well w join w.wellSamples s join s.image i",
         [(0, "0-0"), (0, "0-1"), (1, "1-0")]),
        ("select w.column, s.id from Well w left join w.wellSamples s with s.id > 1",
         [(0, 2), (1, 3), (2, 4)]),
        ("select w.column from Well w left join w.wellSamples s where s.id > 1", [0, 1, 2]),
        ("select w.column from Well w, WellSample s where s.well = w and s.id = 3", [1]),
        ("select w.id, p.id from Well w, Plate p", [(1, 1), (2, 1), (3, 1)]),
        # paths join, too, by inner joins
        ("select s.id, s.image.name from WellSample s", [(1, "0-0"), (2, "0-1"), (3, "1-0")]),
        ("select s.id from WellSample s where s.image.name = '0-1' or s.id = 4", [2]),
        ("select s.id from WellSample s order by s.image.name desc", [3, 2, 1]),
        # but not for an id, and not for a reference that is compared
        ("select s.id, s.image.id from WellSample s",
         [(1, 1), (2, 2), (3, 3), (4, None)]),
        ("select s.id from WellSample s where s.image is null", [4]),
        ("select s.id from WellSample s where s.image = 2 or s.id = 4", [2, 4]),
        ("select count(s.image) from WellSample s", [3]),
        ("select s.well.plate.name, s.id from WellSample s where s.id = 4", [("P", 4)]),
        # collections
        ("select w.id from Well w where w.wellSamples is empty", []),
        ("select i.id from Image i where i.wellSamples is not empty", [1, 2, 3]),
        ("select size(w.wellSamples) from Well w", [2, 1, 1]),
        ("select w.id from Well w where w.wellSamples.size > 1", [1]),
        ("select w.id from Well w where size(w.wellSamples) > 1", [1]),
        ("select w.id, index(s) from Well w join w.wellSamples s where index(s) > 0", [(1, 1)]),
        ("select max(index(s)), minIndex(s) from Well w join w.wellSamples s", [(1, 0)]),
        ("select maxIndex(w.wellSamples) from Well w", [1, 0, 0]),
        ("select w.id from Well w, WellSample s where s member of w.wellSamples and s.id = 2",
         [1]),
        ("select w.id from Well w, WellSample s where s in elements(w.wellSamples) and s.id = 2",
         [1]),
        ("select w.id from Well w where exists elements(w.wellSamples)", [1, 2, 3]),
        ("select w.id from Well w where exists (select s from w.wellSamples s where s.id = 3)",
         [2]),
        # groups
        (("select w.column, count(s) from Well w left join w.wellSamples s "
         "group by w.column order by w.column desc"), [(2, 1), (1, 1), (0, 2)]),
        (("select w.column from Well w join w.wellSamples s group by w.column "
         "having count(s.id) > 1"), [0]),
        ("select count(*) from Well w where w.id > 99", [0]),
        ("select max(w.id), sum(w.id), avg(w.id) from Well w where w.id > 99",
         [(None, None, None)]),
        ("select w.id, count(w) from Well w where w.id > 99 group by w.id", []),
        ("select count(distinct s.well) from WellSample s", [3]),
        # distinct, order, subqueries in select
        ("select distinct w.plate.name from Well w", ["P"]),
        ("select distinct w.row, w.column from Well w order by w.column desc",
         [(0, 2), (0, 1), (0, 0)]),
        ("select s.image.id as x from WellSample s order by x desc", [(), 3, 2, 1]),
        ("select s.image.id from WellSample s order by s.image.id", [1, 2, 3, ()]),
        ("select (select count(*) from WellSample s where s.well = w) from Well w", [2, 1, 1]),
        (("select w.id from Well w where w.column = "
         "(select max(x.column) from Well x where x.plate = w.plate)"), [3]),
        # names
        ("from Well where column = 1", None),
        ("select name from Plate", ["P"]),
        ("select p.name from ome.model.screen.Plate p", ["P"]),
        (("select w.id from Well as w inner join w.plate as p where p.name = 'P' and w.row = 0 "
         "and w.column = 2"), [3]),
    ],
)  # fmt: skip
def test_a_query_gives_these_rows(engine, plate, text, found):
    rows = values(engine, text)
    assert found is None or rows == found


@pytest.mark.parametrize(
    "text",
    [
        "select w from Well w join w.plat p",
        "select w from Well w join plate p",
        "select w from Well w join x.plate p",
        "select w from Well w join w.column c",
        "select w from Well w join w.plate w",
        "select w from Well w join fetch w.plate p with p.id = 1",
        "select w from Well w where exists (select s from WellSample s join fetch s.image)",
        "select e from Experimenter e join e.details.owner",
    ],
)
def test_a_join_that_means_nothing_is_refused(engine, plate, text):
    with pytest.raises(omero.QueryException, match="Illegal query"):
        engine.find(text, None, None)


def test_distinct_rows_are_sorted_only_by_what_is_selected(engine, plate):
    told = "for SELECT DISTINCT, ORDER BY expressions must appear in select list"
    for text in (
        "select distinct w.row from Well w order by w.column",
        "select distinct w from Well w join w.plate p order by p.name",
        "select distinct p from Plate p order by lower(p.name)",
    ):
        with pytest.raises(omero.ApiUsageException, match=told):
            engine.project(text, None, None)
    fine = "select distinct p, lower(p.name) from Plate p order by lower(p.name), p.id"
    assert len(engine.project(fine, None, None)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "select w.row, w.column, count(*) from Well w group by w.row",
        "select w.id, max(w.column) from Well w",
        "select count(*) from Well w order by w.id",
        "select w.plate.name, count(*) from Well w group by w.plate.id",
        "select w.row + w.column from Well w group by w.row",
        "select w.row from Well w group by w.row having w.column = 1",
    ],
)
def test_what_differs_within_a_group_is_no_value_of_it(engine, plate, text):
    with pytest.raises(omero.ApiUsageException, match="must appear in the GROUP BY clause"):
        engine.project(text, None, None)


@pytest.mark.parametrize(
    "text",
    [
        "select w.row + 1, count(*) from Well w group by w.row order by w.row",
        "select w.row + 1, count(*) from Well w group by w.row + 1 order by count(*)",
        "select w.id, w.column, w.details.owner.id, count(*) from Well w group by w.id",
        "select w, count(s) from Well w join w.wellSamples s group by w",
        (
            "select w.row, (select count(*) from Plate p where p.id > w.row) from Well w "
            "group by w.row"
        ),
        "select s.image.id, count(s.id) from WellSample s group by s.image",
        "select s.image, count(s.id) from WellSample s group by s.image.id",
        "select max(w.id) - min(w.id), 'x', 1 from Well w",
    ],
)
def test_what_is_the_same_throughout_a_group_is_a_value_of_it(engine, plate, text):
    assert engine.project(text, None, None)


def test_the_column_of_an_ordered_collection_is_known_by_its_name(lab, engine, plate):
    well = lab.world.get("Well", 1)
    with lab.world.transaction():
        lab.world.arrange(well, "wellSamples", lab.world.members(well, "wellSamples")[::-1])
    text = "select ws.image.name from WellSample ws where ws.well.id = 1 order by well_index"
    assert values(engine, text) == ["0-1", "0-0"]


def test_pairs_of_a_map_annotation_can_be_joined(lab, engine):
    pairs = [omero.model.NamedValue("drug", "DMSO"), omero.model.NamedValue("dose", "1")]
    image = lab.add("Image", name="i")
    annotation = lab.add("MapAnnotation", ns="x", mapValue=pairs)
    lab.add("ImageAnnotationLink", parent=image, child=annotation)
    lab.add("ImageAnnotationLink", parent=image, child=lab.add("TagAnnotation"))
    text = (
        "select v.name, v.value, index(v) from ImageAnnotationLink l join l.child a "
        "join a.mapValue v where a.ns = 'x'"
    )
    assert values(engine, text) == [("drug", "DMSO", 0), ("dose", "1", 1)]
    text = "select a.id from Annotation a join a.mapValue v where v.name = 'dose'"
    assert values(engine, text) == [annotation.id]


def test_classes_are_told_apart_by_name_and_by_range(lab, engine):
    lab.add("TagAnnotation", textValue="t", ns="x")
    lab.add("CommentAnnotation", textValue="c", ns="x")
    assert values(engine, "select a.id from Annotation a where a.class = TagAnnotation") == [1]
    text = "select a.id from Annotation a where a.class in (TagAnnotation, LongAnnotation)"
    assert values(engine, text) == [1]
    assert values(engine, "select a.id from TextAnnotation a") == [1, 2]
    assert values(engine, "select a.textValue from Annotation a where a.ns = 'x'") == ["t", "c"]
    text = "select type(a.class), count(*) from Annotation a group by a.class order by a.class"
    assert [row[0].rpartition(".")[2] for row in values(engine, text)] == [
        "CommentAnnotation",
        "TagAnnotation",
    ]


# -- what one may see


def test_what_the_caller_may_not_read_is_not_there(lab, engine, plate):
    other, eve = lab.add("ExperimenterGroup", name="others"), lab.add("Experimenter")
    lab.add("Image", name="theirs", group=other, owner=eve)
    text = "select i.name from Image i where i.name not like '%-%'"
    assert values(engine, text) == ["theirs"]
    assert values(engine, text, lab.caller()) == []
    assert values(engine, text, lab.caller(is_admin=True)) == ["theirs"]
    assert values(engine, text, lab.caller(is_admin=True, group=lab.group)) == []


def test_joined_rows_of_others_are_not_there_either(lab, engine, plate):
    secret, eve = lab.add("ExperimenterGroup", name="secret"), lab.add("Experimenter")
    lab.add("WellSample", well=lab.world.get("Well", 3), group=secret, owner=eve)
    text = "select s.id from Well w left join w.wellSamples s where w.id = 3"
    assert values(engine, text, lab.caller()) == [4]
    assert values(engine, text, lab.caller(is_admin=True)) == [4, 5]
    text = "select size(w.wellSamples) from Well w where w.id = 3"
    assert values(engine, text, lab.caller()) == [1]


# -- the index


class Counting:
    """Counts how many rows a world hands out when asked for all of an entity."""

    def __init__(self, world):
        self._all, self.count = world.all, 0
        world.all = self

    def __call__(self, entity):
        for row in self._all(entity):
            self.count += 1
            yield row


@pytest.mark.parametrize(
    "text",
    [
        "select w.id from Well w where w.id = :id",
        "select w.id from Well w where :id = w.id",
        "select w.id from Well w where w.id in (:id)",
        "select w.id from Well w where w.plate.id = :id and w.column >= 0",
        "select s.id from WellSample s where s.well.plate.id = :id",
        "select s.id from WellSample s join s.well w join w.plate p where p.id = :id",
        "select p.id from Plate p join p.wells w join w.wellSamples s where s.id = :id",
        "select p.id from Plate p left join p.wells w where w.id in (:id)",
        "select w.id from Well w where w.plate in (select p from Plate p where p.id = :id)",
        "select p.id from Plate p, Well w where p.id = :id and w.plate = p",
        (
            "select w.id from Well w where w.id = :id and exists "
            "(select s from WellSample s where s.well = w)"
        ),
    ],
)
def test_what_is_named_is_found_without_looking_at_everything(lab, engine, plate, text):
    counting = Counting(lab.world)
    assert values(engine, text, id=rtypes.rlong(1))
    assert counting.count == 0


OUTER_QUERY = """
    select w.id, i.id from Well w join w.plate p
    left join w.wellSamples s left join s.image i
    where p.id in (:ids) order by w.column DIRECTION, w.id, i.id
"""


@settings(max_examples=25, deadline=None)
@given(
    wells=st.lists(st.tuples(st.integers(0, 2), st.none() | st.integers(0, 2)), max_size=6),
    samples=st.lists(st.tuples(st.integers(0, 5), st.none() | st.integers(0, 3)), max_size=8),
    ids=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    outer=st.booleans(),
    descending=st.booleans(),
    limit=st.none() | st.integers(1, 4),
)
def test_queries_of_small_plates_are_as_computed_by_hand(
    make_lab, wells, samples, ids, outer, descending, limit
):
    lab = make_lab()
    plates = [lab.add("Plate", name=str(number)) for number in range(3)]
    made = [lab.add("Well", plate=plates[plate], column=column) for plate, column in wells]
    images = [lab.add("Image", name=str(number)) for number in range(4)]
    taken = [
        (made[well], None if image is None else images[image])
        for well, image in samples
        if well < len(made)
    ]
    for well, image in taken:
        lab.add("WellSample", well=well, image=image)
    text = OUTER_QUERY if outer else OUTER_QUERY.replace("left ", "")
    text = text.replace("DIRECTION", "desc" if descending else "asc")
    expected = [
        (well, image)
        for well in made
        if well.values["plate"].id in ids
        for image in joined_images(well, taken, outer=outer)
    ]
    expected.sort(key=lambda one: (one[0].id, one[1] is None, one[1].id if one[1] else 0))
    expected.sort(key=lambda one: nulls_last(one[0].values.get("column")), reverse=descending)
    told = [(well.id, None if image is None else image.id) for well, image in expected][:limit]
    parameters = omero.sys.ParametersI().addIds(ids)
    if limit is not None:
        parameters.page(0, limit)
    found = Engine(lab.world).project(text, parameters, None)
    assert [tuple(rtypes.unwrap(value) for value in row) for row in found] == told


def joined_images(well, taken, *, outer):
    found = [image for other, image in taken if other is well]
    if not outer:
        return [image for image in found if image is not None]
    return found or [None]


def nulls_last(value):
    return (value is None, 0 if value is None else value)
