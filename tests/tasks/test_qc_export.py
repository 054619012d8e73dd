"""Verdicts for other programs: what is flagged, in whose words, a folder that is whole or none."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="the extra 'disk' is not installed")

import pandas as pd

from omero_hcs.errors import InputError, RunNotFoundError, WriteError
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.tasks.export_columns import FILES, meaning_of
from omero_hcs.tasks.export_folder import ExportRecord
from omero_hcs.tasks.given import params_of
from omero_hcs.tasks.qc_export import ExportParams, export_verdicts
from tests.tasks import judged

_names = itertools.count()


@pytest.fixture
def export(tmp_path):
    """Export a plate: the folder, and what was told; `store=` is another than the known one."""
    out = tmp_path / "out"

    def call(*, store=None, output=out, run_id=None, **given):
        store = store or judged.judged_store(f"export {next(_names)}")
        params = params_of(ExportParams, given)
        (told,) = export_verdicts(store.spec.uri, params, output=output, run_id=run_id)
        return SimpleNamespace(folder=output, told=told, store=store)

    return call


def read(made, name):
    path = made.folder / name
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def names_in(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


class TestFlags:
    def test_a_cell_is_left_out_for_its_class_or_with_its_field(self, export):
        made = export()
        assert tuple(read(made, "pycytominer/single_cells.parquet").Metadata_QC_Flag) == (
            judged.FLAGGED
        )
        assert read(made, "cellprofiler/objects.csv").QC_Flag.tolist() == [0, 1, 1, 1, 0]
        assert read(made, "pandas/cells.parquet").flag.tolist() == list(judged.FLAGGED)

    def test_fields_and_wells_are_left_out_where_they_failed_or_were_not_judged(self, export):
        made = export()
        sets = read(made, "cellprofiler/image_sets.csv")
        assert sets.Metadata_QC_Flag.tolist() == [0, 1, 0, 1]
        assert sets.Metadata_QC_Verdict.tolist() == ["warn", "fail", "pass", "unknown"]
        assert sets.Metadata_QC_Reason.fillna("").tolist() == ["", "few nuclei", "", "torn"]
        assert sets.Metadata_QC_Count_Flagged.tolist() == [1, 2, 0, 0]
        assert np.isnan(sets.Metadata_QC_AbnormalFraction.iloc[3])
        wells = read(made, "pycytominer/wells.parquet")
        assert wells.Metadata_QC_Flag.tolist() == [True, False]
        assert wells.Metadata_QC_Count_Flagged.tolist() == [3, 0]
        assert wells.Metadata_QC_Count_Sites_Flagged.tolist() == [1, 1]

    def test_what_a_run_says_it_kept_counts(self, export):
        kept = np.array([True, True, False, True, False])
        cells = judged.cells_table().with_columns(kept=kept)
        made = export(store=judged.judged_store("kept", cells=cells))
        assert read(made, "pandas/cells.parquet").flag.tolist() == (~kept).tolist()
        made = export(store=made.store, flag="debris")
        assert read(made, "pandas/cells.parquet").flag.tolist() == list(judged.FLAGGED)

    def test_classes_that_are_named_are_flagged_and_no_others(self, export):
        cells = read(export(flag="out of focus"), "pandas/cells.parquet")
        assert cells.flag.tolist() == [False, False, True, True, False]
        with pytest.raises(InputError, match=r"no class 'dust'\. It has: normal, debris"):
            export(flag="dust,debris")

    def test_a_class_that_the_run_took_for_no_artefact_is_not_flagged(self, export):
        given = {"thresholds": {"artefacts": ["debris"]}}
        made = export(store=judged.judged_store("phenotype", record=judged.run_record(**given)))
        cells = read(made, "pandas/cells.parquet")
        assert cells.flag[cells["class"] == "debris"].tolist() == [True]
        assert cells.flag[cells["field"] == 0].tolist() == [False, True, False]

    def test_lists_are_in_the_parquet_file_alone(self, export):
        cells = judged.cells_table().with_columns(view=np.zeros((5, 3), dtype=np.float32))
        made = export(store=judged.judged_store("lists", cells=cells))
        assert "view" in read(made, "pandas/cells.parquet")
        assert "view" not in read(made, "pandas/cells.csv")

    def test_tiles_are_no_cells(self, export):
        made = export(store=judged.judged_store("tiles", cells=judged.cells_table(tiles=2)))
        assert made.told.counts["cells"] == {"all": 5, "flagged": 3}
        assert len(read(made, "cellprofiler/objects.csv")) == 5
        assert len(read(made, "pandas/cells.csv")) == 7
        assert "2 tiles" in made.told.notes[0]


class TestNames:
    def test_wells_sites_and_places_are_as_cellprofiler_has_them(self, export):
        made = export()
        for name in ("cellprofiler/objects.csv", "pycytominer/single_cells.csv"):
            cells = read(made, name)
            assert set(cells.Metadata_Plate) == {"Plate, 1"}
            assert cells.Metadata_Well.tolist() == ["A01", "A01", "A01", "A01", "B03"]
            assert cells.Metadata_Site.tolist() == [1, 1, 2, 2, 1]
        assert cells.Metadata_Nuclei_Location_Center_X.tolist() == [c[3] for c in judged.CELLS]
        assert cells.Metadata_Nuclei_Location_Center_Y.tolist() == [c[2] for c in judged.CELLS]
        sets = read(made, "cellprofiler/image_sets.csv")
        assert sets.Metadata_ImageName[0] == "A01_0.tif"
        assert sets["Metadata_QC_Count_out_of_focus"].tolist() == [0, 1, 0, 0]

    def test_what_tells_rows_apart_is_there_where_it_is_needed(self, export):
        fields = judged.fields_table()
        assert "Metadata_Z" not in read(export(), "cellprofiler/image_sets.csv")
        fields = fields.with_columns(z=np.array(["0", "1", "0", "1"]))
        acquisitions = np.array(["1", "2", "1", "2"])
        fields = fields.with_columns(acquisition=acquisitions)
        made = export(store=judged.judged_store("planes", fields=fields))
        sets = read(made, "cellprofiler/image_sets.csv")
        assert sets.Metadata_Z.tolist() == [0, 1, 0, 1]
        assert sets.Metadata_Acquisition.tolist() == [1, 2, 1, 2]

    def test_every_column_is_explained_where_it_is_written(self, export):
        made = export()
        text = (made.folder / "README.txt").read_text()
        for name, meanings in FILES.values():
            columns = list(read(made, f"{name}.csv").columns)
            unknown = [c for c in columns if meaning_of(meanings, c).startswith("see ")]
            assert unknown == []
            assert [c for c in columns if f"\n  {c} " not in text] == []

    def test_the_readme_says_what_it_is_about_and_no_path_of_the_machine(self, export):
        made = export()
        text = (made.folder / "README.txt").read_text()
        words = (
            "Plate, 1", judged.RUN, "m (sha256 abababababab)", "warns from 20 %, fails from 50 %",
            "warn: 1 of 2 wells failed",
        )  # fmt: skip
        assert [word for word in words if word not in text] == []
        assert "The plate is small." in text
        everything = "".join(p.read_text("latin-1") for p in made.folder.rglob("*.*"))
        assert "/secret/" not in everything


class TestFolder:
    def test_only_what_was_asked_for_is_there(self, export):
        made = export(format="cellprofiler,pandas", level="cells")
        tables = ["cellprofiler/objects.csv", "pandas/cells.csv", "pandas/cells.parquet"]
        assert names_in(made.folder) == sorted(["README.txt", "export.json", *tables])
        text = (made.folder / "README.txt").read_text()
        assert "pycytominer" not in text.replace("omero-hcs", "")

    def test_an_earlier_export_is_replaced_and_the_same_one_is_the_same(self, export):
        first = export()
        before = {name: (first.folder / name).read_bytes() for name in names_in(first.folder)}
        again = export(store=first.store)
        assert {n: (again.folder / n).read_bytes() for n in names_in(again.folder)} == before
        assert "pandas/cells.csv" not in names_in(export(level="wells").folder)

    @pytest.mark.parametrize("name", ["notes.txt", "pandas/cells.csv", "export.json"])
    def test_what_somebody_put_or_changed_there_stays(self, export, name):
        made = export()
        (made.folder / name).write_text("mine")
        before = names_in(made.folder)
        with pytest.raises(InputError, match="Pass another --output"):
            export()
        assert names_in(made.folder) == before
        assert (made.folder / name).read_text() == "mine"

    def test_a_folder_of_others_is_left_alone_and_an_empty_one_is_taken(self, export, tmp_path):
        (tmp_path / "out").mkdir()
        export()
        other = tmp_path / "other"
        other.mkdir()
        (other / "export.json").write_text("{}")
        with pytest.raises(InputError, match="Pass another --output"):
            export(output=other)
        (tmp_path / "file").write_text("")
        with pytest.raises(WriteError, match="Not a directory"):
            export(output=tmp_path / "file")

    def test_nothing_half_written_is_left(self, export, tmp_path, monkeypatch):
        made = export()
        before = names_in(tmp_path)

        calls = itertools.count()

        def fail(*_):
            if next(calls) == 3:
                raise OSError(28, "No space left on device")
            return ""

        monkeypatch.setattr("omero_hcs.results.Table.to_csv", fail)
        with pytest.raises(WriteError, match="No space left"):
            export(store=made.store)
        assert names_in(tmp_path) == before

    def test_a_list_of_version_1_is_read_and_a_newer_one_is_no_leave_to_replace(self, export):
        text = (Path(__file__).parent / "samples" / "export-1.json").read_text()
        assert ExportRecord.model_validate_json(text).rows == {"pandas/cells": 5}
        made = export()
        listing = made.folder / "export.json"
        listing.write_text(
            listing.read_text().replace('"schema_version": 1', '"schema_version": 2')
        )
        with pytest.raises(InputError, match="Pass another --output"):
            export()

    def test_the_list_has_what_was_written(self, export):
        made = export()
        found = json.loads((made.folder / "export.json").read_text())
        assert found["schema_version"] == 1
        assert found["rows"] == dict(made.told.rows)
        assert set(found["sha256"]) == set(names_in(made.folder)) - {"export.json"}
        assert sorted(made.told.places) == sorted(str(made.folder / n) for n in found["sha256"])


class TestOtherPlates:
    def test_images_of_no_plate_have_no_wells(self, export):
        made = export(store=judged.judged_set("set"))
        assert "wells" not in made.told.counts
        assert not [name for name in names_in(made.folder) if "wells" in name]
        assert read(made, "cellprofiler/image_sets.csv").Metadata_Site.tolist() == [1, 2]
        assert any("no plate" in note for note in made.told.notes)

    def test_a_plate_of_which_nothing_could_be_read_is_flagged_whole(self, export):
        blank = {"verdict": np.full(4, ""), "status": np.full(4, "failed")}
        fields = judged.fields_table(()).with_columns(**blank)
        gone = [name for name in fields.columns if name.startswith("n_") or name == "cells"]
        fields = type(fields)({k: v for k, v in fields.columns.items() if k not in gone})
        empty = type(fields)({"cell": np.empty(0, dtype=str)})
        made = export(store=judged.judged_store("blank", cells=empty, fields=fields))
        assert made.told.counts["cells"] == {"all": 0, "flagged": 0}
        assert made.told.counts["fields"] == {"all": 4, "flagged": 4}
        assert list(read(made, "pycytominer/single_cells.parquet").columns)[:2] == [
            "Metadata_Plate", "Metadata_Well",
        ]  # fmt: skip

    def test_the_latest_run_is_taken_unless_another_is_named(self, export):
        store = judged.judged_store("two")
        later = "20260102T120000Z-0000bbbb"
        store.write(judged.results(store.refs()[0], run_id=later))
        assert export(store=store).told.run_id == later
        assert export(store=store, run_id=judged.RUN).told.run_id == judged.RUN
        with pytest.raises(RunNotFoundError, match=r"no quality run 'x'\. It has"):
            export(store=store, run_id="x")

    def test_a_plate_without_a_run_says_how_to_make_one(self, export):
        store = MemoryStore.create("none", judged.plate(), {})
        with pytest.raises(RunNotFoundError, match=r"no quality run yet.*apply-qc"):
            export(store=store)
