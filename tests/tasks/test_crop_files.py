"""Crops in one file: an OME-Zarr that viewers open, a zip of TIFF files; never too large."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import ngio
import numpy as np
import pytest
import tifffile
import zarr

from omero_hcs.errors import InputError
from omero_hcs.model import ImageSet
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.tasks import crop_cells, crop_files
from omero_hcs.tasks.crop_cells import Params
from omero_hcs.tasks.driver import run_task
from omero_hcs.tasks.dry_run import dry_run

FIELDS, NUCLEI, SIDE = 4, 3, 16


@pytest.fixture(scope="module")
def plate(tmp_path_factory, write_plate_once):
    return write_plate_once(tmp_path_factory.mktemp("crops") / "p.zarr", FIELDS)


@pytest.fixture
def crop(plate, settings):
    """Crop the plate: ``crop("zarr")`` gives the outcome, and the file of crops."""

    def ask(kind, **params):
        given = Params(crop_size=f"{SIDE}px", crops=kind, **params)
        outcome = run_task("crop_cells", plate, given, settings=settings, again=True)
        return outcome, [Path(place) for place in outcome.places if place.endswith(".zip")]

    return ask


def cut(plate_pixels, row):
    y, x = round(float(row["y"])), round(float(row["x"]))
    return plate_pixels[y - SIDE // 2 : y + SIDE // 2, x - SIDE // 2 : x + SIDE // 2]


def rows_of(archive):
    return list(csv.DictReader(io.StringIO(archive.read("cells.csv").decode())))


class TestZarr:
    def test_it_is_an_image_whose_time_points_are_the_crops(self, crop, tmp_path):
        outcome, (path,) = crop("zarr")
        assert outcome.summary["crops"] == f"{FIELDS * NUCLEI}, one OME-Zarr"
        folder = tmp_path / "crops.ome.zarr"
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
            rows = rows_of(archive)
        image = ngio.open_ome_zarr_container(folder, mode="r").get_image()
        assert image.channel_labels == ["DNA"]
        crops = image.get_array(axes_order=("t", "c", "y", "x"))
        assert crops.shape == (FIELDS * NUCLEI, 1, SIDE, SIDE)
        assert crops.dtype == np.uint16
        assert [int(row["crop"]) for row in rows] == list(range(len(crops)))
        centre = crops[:, 0, SIDE // 2, SIDE // 2]
        assert (centre > 4000).all()
        assert len({row["cell"] for row in rows}) == len(rows)
        shown = zarr.open_group(folder, mode="r").attrs["ome"]["omero"]["channels"][0]["window"]
        assert shown["min"] <= shown["start"] < shown["end"] <= shown["max"]

    def test_zarr_reads_it_within_the_zip(self, crop):
        _, (path,) = crop("zarr")
        store = zarr.storage.ZipStore(path, mode="r")
        try:
            group = zarr.open_group(store, mode="r")
            assert group["0"].metadata.dimension_names == ("t", "c", "y", "x")
            assert group.attrs["ome"]["version"] == "0.5"
        finally:
            store.close()

    def test_of_more_than_the_limit_it_holds_a_sample_of_every_field(self, crop):
        outcome, (path,) = crop("zarr", limit=6)
        with zipfile.ZipFile(path) as archive:
            wells = [row["well"] for row in rows_of(archive)]
        assert sorted(map(wells.count, sorted(set(wells)))) == [1, 1, 2, 2]
        (told,) = [text for text in outcome.summary["warnings"] if "sample" in text]
        assert told.startswith(f"Only 6 crops are kept, of {FIELDS * NUCLEI}")

    def test_where_some_fields_have_few_cells_the_others_give_more(self, memory, settings):
        made, rng = memory(3), np.random.default_rng(0)
        for number in (0, 1):
            pixels = made.store._memory.pixels[f"i{number:03d}"]
            pixels[..., 30:, :] = rng.integers(90, 110, pixels[..., 30:, :].shape)
        given = Params(crop_size=f"{SIDE}px", crops="zip", limit=6)
        outcome = run_task("crop_cells", made.uri, given, settings=settings)
        assert outcome.summary["crops"] == "5, a zip of TIFF files"
        results = made.store.results[outcome.run_id, None]
        (content,) = [file.content for file in results.files if file.name == "crops.zip"]
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            wells = [row["well"] for row in rows_of(archive)]
        assert wells == ["A01", "A02", "A03", "A03", "A03"]


class TestZip:
    def test_it_has_a_tiff_a_crop_and_their_cells(self, crop):
        outcome, (path,) = crop("zip")
        assert path.name == "crops.zip"
        with zipfile.ZipFile(path) as archive:
            rows = rows_of(archive)
            assert archive.namelist() == [*(row["file"] for row in rows), "cells.csv"]
            assert rows[0]["file"] == "A01_f1_00001.ome.tif"
            with tifffile.TiffFile(io.BytesIO(archive.read(rows[0]["file"]))) as tiff:
                assert tiff.series[0].axes in ("YX", "CYX")
                assert 'Name="DNA"' in tiff.ome_metadata
                assert tiff.asarray().reshape(SIDE, SIDE)[SIDE // 2, SIDE // 2] > 4000
        assert len(rows) == outcome.summary["cells"]


class TestSize:
    def test_too_many_are_refused_before_they_are_cut(self, plate, settings, monkeypatch):
        monkeypatch.setattr(crop_files, "LARGEST_FILE", 5 * SIDE * SIDE * 2)
        given = Params(crop_size=f"{SIDE}px", crops="zarr", limit=6)
        monkeypatch.setattr(crop_cells, "work", lambda *_: pytest.fail("cut"))
        with pytest.raises(InputError, match=r"6 crops .* --limit 5,") as caught:
            run_task("crop_cells", plate, given, settings=settings)
        assert "--crops table" in str(caught.value)

    def test_more_than_was_expected_are_a_smaller_sample(self, crop, monkeypatch):
        """The sample of fields that was looked at may have had fewer cells than the others."""
        monkeypatch.setattr(crop_files, "LARGEST_FILE", 5 * SIDE * SIDE * 2)
        monkeypatch.setattr(crop_files, "refuse_too_large", lambda *_, **__: None)
        outcome, (path,) = crop("zarr")
        with zipfile.ZipFile(path) as archive:
            assert len(rows_of(archive)) == 5
        assert outcome.summary["crops"] == f"5 of {FIELDS * NUCLEI}, one OME-Zarr"


class TestElsewhere:
    def test_a_plate_on_disk_has_no_datasets(self, crop):
        with pytest.raises(InputError, match="zarr, zip or table"):
            crop("dataset")

    def test_none_and_tables_are_not_limited(self, crop, plate):
        assert crop("none")[1] == []
        outcome, files = crop("auto", limit=1)
        assert (files, outcome.summary.get("crops")) == ([], None)
        tables = list(plate.parent.glob(f"p.hcs/runs/{outcome.run_id}/units/*/crops.parquet"))
        assert len(tables) == FIELDS

    def test_images_that_are_no_plate_have_no_wells_in_their_names(self, memory, settings):
        plate = memory(2).store
        layout = plate.plate("small")
        images = ImageSet("set", "images", tuple(site.image for site in layout.sites()))
        pixels = {site.image.id: plate._memory.pixels[site.image.id] for site in layout.sites()}
        store = MemoryStore.create("no plate", images, pixels)
        given = Params(crop_size=f"{SIDE}px", crops="zip")
        outcome = run_task("crop_cells", store.spec.uri, given, settings=settings)
        files = store.results[outcome.run_id, None].files
        (content,) = [file.content for file in files if file.name == "crops.zip"]
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.namelist()[0] == "image_00001.ome.tif"

    def test_a_dry_run_tells_of_the_file(self, plate, settings):
        given = Params(crop_size=f"{SIDE}px", crops="zarr", limit=5)
        told = dry_run("crop_cells", plate, given, settings=settings)
        assert told.writes["crops"].startswith("5 of about 12: crops.ome.zarr.zip")
