"""Whatever is deleted, moved or given: references stay consistent, and a fault changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omero_hcs.sandbox.model.schema import SCHEMA, Kind
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.delete import DeletionPlan
from omero_hcs.sandbox.objects.graph import GraphFaultError, Options, is_one_of
from omero_hcs.sandbox.objects.graph_rules import CHGRP_TARGETS, CHOWN_TARGETS, DELETE_TARGETS
from omero_hcs.sandbox.objects.transfer import TransferPlan
from omero_hcs.sandbox.objects.world import World

# Often together in one graph; some of everything else comes with them.
TOGETHER = """
    Project Dataset ProjectDatasetLink Image DatasetImageLink Fileset Pixels Channel
    LogicalChannel Instrument Plate Well WellSample PlateAcquisition Screen ScreenPlateLink Roi
    Rectangle Folder FolderRoiLink TagAnnotation CommentAnnotation MapAnnotation FileAnnotation
    OriginalFile ImageAnnotationLink DatasetAnnotationLink AnnotationAnnotationLink RenderingDef
    QuantumDef FilesetEntry UploadJob FilesetJobLink JobOriginalFileLink
"""
COMMON = TOGETHER.split()
OTHERS = sorted(
    name
    for name, one in SCHEMA.items()
    if one.implementation and not one.is_global and name not in COMMON
)
LEVELS = ("rw----", "rwr---", "rwra--", "rwrw--")
ROWS = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(COMMON), st.sampled_from(OTHERS)),
        st.integers(0, 1),
        st.lists(st.integers(0, 50), min_size=6, max_size=6),
    ),
    min_size=1,
    max_size=40,
)
NAMES = st.lists(st.sampled_from([*COMMON, "Annotation"]), max_size=2)


def is_filled(entity, field):
    """Say whether a field of a new row is filled: enumerations are left out."""
    return entity.is_link or not SCHEMA[field.target].is_global


class Lab:
    """A world with a graph of rows of two users, made of random numbers."""

    def __init__(self, rows, level):
        self.world = World()
        with self.world.transaction():
            self.users = [self.world.insert("Experimenter", omeName=name) for name in "abc"]
            self.groups = [self.world.insert("ExperimenterGroup", name=name) for name in "st"]
            for group in self.groups:
                self.world.set_details(group, permissions=level)
            for entity, owner, choices in rows:
                self._add(entity, self.users[owner], choices)

    def _add(self, entity, owner, choices):
        values, places = {}, iter(choices * 4)
        for field in SCHEMA[entity].stored:
            if field.kind is Kind.REF and is_filled(SCHEMA[entity], field):
                place = next(places)
                candidates = list(self.world.all(field.target))
                if candidates and not (field.nullable and place % 3 == 0):
                    values[field.name] = candidates[place % len(candidates)]
                elif not field.nullable:
                    return
        row = self.world.insert(entity, **values)
        self.world.set_details(row, owner=owner, group=self.groups[0])

    def caller(self, number):
        """One of the two users, or an administrator."""
        return Caller(
            self.users[number], None, self.groups[0], is_admin=number > 1, groups=set(self.groups)
        )

    def rows(self):
        roots = [one for one in SCHEMA.values() if one.base is None]
        return [row for root in roots for row in self.world.all(root.name)]

    def chosen(self, numbers, legal):
        """Some of the rows that a request may name."""
        rows = [row for row in self.rows() if is_one_of(row, legal)]
        return [rows[number % len(rows)] for number in numbers] if rows else []

    def told(self):
        """All that the world says of itself, to be compared."""
        return {
            row: (
                dict(row.values),
                row.details.owner,
                row.details.group,
                {key: set(rows) for key, rows in self.world.referrers(row).items()},
            )
            for row in self.rows()
        }

    def check(self):
        """Look whether every reference leads somewhere, and the index is what a recount gives."""
        rows, counted = set(self.rows()), {}
        for row in rows:
            for name, value in row.values.items():
                field = row.entity.fields[name]
                if field.kind is Kind.REF:
                    assert value in rows, f"{row}.{name} points at {value}, which is gone"
                    counted.setdefault(value, {}).setdefault((row.entity.name, name), set()).add(
                        row
                    )
            for field in row.entity.stored:
                needed = field.kind is Kind.REF and is_filled(row.entity, field)
                assert field.nullable or not needed or field.name in row.values
        for row in rows:
            found = {key: set(others) for key, others in self.world.referrers(row).items()}
            assert found == counted.get(row, {}), row


class FailedError(Exception):
    """Ends a transaction."""


@settings(deadline=None, max_examples=60)
@given(
    ROWS,
    st.sampled_from(LEVELS),
    st.integers(0, 2),
    st.lists(st.integers(0, 99), min_size=1, max_size=3),
    NAMES,
    NAMES,
)
def test_a_deletion_leaves_no_reference_to_what_is_gone(rows, level, who, numbers, taken, left):
    lab = Lab(rows, level)
    before = lab.told()

    def verdict(row):
        told = [name for names in (taken, left) for name in names if row.entity.isa(name)]
        return told[0] in taken if told else None

    plan = DeletionPlan(lab.world, lab.caller(who), Options(verdict))
    plan.add(lab.chosen(numbers, DELETE_TARGETS))
    try:
        plan.check()
    except GraphFaultError:
        assert lab.told() == before
        return
    assert lab.told() == before
    with lab.world.transaction():
        plan.carry_out()
    assert set(before) - set(lab.told()) == set(plan.taken)
    lab.check()


@settings(deadline=None, max_examples=60)
@given(ROWS, st.lists(st.integers(0, 99), min_size=1, max_size=3))
def test_a_deletion_that_is_taken_back_leaves_everything_as_it_was(rows, numbers):
    lab = Lab(rows, LEVELS[0])
    before = lab.told()
    plan = DeletionPlan(lab.world, lab.caller(2))
    plan.add(lab.chosen(numbers, DELETE_TARGETS))
    try:
        plan.check()
    except GraphFaultError:
        return
    with pytest.raises(FailedError), lab.world.transaction():  # noqa: PT012  (it has to be inside)
        plan.carry_out()
        raise FailedError
    assert lab.told() == before
    lab.check()


@settings(deadline=None, max_examples=60)
@given(
    ROWS,
    st.sampled_from(LEVELS),
    st.integers(0, 2),
    st.lists(st.integers(0, 99), min_size=1, max_size=3),
    st.booleans(),
)
def test_what_moves_is_cut_from_what_stays(rows, level, who, numbers, to_private):
    lab = Lab(rows, level)
    before = lab.told()
    plan = TransferPlan(lab.world, lab.caller(who), to_private=to_private)
    plan.add(lab.chosen(numbers, CHGRP_TARGETS))
    try:
        with lab.world.transaction():
            plan.finish().carry_out()
            plan.cut()
            for row in plan.taken:
                lab.world.set_details(row, group=lab.groups[1])
    except GraphFaultError:
        assert lab.told() == before
        return
    lab.check()
    for row in lab.rows():
        for value in row.values.values():
            if hasattr(value, "details") and not value.entity.is_global:
                assert value.details.group is row.details.group, f"{row} and {value}"


@settings(deadline=None, max_examples=60)
@given(ROWS, st.lists(st.integers(0, 99), min_size=1, max_size=3))
def test_in_a_private_group_nothing_joins_objects_of_two_owners_that_did_not_before(rows, numbers):
    lab = Lab([(entity, 0, choices) for entity, _, choices in rows], LEVELS[0])
    plan = TransferPlan(lab.world, lab.caller(2), verb="give", to_private=True)
    plan.add(lab.chosen(numbers, CHOWN_TARGETS))
    try:
        with lab.world.transaction():
            plan.finish().carry_out()
            for row in plan.taken:
                lab.world.set_details(row, owner=lab.users[1])
    except GraphFaultError:
        return
    lab.check()
    for row in lab.rows():
        parent, child = (row.values.get(end) for end in ("parent", "child"))
        if row.entity.is_link and not (row.entity.is_global or parent.entity.is_global):
            assert parent.details.owner is child.details.owner
