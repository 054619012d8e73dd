"""Scripts, run by OMERO's own processor as OMERO.web's buttons do."""

from __future__ import annotations

import pytest

from omero_hcs.sandbox.importer import import_plate
from omero_hcs.sandbox.sources import SimulatedSource


@pytest.fixture
def plate(script_user, script_connect):
    conn = script_connect(script_user)
    return conn, import_plate(conn, SimulatedSource(6), screen="Screen").plate


def test_a_task_is_run_and_told(plate, click):
    conn, number = plate
    said = click(conn, "Crop_Single_Cells", Data_Type="Plate", IDs=[number])
    assert said.code == 0, said
    assert "cells" in said.message


def test_what_is_not_there_is_told_without_a_trace(plate, click):
    conn, _ = plate
    said = click(conn, "Crop_Single_Cells", Data_Type="Plate", IDs=[999_999])
    assert said.code == 1
    assert "999999" in said.message
    assert "Traceback" not in said.message
