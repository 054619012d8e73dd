from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from omero_hcs.errors import InputError, InputErrors
from omero_hcs.stores.ome_zarr.pattern import Place, parse_pattern


def place_of(pattern, name):
    return parse_pattern(pattern).place(PurePosixPath(name))


@pytest.mark.parametrize(
    ("pattern", "name", "place"),
    [
        (
            "BBBC013_{well}_s{field}_w{channel}.tif",
            "BBBC013_B03_s1_w2.tif",
            Place(1, 2, 1, "2"),
        ),
        (  # ImageXpress: a hash at the end
            "plate1_{well}_s{field}_w{channel}????.tif".replace("????", "*"),
            "plate1_AF48_s12_w1A3F6C0D2-1.TIF",
            Place(31, 47, 12, "1"),
        ),
        (  # Opera Phenix: numbers for rows
            "r{row}c{column}f{field}p{z}-ch{channel}sk{t}fk1fl1.tiff",
            "r02c03f09p05-ch4sk7fk1fl1.tiff",
            Place(1, 2, 9, "4", 5, 7),
        ),
        (  # CellVoyager: a folder for each acquisition
            "{acquisition}/{row}{column}_T{t}F{field}L*A*Z{z}C{channel}.png",
            "day 2/B03_T0001F002L01A01Z03C02.png",
            Place(1, 2, 2, "02", 3, 1, "day 2"),
        ),
        ("{well}_{channel}.jpg", "c7_DAPI (long).jpg", Place(2, 6, channel="DAPI (long)")),
        ("{well}/{well}_{field}.tif", "B03/B03_1.tif", Place(1, 2, 1)),
    ],
)
def test_names_of_common_microscopes_are_understood(pattern, name, place):
    assert place_of(pattern, name) == place


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("p_{well}.tif", "p_B03.tiff"),
        ("p_{well}.tif", "sub/p_B03.tif"),
        ("p.{well}.tif", "pxB03.tif"),
        ("{well}/{well}_{field}.tif", "B03/B04_1.tif"),
    ],
)
def test_other_names_do_not_match(pattern, name):
    assert place_of(pattern, name) is None


def test_a_well_that_is_on_no_plate_is_refused():
    with pytest.raises(InputError, match="'Z99' is no well name"):
        place_of("{well}.tif", "Z99.tif")
    with pytest.raises(InputError, match="Row '00' is on no plate"):
        place_of("r{row}c{column}.tif", "r00c01.tif")


def test_all_faults_of_a_pattern_come_at_once():
    with pytest.raises(InputErrors) as caught:
        parse_pattern("{weel}_s{site_w{channel}.tif")
    text = str(caught.value)
    assert "{weel} is no placeholder. Known: {well}, {row}" in text
    assert "a brace '{' has no partner" in text
    assert "lacks the well" in text
    with pytest.raises(InputErrors, match="Keep one of them"):
        parse_pattern("{well}_{row}.tif")
