"""What every store does alike, whichever home it is."""

from __future__ import annotations

import contextlib
import inspect
from dataclasses import replace

import numpy as np
import pytest

from omero_hcs.errors import (
    ChannelNotFoundError,
    HcsError,
    ImageNotFoundError,
    InputError,
    LabelError,
    PlateNotFoundError,
    RunNotFoundError,
)
from omero_hcs.imaging.focus import project
from omero_hcs.model import StoreSpec
from omero_hcs.results import LABEL_COLUMNS, ResultFile, Table
from omero_hcs.stores.base import LabelSource, PlateStore
from omero_hcs.stores.open import open_store

RUN, LATER = "20250101T120000-0000aaaa", "20250102T120000-0000bbbb"


def described(layout):
    """What a layout says, without the ids and colours that each store gives in its own way."""
    names = {item.id: item.name for item in getattr(layout, "acquisitions", ())}
    sites = [
        (
            site.well.name if site.well else None,
            site.field,
            names.get(site.acquisition),
            site.image.channel_names,
            replace(site.image, id="", name="", channels=()),
        )
        for site in layout.sites()
    ]
    wells = [replace(well, fields=()) for well in getattr(layout, "wells", ())]
    size = (getattr(layout, "rows", None), getattr(layout, "columns", None))
    return layout.name, size, list(names.values()), wells, sites


def label_table(home, **changes):
    site = next(iter(home.layout().sites()))
    row = dict.fromkeys(LABEL_COLUMNS, "") | {
        "well": site.well.name if site.well else "",
        "image": site.image.id,
        "field": site.field, "z": 1, "t": 0, "y": 12.5, "x": 7.0, "label": "blurred",
    }  # fmt: skip
    return Table.from_rows([row | changes, row | {"label": "normal"} | changes])


@pytest.mark.parametrize(
    "method",
    [
        name
        for name in vars(PlateStore)
        if not name.startswith("_") and name not in ("spec", "readers")
    ],
)
def test_a_store_takes_the_arguments_that_the_protocol_says(home, method):
    told = inspect.signature(getattr(PlateStore, method)).parameters
    taken = inspect.signature(getattr(type(home.store), method)).parameters
    assert [(item.name, item.kind, item.default) for item in told.values()] == [
        (item.name, item.kind, item.default) for item in taken.values()
    ]


class TestLayout:
    def test_it_is_what_was_put_in(self, home):
        assert described(home.layout()) == described(home.truth)

    def test_the_one_object_is_named(self, plate_home):
        assert plate_home.ref.kind == "plate"
        assert plate_home.store.plate(plate_home.ref.id).id == plate_home.ref.id

    def test_image_ids_are_unique(self, home):
        ids = [site.image.id for site in home.layout().sites()]
        assert len(set(ids)) == len(ids) == len(home.pixels)

    def test_an_unknown_plate_is_refused_with_what_is_there(self, home):
        for method in (home.store.plate, home.store.images):
            with pytest.raises(PlateNotFoundError, match="no such plate") as caught:
                method("no such plate")
            if method == home.store.images or home.ref.kind == "plate":
                assert home.ref.id in str(caught.value)

    def test_a_plate_is_not_answered_as_images_nor_the_reverse(self, home):
        other = home.store.images if home.ref.kind == "plate" else home.store.plate
        with pytest.raises(PlateNotFoundError):
            other(home.ref.id)


class TestRead:
    @pytest.mark.parametrize("z", [0, 1, 2, "middle", "focus", "max"])
    @pytest.mark.parametrize("t", [0, 1])
    def test_every_plane_of_every_site_is_the_one_that_was_put_in(self, home, z, t):
        for site, stack in zip(home.layout().sites(), home.pixels, strict=True):
            read = home.store.read(site.image, channels=[1, 0], z=z, t=t)
            assert read.dtype == stack.dtype
            np.testing.assert_array_equal(read, project(stack[t], z)[[1, 0]])

    def test_focus_is_the_same_plane_for_all_channels(self, home):
        read = home.store.read(home.first_image(), channels=[1], z="focus")
        np.testing.assert_array_equal(read, home.pixels[0][0, [1], 2])

    def test_a_channel_may_be_asked_for_twice(self, home):
        read = home.store.read(home.first_image(), channels=[0, 0])
        np.testing.assert_array_equal(read[0], read[1])

    def test_what_is_read_may_be_changed_without_changing_the_store(self, home):
        image = home.first_image()
        read = home.store.read(image, channels=[0])
        before = read.copy()
        read += 1
        np.testing.assert_array_equal(home.store.read(image, channels=[0]), before)

    @pytest.mark.parametrize("index", [2, -1])
    def test_a_channel_that_is_not_there_is_refused_with_those_that_are(self, home, index):
        with pytest.raises(ChannelNotFoundError, match=r"DNA.*GFP"):
            home.store.read(home.first_image(), channels=[0, index])

    @pytest.mark.parametrize(
        ("place", "said"),
        [
            ({"z": 3}, "z plane 3"),
            ({"z": -1}, "z plane -1"),
            ({"t": 2}, "time point 2"),
            ({"t": -1}, "time point -1"),
        ],
    )
    def test_a_plane_that_is_not_there_is_refused_by_number(self, home, place, said):
        with pytest.raises(InputError, match=said):
            home.store.read(home.first_image(), channels=[0], **place)

    @pytest.mark.parametrize("image_id", ["Z/99/7", "../secret.tif"])
    def test_an_image_that_is_not_there_is_refused_by_its_id(self, home, image_id):
        with pytest.raises(ImageNotFoundError, match=image_id):
            home.store.read(replace(home.first_image(), id=image_id), channels=[0])


class TestReopen:
    def test_a_worker_reopens_it_from_json(self, home):
        spec = StoreSpec.model_validate_json(home.store.spec.model_dump_json())
        with contextlib.closing(open_store(spec)) as again:
            assert again.refs() == home.store.refs()
            image = home.first_image()
            np.testing.assert_array_equal(
                again.read(image, channels=[0]), home.store.read(image, channels=[0])
            )

    def test_no_secret_shows(self, home):
        shown = repr(home.store) + repr(home.store.spec) + home.store.spec.model_dump_json()
        assert home.secret is None or home.secret not in shown

    def test_it_closes_twice(self, home):
        home.store.close()
        home.store.close()


class TestWrite:
    def test_counts_and_places_are_told(self, home):
        report = home.store.write(home.results(RUN))
        assert report.run_id == RUN
        assert {kind: report.counts[kind] for kind in ("table", "roi", "tag")} == {
            "table": 1, "roi": 1, "tag": 1,
        }  # fmt: skip
        assert report.places
        assert report.kept == ()

    @pytest.mark.parametrize("unit", [None, "B03/field 1"])
    def test_writing_twice_leaves_one_copy(self, home, unit):
        results = home.results(RUN, unit=unit, labels=(home.label_image(),))
        first_report, first = home.store.write(results), home.snapshot()
        assert home.store.write(results).counts == first_report.counts
        assert home.snapshot().keys() == first.keys()
        assert len(home.store.runs(home.ref)) == 1

    def test_writing_other_results_of_a_run_replaces_the_first(self, home):
        home.store.write(home.results(RUN))
        table = Table({"cell": np.arange(3)})
        home.store.write(home.results(RUN, tables={"cells": table}, rois=()))
        assert len(Table.from_parquet(home.store.fetch(RUN, "cells.parquet"))) == 3
        with pytest.raises(RunNotFoundError, match=r"rois\.json.*cells\.parquet"):
            home.store.fetch(RUN, "rois.json")

    def test_units_and_the_finishing_step_stand_side_by_side(self, home):
        home.store.write(home.results(RUN, unit="unit 1"))
        home.store.write(home.results(RUN, unit="unit 2"))
        home.store.write(home.results(RUN))
        before = home.snapshot()
        home.store.write(home.results(RUN, unit="unit 1"))
        assert home.snapshot().keys() == before.keys()
        assert home.store.undo(RUN).counts["table"] == 3

    @pytest.mark.parametrize("name", ["../report.html", "/etc/report.html", "a/b.html", "..", ""])
    def test_a_file_name_never_leads_out_of_the_run(self, home, name):
        before = home.snapshot()
        with pytest.raises(InputError, match="result file"):
            home.store.write(home.results(RUN, files=(ResultFile(name, "text/html", b""),)))
        assert home.snapshot() == before
        assert home.store.runs(home.ref) == ()

    def test_files_come_back_as_they_were(self, home):
        results = home.results(RUN)
        home.store.write(results)
        assert home.store.fetch(RUN, "report.html") == b"<p>5 cells</p>"
        cells = Table.from_parquet(home.store.fetch(RUN, "cells.parquet"))
        for name, column in results.tables["cells"].columns.items():
            np.testing.assert_array_equal(cells[name], column)

    def test_a_file_or_run_that_is_not_there_is_refused_with_those_that_are(self, home):
        home.store.write(home.results(RUN))
        with pytest.raises(RunNotFoundError, match=r"no\.txt.*report\.html"):
            home.store.fetch(RUN, "no.txt")
        with pytest.raises(RunNotFoundError, match=f"{LATER}.*{RUN}"):
            home.store.fetch(LATER, "report.html")


class TestRuns:
    def test_they_are_told_oldest_first(self, home):
        assert home.store.runs(home.ref) == ()
        home.store.write(home.results(LATER))
        home.store.write(home.results(RUN, key="j" * 64))
        home.store.write(home.results(LATER))
        told = home.store.runs(home.ref)
        assert [(run["run_id"], run["key"][0]) for run in told] == [(LATER, "k"), (RUN, "j")]
        assert told[0]["task"] == "apply_qc"
        assert told[0]["schema_version"] == 1

    def test_a_run_that_only_wrote_units_is_told(self, home):
        home.store.write(home.results(RUN, unit="unit 1"))
        assert [run["run_id"] for run in home.store.runs(home.ref)] == [RUN]

    def test_runs_over_other_objects_are_not(self, home):
        home.store.write(home.results(RUN))
        assert home.store.runs(home.ref.model_copy(update={"id": "another"})) == ()


class TestUndo:
    def test_it_removes_exactly_what_the_run_wrote(self, home):
        home.store.write(home.results(LATER, unit="unit 1"))
        home.store.write(home.results(LATER))
        before = home.snapshot()
        home.store.write(home.results(RUN, unit="unit 1", labels=(home.label_image(),)))
        home.store.write(home.results(RUN))
        report = home.store.undo(RUN)
        assert home.snapshot() == before
        assert report.counts["roi"] == 2
        assert report.kept == ()
        assert [run["run_id"] for run in home.store.runs(home.ref)] == [LATER]

    def test_of_the_only_run_leaves_the_store_as_it_was(self, home):
        before = home.snapshot()
        home.store.write(home.results(RUN, unit="unit 1", labels=(home.label_image(),)))
        home.store.write(home.results(RUN))
        home.store.undo(RUN)
        assert home.snapshot() == before

    def test_twice_is_refused_with_the_runs_that_are_there(self, home):
        home.store.write(home.results(RUN))
        home.store.write(home.results(LATER))
        home.store.undo(RUN)
        with pytest.raises(RunNotFoundError, match=f"{RUN}.*{LATER}"):
            home.store.undo(RUN)

    @pytest.mark.parametrize("run_id", ["../../..", "", ".", "*"])
    def test_a_run_id_never_leads_elsewhere(self, home, run_id):
        home.store.write(home.results(RUN))
        before = home.snapshot()
        with pytest.raises(RunNotFoundError):
            home.store.undo(run_id)
        assert home.snapshot() == before

    def test_what_a_user_changed_stays_and_is_told(self, home):
        home.store.write(home.results(RUN))
        home.change(RUN)
        changed = home.snapshot()
        again = home.store.write(home.results(RUN))
        assert len(again.kept) == 1
        assert changed.items() <= home.snapshot().items()
        report = home.store.undo(RUN)
        assert report.kept == again.kept
        assert home.snapshot()
        assert home.store.runs(home.ref) == ()


class TestLabelImages:
    def test_they_come_back_by_name(self, home):
        label, other = home.label_image(), home.label_image("cells")
        home.store.write(home.results(RUN, labels=(label, other)))
        read = home.store.label_image(home.first_image(), name="nuclei", z=1, t=1)
        assert np.issubdtype(read.dtype, np.integer)
        np.testing.assert_array_equal(read, label.pixels)

    def test_the_only_one_needs_no_name(self, home):
        label = home.label_image()
        home.store.write(home.results(RUN, labels=(label,)))
        read = home.store.label_image(home.first_image(), z=1, t=1)
        np.testing.assert_array_equal(read, label.pixels)

    def test_several_without_a_name_are_refused_with_their_names(self, home):
        labels = (home.label_image(), home.label_image("cells"))
        home.store.write(home.results(RUN, labels=labels))
        with pytest.raises(ImageNotFoundError, match=r"(?s)nuclei.*cells|cells.*nuclei"):
            home.store.label_image(home.first_image(), z=1, t=1)

    @pytest.mark.parametrize("name", [None, "nuclei"])
    def test_none_is_told(self, home, name):
        with pytest.raises(ImageNotFoundError, match=r"\b(no|not)\b"):
            home.store.label_image(home.first_image(), name=name)

    def test_undo_takes_them_away(self, home):
        home.store.write(home.results(RUN, labels=(home.label_image(),)))
        home.store.undo(RUN)
        with pytest.raises(ImageNotFoundError):
            home.store.label_image(home.first_image(), name="nuclei", z=1, t=1)


class TestLabels:
    def test_they_are_read_where_users_put_them(self, home):
        home.put_labels(label_table(home))
        table = home.store.labels(home.ref, source=LabelSource())
        assert tuple(table.columns) == LABEL_COLUMNS
        assert table["label"].tolist() == ["blurred", "normal"]
        assert table["image"][0] == home.first_image().id
        assert (table["y"][0], table["x"][0], table["z"][0]) == (12.5, 7.0, 1)

    def test_they_are_read_from_a_file(self, home, tmp_path):
        path = tmp_path / "mine.csv"
        path.write_text(label_table(home).to_csv())
        table = home.store.labels(home.ref, source=LabelSource(path=str(path)))
        assert table["label"].tolist() == ["blurred", "normal"]

    def test_none_is_told_with_the_columns_that_are_needed(self, home, tmp_path):
        for path in (None, str(tmp_path / "no.csv")):
            with pytest.raises(LabelError, match=r"(?s)label.*y, ?x|y,x"):
                home.store.labels(home.ref, source=LabelSource(path=path))


def test_every_refusal_is_an_error_of_ours_on_one_subject(home):
    """A caller may catch HcsError alone, and the message names the thing it is about."""
    image = home.first_image()
    for call, name in (
        (lambda: home.store.plate("nowhere"), "nowhere"),
        (lambda: home.store.undo("nothing"), "nothing"),
        (lambda: home.store.read(image, channels=[9]), "9"),
    ):
        with pytest.raises(HcsError, match=name):
            call()
