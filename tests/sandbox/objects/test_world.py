from __future__ import annotations

from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omero_hcs.sandbox.model.schema import Kind
from omero_hcs.sandbox.objects.world import World

KINDS = ("Project", "Dataset", "ProjectDatasetLink", "TagAnnotation", "DatasetAnnotationLink")


@pytest.fixture
def world():
    return World()


class FailedError(Exception):
    """Ends a transaction."""


@contextmanager
def failing(world):
    """Open a transaction that fails at its end."""
    with pytest.raises(FailedError), world.transaction():  # noqa: PT012  (the block is the test)
        yield
        raise FailedError


def everything(world):
    """All that a world says of itself, to be compared."""
    return {
        (row.entity.name, row.id): (
            {name: str(value) for name, value in row.values.items()},
            row.version,
            str(row.details.owner),
            {
                one.name: [str(member) for member in world.members(row, one.name)]
                for one in row.entity.collections
            },
        )
        for name in KINDS
        for row in world.all(name)
    }


def recounted(world):
    """What the reverse index should say, from the rows themselves."""
    pointing = {}
    for name in KINDS:
        for row in world.all(name):
            for field, value in row.values.items():
                if row.entity.fields[field].kind is Kind.REF:
                    pointing.setdefault(value, {}).setdefault((name, field), set()).add(row)
    return pointing


def test_a_world_is_changed_only_in_a_transaction(world):
    with pytest.raises(RuntimeError, match="transaction"):
        world.insert("Project", name="p")


def test_ids_count_up_for_each_root_from_one_and_for_people_from_zero(world):
    with world.transaction():
        assert [world.insert("Project", name=name).id for name in "ab"] == [1, 2]
        assert world.insert("Experimenter", omeName="root").id == 0
        tag, comment = world.insert("TagAnnotation"), world.insert("CommentAnnotation")
    assert (tag.id, comment.id) == (1, 2)
    assert world.get("Annotation", 2) is comment
    assert world.get("TagAnnotation", 2) is None


def test_members_come_in_the_order_they_were_put_in(world):
    with world.transaction():
        pixels = world.insert("Pixels")
        one, two, three = (world.insert("Channel", pixels=pixels) for _ in range(3))
        world.arrange(pixels, "channels", [two, three, one])
        late = world.insert("Channel", pixels=pixels)
    assert world.members(pixels, "channels") == [two, three, one, late]


def test_members_of_all_descendants_are_found(world):
    with world.transaction():
        roi = world.insert("Roi")
        shapes = [world.insert(name, roi=roi) for name in ("Rectangle", "Point", "Rectangle")]
    assert set(world.members(roi, "shapes")) == set(shapes)


def test_a_failed_transaction_leaves_everything_as_it_was(world):
    with world.transaction():
        pixels = world.insert("Pixels", sha1="a")
        channels = [world.insert("Channel", pixels=pixels) for _ in range(2)]
        world.arrange(pixels, "channels", channels[::-1])
    with failing(world):
        world.set(pixels, "sha1", "b")
        world.set(channels[0], "pixels", None)
        world.arrange(pixels, "channels", channels)
        world.set_details(pixels, owner=channels[0])
        world.touch(pixels, None)
        world.insert("Channel", pixels=pixels)
        world.remove(channels[1])
    assert pixels.values == {"sha1": "a"}
    assert pixels.version == 0
    assert pixels.details.owner is None
    assert world.members(pixels, "channels") == channels[::-1]


def test_a_failed_transaction_leaves_the_order_as_it_was(world):
    with world.transaction():
        pixels, other = world.insert("Pixels"), world.insert("Pixels")
        channels = [world.insert("Channel", pixels=pixels) for _ in range(4)]
    with failing(world):
        world.set(channels[1], "pixels", other)
        for channel in (channels[0], channels[2]):
            world.remove(channel)
    assert world.members(pixels, "channels") == channels
    assert list(world.all("Channel")) == channels


def test_what_follows_a_transaction_happens_only_if_it_succeeds(world):
    happened = []
    world.on_removed.append(happened.append)
    with world.transaction():
        row = world.insert("Project", name="p")
    with failing(world):
        world.remove(row)
    assert happened == []
    with world.transaction():
        world.remove(row)
        assert happened == []
    assert happened == [row]


def test_a_nested_transaction_belongs_to_the_outer_one(world):
    with failing(world), world.transaction():
        world.insert("Project", name="p")
    assert list(world.all("Project")) == []


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("insert", "rename", "link", "remove", "arrange")),
        st.integers(0, 30),
        st.integers(0, 30),
    ),
    max_size=40,
)


def play(world, steps):
    """Random changes; removing takes the links of what is removed with it."""
    for action, one, other in steps:
        projects, datasets = list(world.all("Project")), list(world.all("Dataset"))
        links = list(world.all("ProjectDatasetLink"))
        if action == "insert":
            world.insert(("Project", "Dataset")[one % 2], name=str(other))
        elif action == "rename" and projects:
            row = projects[one % len(projects)]
            world.set(row, "name", str(other))
            world.touch(row, None)
        elif action == "link" and projects and datasets:
            world.insert(
                "ProjectDatasetLink",
                parent=projects[one % len(projects)],
                child=datasets[other % len(datasets)],
            )
        elif action == "remove" and projects:
            row = projects[one % len(projects)]
            for link in world.members(row, "datasetLinks"):
                world.remove(link)
            world.remove(row)
        elif action == "arrange" and links:
            parent = links[one % len(links)].values["parent"]
            world.arrange(parent, "datasetLinks", world.members(parent, "datasetLinks")[::-1])


@given(STEPS, STEPS)
def test_any_transaction_can_be_taken_back(before, then):
    world = World()
    with world.transaction():
        play(world, before)
    kept = everything(world)
    with failing(world):
        play(world, then)
    assert everything(world) == kept


@given(STEPS)
def test_the_reverse_index_is_what_a_recount_gives(steps):
    world = World()
    with world.transaction():
        play(world, steps)
    expected = recounted(world)
    for name in KINDS:
        for row in world.all(name):
            found = {key: set(rows) for key, rows in world.referrers(row).items()}
            assert found == expected.get(row, {})
