from __future__ import annotations

import pytest

from omero_hcs.errors import InputErrors, LabelError
from omero_hcs.results import LABEL_COLUMNS, Table
from omero_hcs.stores.base import LabelSource
from omero_hcs.tasks.label_places import check_labels
from omero_hcs.tasks.labels import (
    LabelParams,
    class_names,
    class_order,
    count_by_class,
    count_by_user,
    find_labels,
    label_sources,
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

    def test_they_may_be_left_to_a_rule(self, plate):
        rows = table(label(user="ann"), label("blurred", user="bob"))
        check_labels(plate.store, plate.store.refs(), rows, refuse=False)

    def test_labels_of_whole_fields_are_fine_and_may_contradict_too(self, plate):
        nowhere = {"y": float("nan"), "x": float("nan")}
        check(plate, label(**nowhere), label(well="", image="i001", **nowhere))
        (fault,) = faults(plate, label(**nowhere), label("blurred", **nowhere))
        assert fault.startswith("Well A01, field 0 has two labels")
        (fault,) = faults(plate, label(well="H12", **nowhere))
        assert "not among the 2 images" in fault

    def test_a_plane_that_is_not_there_is_a_fault_where_planes_count(self, plate):
        check(plate, label(z=3))
        with pytest.raises(InputErrors, match=r"z=3, t=0; the image has 1 plane\(s\)"):
            check_labels(plate.store, plate.store.refs(), table(label(z=3)), planes=True)
        (fault,) = faults(plate, label(t=1))
        assert "1 time point(s)" in fault

    def test_wells_of_the_same_name_on_two_plates_are_told_apart(self, plate):
        (fault,) = faults(plate, label(plate="other"), label(plate="small", y=5.0))
        assert "1 label(s) are on well A01" in fault

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

    def test_too_many_texts_ask_for_the_classes(self):
        with pytest.raises(LabelError, match=r"'a00' has 1.* 10 more classes too.*--classes"):
            class_order(self.rows("normal", *[f"a{n:02d}" for n in range(19)]), "normal")

    def test_the_label_of_a_field_may_be_enough(self):
        rows = table(*[label(y=float(y)) for y in range(5)], label("dead", float("nan"), None))
        rows = rows.with_columns(x=rows["x"].astype(float))
        assert class_order(rows, "normal") == ("normal", "dead")

    def test_users_are_counted_too(self):
        rows = table(label(user="ann"), label("dead", user="ann"), label())
        assert count_by_user(rows) == {"ann": {"dead": 1, "normal": 1}, "unknown": {"normal": 1}}


class TestSources:
    @pytest.mark.parametrize(
        ("given", "kinds"),
        [
            (None, ["file"]),
            ("file", ["file"]),
            ("roi", ["roi"]),
            ("ROIs, tags", ["roi", "tag"]),
            ("ratings,comments,key-values,datasets", ["rating", "comment", "key-value", "dataset"]),
            ("tags,tag", ["tag"]),
        ],
    )
    def test_words_name_what_users_annotated(self, given, kinds):
        sources = label_sources(LabelParams(labels=given))
        assert [source.kind for source in sources] == kinds
        assert {source.path for source in sources} == {None}

    def test_a_file_is_known_by_its_whole_path_whatever_its_name(self, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        for name in ("labels.csv", "./roi", "a,b.csv"):
            (source,) = label_sources(LabelParams(labels=name))
            assert (source.kind, source.path) == ("file", str((tmp_path / name).resolve()))

    @pytest.mark.parametrize("given", ["rio", "roi,tagz"])
    def test_a_word_that_is_none_is_told_those_that_are(self, given):
        with pytest.raises(LabelError, match=r"no label file.*'(rio|tagz)' is no kind.*key-values"):
            label_sources(LabelParams(labels=given))

    def test_a_file_and_annotations_do_not_go_together(self):
        with pytest.raises(LabelError, match="labels export"):
            label_sources(LabelParams(labels="file,roi"))

    def test_texts_may_have_other_names_than_classes(self):
        given = ("5=normal", "4=normal", " blurred ", "a=b=c")
        assert class_names(given) == (
            ("5", "normal"), ("4", "normal"), ("blurred", "blurred"), ("a=b", "c"),
        )  # fmt: skip

    @pytest.mark.parametrize("given", [("a", "a"), ("=normal",), ("5=",)])
    def test_a_text_is_one_class(self, given):
        with pytest.raises(LabelError, match="cannot be a class"):
            class_names(given)


class TestFound:
    def find(self, plate, *rows, **options):
        plate.store._memory.labels = table(*rows)
        return find_labels(plate.store, plate.store.refs(), label_sources(LabelParams(**options)))

    def test_texts_get_their_classes_and_others_are_told(self, plate):
        rows = [label(text, source="rating") for text in "5133"]
        found = self.find(plate, *rows, labels="ratings", classes=("5=good", "1=bad"))
        assert found.table["label"].tolist() == ["good", "bad"]
        assert found.other_texts == {"3": 2}
        (warning,) = found.warnings()
        assert "2 annotations have texts that are no class, and were left out: '3' (2)" in warning

    def test_a_prefix_sets_labels_apart(self, plate):
        found = self.find(plate, label("qc: bad"), label("HeLa"), label_prefix="qc:")
        assert found.table["label"].tolist() == ["bad"]

    def test_classes_apply_to_files_too(self, plate, tmp_path):
        (tmp_path / "l.csv").write_text("well,field,y,x,label\nA01,0,1,1,5\nA01,0,2,2,x\n")
        found = self.find(plate, label(), labels=str(tmp_path / "l.csv"), classes=("5=good",))
        assert found.table["label"].tolist() == ["good"]

    def test_if_no_text_is_a_class_the_texts_are_listed_in_short(self, plate):
        rows = [label("Normal"), label("Normal"), label("<b>" * 40)]
        with pytest.raises(LabelError, match=r"'normal' was asked for.*'Normal' \(2\)") as caught:
            self.find(plate, *rows, classes=("normal",))
        assert len(str(caught.value)) < 400

    def test_labels_are_of_the_plate_that_they_were_found_on(self, plate):
        found = self.find(plate, label())
        assert found.table["plate"].tolist() == ["small"]


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
