"""Crop_Single_Cells, from the click to the dataset that somebody opens."""

from __future__ import annotations

import io

import numpy as np
import pytest
from omero.rtypes import rlong
from PIL import Image

from omero_hcs.sandbox.importer import import_plate
from omero_hcs.sandbox.sources import SimulatedSource
from omero_hcs.stores.omero.record import CROP_NAMESPACE

LIMIT = 20


@pytest.fixture
def plate(script_user, script_connect):
    conn = script_connect(script_user)
    return conn, import_plate(conn, SimulatedSource(6), screen="Screen").plate


def test_a_click_leaves_a_dataset_of_cells_that_look_like_their_plate(plate, click):
    conn, number = plate
    said = click(
        conn, "Crop_Single_Cells", Data_Type="Plate", IDs=[number], Most_Crops=rlong(LIMIT)
    )
    assert said.code == 0, said
    assert f"{LIMIT} of " in said.message
    assert "Set a larger Most_Crops" in said.message
    assert "Dataset" in said.outputs
    (dataset,) = conn.getObjects("Dataset", opts={"owner": conn.getUserId()})
    images = list(dataset.listChildren())
    assert len(images) == LIMIT
    well = next(conn.getObject("Plate", number).listChildren())
    field = well.getImage(0)
    names = [channel.getLabel() for channel in field.getChannels()]
    for image in images[:4]:
        assert [channel.getLabel() for channel in image.getChannels()] == names
        assert image.getPixelSizeX() == field.getPixelSizeX()
        (note,) = image.listAnnotations(ns=CROP_NAMESPACE)
        assert conn.getObject("Image", dict(note.getValue())["Source image"]) is not None
    thumbnails = [np.asarray(Image.open(io.BytesIO(i.getThumbnail((96, 96))))) for i in images]
    assert all(picture.max() > 60 for picture in thumbnails)
    windows = {
        tuple((c.getWindowStart(), c.getWindowEnd()) for c in i.getChannels()) for i in images
    }
    assert len(windows) == 1


def test_an_ome_zarr_is_attached_to_the_plate(plate, click):
    conn, number = plate
    given = {"Data_Type": "Plate", "IDs": [number], "Most_Crops": rlong(LIMIT)}
    said = click(conn, "Crop_Single_Cells", Crops_As="zarr", **given)
    assert said.code == 0, said
    notes = conn.getObject("Plate", number).listAnnotations(ns="omero-hcs/file")
    names = [note.getFile().getName() for note in notes]
    assert len([name for name in names if name.endswith(".ome.zarr.zip")]) == 1
    assert list(conn.getObjects("Dataset", opts={"owner": conn.getUserId()})) == []
