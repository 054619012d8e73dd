from __future__ import annotations

import pytest

from omero_hcs.errors import InputErrors
from omero_hcs.stores.ome_zarr.platemap import read_platemap


@pytest.fixture
def platemap(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "platemap.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_treatment_dose_role_and_the_rest(platemap):
    wells = read_platemap(
        platemap(
            "well,row,column,compound,concentration,unit,role,batch\n"
            "A01,A,1,DMSO,0,,Negative control,7\n"
            "B3,B,3,Wortmannin,15.63,nM,dose_series,\n"
            ",,,,,,,\n"
            "H12,H,12,,,,empty,7\n"
        )
    )
    assert set(wells) == {(0, 0), (1, 2), (7, 11)}
    treated = wells[1, 2]
    assert (treated.treatment, treated.dose, treated.dose_unit) == ("Wortmannin", 15.63, "nM")
    assert [wells[at].role for at in sorted(wells)] == ["negative_control", "treatment", "empty"]
    assert dict(wells[0, 0].metadata) == {"batch": "7"}
    assert dict(treated.metadata) == {}
    assert wells[7, 11].dose is None


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Row;Column;Treatment;Dose\nB;3;Taxol;0,5\n", "utf-8-sig"),  # a German Excel
        ("row\tcolumn\ttreatment\tdose\nB\t03\tTaxol\t0.5\n", "utf-8"),
        ("Row,Column,treatment,dose\n2,3,Taxol,0.5\n", "utf-8"),
        ("WELL,treatment,dose\r\nb3, Taxol ,0.5\r\n", "utf-8"),
    ],
)
def test_the_dialects_of_spreadsheets(platemap, text, encoding):
    ((position, well),) = read_platemap(platemap(text, encoding)).items()
    assert (position, well.treatment, well.dose) == ((1, 2), "Taxol", 0.5)


def test_every_bad_line_is_named_at_once(platemap):
    path = platemap(
        "well,row,column,dose,role\n"
        "Q99,,,1,\n"
        "A01,A,1,10 nM,\n"
        "A02,A,2,1,contrl\n"
        "A03,A,4,1,\n"
        "A04,A,4,1,\n"
        "A4,A,4,2,\n"
        "1,,,many,bad\n"
    )
    with pytest.raises(InputErrors) as caught:
        read_platemap(path)
    faults = caught.value.faults
    assert len(faults) == 8
    for fault, wanted in zip(
        faults,
        (
            "line 2: 'Q99' is no well name",
            "line 3: the dose is '10 nM', not a number",
            "line 4: the role is 'contrl'. Roles are: negative_control, positive_control",
            "line 5: well is 'A03', but row and column say 'A4'",
            "line 7: well A04 is there already, in line 6",
            "line 8: '1' is no well name",
            "line 8: the dose is 'many'",
            "line 8: the role is 'bad'",
        ),
        strict=True,
    ):
        assert wanted in fault


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "has no column 'well'.*none"),
        ("compound,dose\nx,1\n", "has no column 'well' .*compound, dose"),
        ("well,dose\n", "a header line, but no wells"),
    ],
)
def test_files_that_are_no_platemap(platemap, text, wanted):
    with pytest.raises(InputErrors, match=wanted):
        read_platemap(platemap(text))


def test_a_platemap_that_cannot_be_read(tmp_path, platemap):
    with pytest.raises(InputErrors, match="cannot be read: No such file"):
        read_platemap(tmp_path / "none.csv")
    with pytest.raises(InputErrors, match="Save it as 'CSV UTF-8'"):
        read_platemap(platemap("well,dose_unit\nA01,µM\n", "latin-1"))
