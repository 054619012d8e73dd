"""Whatever graphs are saved: references lead somewhere, and a save that fails leaves nothing."""

from __future__ import annotations

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from omero_hcs.sandbox.ice.record import omero, rtypes
from omero_hcs.sandbox.model.schema import SCHEMA, Kind
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.load import Plan, materialise
from omero_hcs.sandbox.objects.save import Merger
from omero_hcs.sandbox.objects.world import World

KINDS = (
    "Project", "Dataset", "Image", "ProjectDatasetLink", "DatasetImageLink", "TagAnnotation",
    "CommentAnnotation", "ImageAnnotationLink", "AnnotationAnnotationLink", "Roi", "Rectangle",
    "Plate", "Well", "WellSample", "OriginalFile", "FileAnnotation", "Screen", "ScreenPlateLink",
)  # fmt: skip
LEVELS = ("rw----", "rwr---", "rwra--", "rwrw--")
# Of a reference: to an object of the same save, to a saved one by id, to a copy of it, to one that
# is not there.
HERE, BY_ID, COPY, NOWHERE = range(4)
OBJECTS = st.tuples(
    st.sampled_from(KINDS),
    st.lists(st.tuples(st.sampled_from([HERE, HERE, BY_ID, BY_ID, COPY]), st.integers(0, 30)),
             min_size=4, max_size=4),
    st.sampled_from(["", "", "", "", "no text", "changed", "in its collection"]),
)  # fmt: skip
SAVES = st.lists(
    st.tuples(st.integers(2, 3), st.lists(OBJECTS, min_size=1, max_size=8)), min_size=1, max_size=6
)


FIRST = [(kind, [(HERE, 0)] * 4, "") for kind in KINDS if kind != "AnnotationAnnotationLink"]


class Lab:
    """A world of one group with two users, one of whom has something of each kind.

    Further saves are made of random numbers.
    """

    def __init__(self, level):
        self.world = World()
        with self.world.transaction():
            self.users = [self.world.insert("Experimenter", omeName=name) for name in "abcd"]
            for name in ("system", "user", "guest"):
                self.world.insert("ExperimenterGroup", name=name)
            self.group = self.world.insert("ExperimenterGroup", name="ours")
            self.world.set_details(self.group, permissions=level)
        assert self.save(2, FIRST)

    def caller(self, number):
        return Caller(self.users[number], self.group, self.group, groups={self.group})

    def save(self, number, specs):
        """Save objects; say whether it went well."""
        sent, copies = [], []
        for spec in specs:
            sent.append(self._build(spec, sent, copies))
        before = self.told()
        try:
            with self.world.transaction():
                caller = self.caller(number)
                caller.event = self.world.insert("Event")
                rows = Merger(self.world, caller).merge_all(sent)
        except omero.ServerError:
            assert self.told() == before
            return False
        self.check()
        for obj, row in zip(sent, rows, strict=True):
            self._compare(obj, row)
        return True

    def _build(self, spec, sent, copies):
        kind, choices, quirk = spec
        entity = SCHEMA[kind]
        obj = entity.implementation()
        for field in entity.scalars:
            if not field.nullable and quirk != "no text":
                setattr(obj, field.attribute, field.wrap("t" if field.target == "RString" else 1))
        places = iter(choices)
        for field in entity.stored:
            if field.kind is Kind.REF and not SCHEMA[field.target].is_global:
                how, number = next(places, (HERE, 0))
                target = self._target(field.target, how, number, sent, copies)
                if target is not None and quirk == "changed" and hasattr(target, "_name"):
                    self._rename(target)
                if not self._adopt(target, obj, field, quirk):
                    setattr(obj, field.attribute, target)
        return obj

    def _target(self, kind, how, number, sent, copies):
        if how == HERE:
            found = [obj for obj in sent if SCHEMA[type(obj).__name__[:-1]].isa(kind)]
            return found[number % len(found)] if found else None
        rows = list(self.world.all(kind))
        if how == NOWHERE or not rows:
            return None
        row = rows[number % len(rows)]
        if how == BY_ID:
            return row.entity.unloaded(row.id)
        copies += materialise(self.world, [row], Plan([row]), None)
        return copies[-1]

    @staticmethod
    def _rename(target):
        if target.isLoaded():
            target._name = rtypes.rstring("renamed")

    @staticmethod
    def _adopt(target, obj, field, quirk):
        """Put an object into a collection instead of pointing from it."""
        if quirk != "in its collection" or target is None or not target.isLoaded():
            return False
        collections = SCHEMA[type(target).__name__[:-1]].collections
        for one in collections:
            if one.inverse == field.name and SCHEMA[type(obj).__name__[:-1]].isa(one.target):
                members = getattr(target, one.attribute) or []
                setattr(target, one.attribute, [*members, obj])
                setattr(target, one.loaded_attribute, True)
                return True
        return False

    @staticmethod
    def _compare(obj, row):
        for field in row.entity.scalars:
            told = getattr(obj, field.attribute)
            if told is not None:
                assert row.values.get(field.name) == told.val
        assert row.details.owner is not None
        assert row.details.group is not None

    def rows(self):
        roots = [one for one in SCHEMA.values() if one.base is None]
        return [row for root in roots for row in self.world.all(root.name)]

    def told(self):
        """All that the world says of itself, to be compared."""
        return {
            row: (
                dict(row.values),
                row.version,
                row.details.owner,
                row.details.group,
                row.details.update_event,
                {key: list(rows) for key, rows in self.world.referrers(row).items()},
                [self.world.members(row, one.name) for one in row.entity.collections],
            )
            for row in self.rows()
        }

    def check(self):
        """Look whether every reference leads somewhere, and the index is what a recount gives."""
        rows, counted = set(self.rows()), {}
        for row in rows:
            for name, value in row.values.items():
                if row.entity.fields[name].kind is Kind.REF:
                    assert value in rows
                    counted.setdefault(value, {}).setdefault((row.entity.name, name), set()).add(
                        row
                    )
            if row.entity.name in KINDS:
                for field in row.entity.stored:
                    assert field.nullable or field.name in row.values
        for row in rows:
            found = {key: set(others) for key, others in self.world.referrers(row).items()}
            assert found == counted.get(row, {})


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(LEVELS), SAVES)
def test_saves_keep_the_world_consistent_and_failures_leave_nothing(level, saves):
    lab = Lab(level)
    for number, specs in saves:
        event("saved" if lab.save(number, specs) else "refused")


@settings(max_examples=60, deadline=None)
@given(SAVES, st.integers(0, 7))
def test_one_bad_object_anywhere_takes_the_whole_save_with_it(saves, place):
    lab = Lab("rwrw--")
    for number, specs in saves:
        good = [
            (kind, [(COPY, number) for _, number in choices], "changed")
            for kind, choices, _ in specs
        ]
        bad = ("ProjectDatasetLink", [(NOWHERE, 0)] * 4, "")
        assert not lab.save(number, [*good[:place], bad, *good[place:]])


def test_saving_what_came_back_changes_nothing():
    lab = Lab("rwra--")
    image = omero.model.ImageI()
    image.name = rtypes.rstring("an image")
    roi = omero.model.RoiI()
    roi.addShape(omero.model.RectangleI())
    image.addRoi(roi)
    with lab.world.transaction():
        caller = lab.caller(2)
        caller.event = lab.world.insert("Event")
        merger = Merger(lab.world, caller)
        rows = merger.merge_all([image])
        (copy,) = materialise(lab.world, rows, merger.plan(), caller)
    before = lab.told()
    with lab.world.transaction():
        Merger(lab.world, lab.caller(2)).merge_all([copy])
    assert lab.told() == before


def test_a_shape_saved_without_its_region_stays_in_it():
    """So OMERO.iviewer saves what was edited: made anew from JSON, with nothing but its id."""
    lab = Lab("rwra--")
    (shape,), (roi,) = lab.world.all("Rectangle"), lab.world.all("Roi")
    with lab.world.transaction():
        lab.world.set(shape, "roi", roi)
    changed = omero.model.RectangleI(shape.id)
    changed.textValue = rtypes.rstring("changed")
    with lab.world.transaction():
        caller = lab.caller(2)
        caller.event = lab.world.insert("Event")
        Merger(lab.world, caller).merge_all([changed])
    assert shape.values["roi"] is roi
    assert shape.values["textValue"] == "changed"


@pytest.mark.parametrize("left", [0, 1, 2])
def test_a_shape_taken_out_of_its_region_is_deleted(left):
    """So OMERO.iviewer deletes one of several shapes; one that is not loaded stays."""
    lab = Lab("rwra--")
    roi = omero.model.RoiI()
    for _ in range(2):
        roi.addShape(omero.model.RectangleI())
    (saved,), copy = merged(lab, roi)
    for shape in copy.copyShapes()[left:]:
        copy.removeShape(shape)
    ids = [shape.id.val for shape in copy.copyShapes()]
    merged(lab, copy)
    assert [shape.id for shape in lab.world.members(saved, "shapes")] == ids
    unloaded = omero.model.RoiI(saved.id)
    unloaded.unloadShapes()
    merged(lab, unloaded)
    assert len(lab.world.members(saved, "shapes")) == left


def merged(lab, *sent):
    """Save objects as the first user: their rows, and the first as it comes back."""
    with lab.world.transaction():
        caller = lab.caller(2)
        caller.event = lab.world.insert("Event")
        merger = Merger(lab.world, caller)
        rows = merger.merge_all(sent)
        return rows, materialise(lab.world, rows, merger.plan(), caller)[0]


def test_a_save_outside_a_transaction_is_a_fault_of_ours():
    lab = Lab("rwra--")
    image = omero.model.ImageI()
    image.name = rtypes.rstring("image")
    with pytest.raises(RuntimeError):
        Merger(lab.world, lab.caller(2)).merge_all([image])
