from __future__ import annotations

from pathlib import Path

import pytest

from omero_hcs.errors import InputErrors, LabelError
from omero_hcs.results import LABEL_COLUMNS, Table
from omero_hcs.stores.base import LabelSource
from omero_hcs.tasks.label_places import check_labels
from omero_hcs.tasks.labels import (
    class_order,
    count_by_class,
    labels_digest,
    labels_of,
)


def label(name="normal", y=10.0, x=20.0, **more):
    row = dict.fromkeys(LABEL_COLUMNS, "") | {"field": 0, "z": 0, "t": 0, "well": "A01"}
    return row | {"label": name, "y": y, "x": x} | more


def table(*rows):
    return Table.from_rows(rows, LABEL_COLUMNS)


@pytest.fixture
def plate(memory):
    return memory(2)


def check(plate, *rows):
    check_labels(plate.store, plate.store.refs(), table(*rows))


def faults(plate, *rows):
    with pytest.raises(InputErrors) as caught:
        check(plate, *rows)
    return caught.value.faults


class TestCheck:
    def test_labels_on_images_of_the_plate_are_fine_by_well_or_by_image(self, plate):
        check(plate, label(), label(y=0, x=0), label(y=95.9, x=95.9), label(well="", image="i001"))

    @pytest.mark.parametrize(
        "place",
        [{"well": "H12"}, {"field": 7}, {"image": "nope", "well": ""}],
    )
    def test_one_on_no_image_is_named_with_its_place(self, plate, place):
        (fault,) = faults(plate, label(**place), label(y=30.0))
        assert any(str(value) in fault for value in place.values() if value != "")
        assert "not among the 2 images" in fault

    @pytest.mark.parametrize("at", [(-1.0, 5.0), (96.0, 5.0), (5.0, 96.0), (float("nan"), 5.0)])
    def test_one_outside_its_image_is_named_with_the_images_size(self, plate, at):
        (fault,) = faults(plate, label(y=at[0], x=at[1]), label())
        assert "A01" in fault
        assert "96 x 96" in fault

    def test_two_labels_of_one_cell_are_a_conflict_that_names_both_people(self, plate):
        (fault,) = faults(plate, label(user="ann"), label("blurred", user="bob"))
        assert all(word in fault for word in ("ann", "bob", "'normal'", "'blurred'", "Keep one"))

    def test_the_same_label_twice_is_no_conflict(self, plate):
        check(plate, label(user="ann"), label(user="bob"))

    def test_all_faults_come_at_once_and_not_without_end(self, plate):
        found = faults(plate, *[label(y=-1.0 - number) for number in range(30)], label(well="H12"))
        assert len(found) == 21
        assert "and 11 more" in found[-1]


class TestClasses:
    def rows(self, *names):
        return table(*[label(name, y=float(y)) for y, name in enumerate(names)])

    def test_the_normal_one_is_first_and_the_others_go_by_name(self):
        rows = self.rows(*["dead", "normal", "blurred"] * 5)
        assert class_order(rows, "normal") == ("normal", "blurred", "dead")
        assert count_by_class(rows) == {"blurred": 5, "dead": 5, "normal": 5}

    def test_one_class_only_is_refused(self):
        with pytest.raises(LabelError, match=r"All 3 labels are 'normal'. Label some bad cells"):
            class_order(self.rows("normal", "normal", "normal"), "normal")

    def test_labels_without_the_normal_class_are_refused_with_the_option(self):
        with pytest.raises(LabelError, match=r"blurred, good.*--normal-class"):
            class_order(self.rows(*["good", "blurred"] * 5), "normal")

    def test_a_class_of_one_label_is_refused_by_its_name(self):
        with pytest.raises(LabelError, match="'dead' has 1"):
            class_order(self.rows(*["normal"] * 9, "dead"), "normal")


class TestDigest:
    def digest(self, plate, *rows):
        plate.store._memory.labels = table(*rows)
        return labels_digest(plate.store, plate.store.refs(), None)

    def test_it_is_the_same_for_the_same_labels_from_the_store_and_from_a_file(
        self, plate, tmp_path
    ):
        rows = [label(), label("blurred", y=30.5)]
        from_store = self.digest(plate, *rows)
        (tmp_path / "labels.csv").write_text(table(*rows).to_csv())
        path = [LabelSource(path=str(tmp_path / "labels.csv"))]
        assert labels_digest(plate.store, plate.store.refs(), path) == from_store
        assert len(labels_of(plate.store, plate.store.refs(), path)) == 2

    @pytest.mark.parametrize("change", [{"label": "dead"}, {"y": 10.5}, {"well": "A02"}, {"t": 1}])
    def test_any_change_of_a_label_changes_it(self, plate, change):
        assert self.digest(plate, label()) != self.digest(plate, label() | change)

    def test_no_labels_are_refused(self, plate):
        with pytest.raises(LabelError, match="has no labels"):
            labels_digest(plate.store, plate.store.refs(), None)


