"""The real plate BBBC013: 96 wells, one field, two channels, a dose series of two compounds."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from omero_hcs.errors import InputErrors
from omero_hcs.model import StoreSpec
from omero_hcs.stores.ome_zarr.convert import convert_folder, plan_conversion
from omero_hcs.stores.ome_zarr.store import OmeZarrStore

DATA = Path(os.environ.get("OMERO_HCS_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
PLATE = DATA / "bbbc013"
PATTERN = "BBBC013_{well}_s{field}_w{channel}.tif"
SIX_WELLS = ("A01", "A03", "A12", "E01", "E11", "H12")

pytestmark = pytest.mark.skipif(not PLATE.is_dir(), reason=f"no real images at {PLATE}")


@pytest.fixture
def six_wells(tmp_path):
    """A folder of links to the images of six wells."""
    folder = tmp_path / "six"
    folder.mkdir()
    for well in SIX_WELLS:
        for channel in (1, 2):
            name = f"BBBC013_{well}_s1_w{channel}.tif"
            (folder / name).symlink_to(PLATE / "images" / name)
    return folder


def convert(folder, out):
    conversion = plan_conversion(
        folder, PATTERN, platemap=PLATE / "platemap.csv", channels=["GFP", "DNA"]
    )
    return conversion, convert_folder(conversion, out)


def assert_same_pixels(plate, out):
    store = OmeZarrStore(StoreSpec(uri=str(out)))
    for site in plate.sites():
        files = [PLATE / f"images/BBBC013_{site.well.name}_s1_w{channel}.tif" for channel in (1, 2)]
        expected = np.stack([tifffile.imread(file) for file in files])
        np.testing.assert_array_equal(store.read(site.image, channels=[0, 1]), expected)


def size_of(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_six_wells_of_a_plate_come_back_bit_for_bit(six_wells, tmp_path):
    out = tmp_path / "six.zarr"
    conversion, plate = convert(six_wells, out)

    assert (plate.rows, plate.columns, len(plate.wells)) == (8, 12, 96)
    assert len(list(plate.sites())) == len(SIX_WELLS)
    assert len(conversion.missing_wells) == 90
    assert conversion.missing_wells[0] == "A02"
    well = plate.well("A03")
    assert (well.treatment, well.dose, well.dose_unit) == ("Wortmannin", 0.98, "nM")
    roles = {name: plate.well(name).role for name in SIX_WELLS}
    assert roles["A01"] == "negative_control"
    assert roles["A03"] == "treatment"
    assert roles["A12"] == roles["E01"] == "positive_control"
    assert_same_pixels(plate, out)


def test_real_faults_are_named(six_wells):
    name = "BBBC013_A03_s1_w2.tif"
    data = (six_wells / name).read_bytes()
    (six_wells / name).unlink()
    (six_wells / name).write_bytes(data[: len(data) * 2 // 3])
    (six_wells / "BBBC013_H12_s1_w1.tif").unlink()
    with pytest.raises(InputErrors) as caught:
        plan_conversion(six_wells, PATTERN)
    missing, unreadable = caught.value.faults
    assert "H12 field 1 channel 1 is missing" in missing
    assert f"{name} cannot be read" in unreadable


@pytest.mark.slow
def test_the_whole_plate(tmp_path):
    out = tmp_path / "bbbc013.zarr"
    conversion, plate = convert(PLATE / "images", out)

    assert conversion.missing_wells == ()
    assert len(list(plate.sites())) == 96
    roles = [well.role for well in plate.wells]
    assert {role: roles.count(role) for role in set(roles)} == {
        "negative_control": 16,
        "positive_control": 8,
        "treatment": 72,
    }
    assert_same_pixels(plate, out)
    assert size_of(out) < 1.6 * size_of(PLATE / "images")
