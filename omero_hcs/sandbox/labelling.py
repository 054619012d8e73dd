"""Regions that teach a model, drawn as a user would, from what is known of a simulated plate."""

from __future__ import annotations

from typing import Any

from omero.gateway import BlitzGateway
from omero.model import EllipseI, ImageI, RoiI
from omero.rtypes import rdouble, rint, rstring
from omero.sys import ParametersI

from omero_hcs.model import well_name
from omero_hcs.results import Table

RADIUS_PX = 12.0
"""Of the ellipse around a nucleus: a little more than the nucleus is."""

_CYAN, _CLEAR = 0x00FFFFFF, 1  # RGBA; with alpha 0, OMERO.web's viewer fills with black


def draw_regions(conn: BlitzGateway, plate: int, labels: Table) -> int:
    """Draw an ellipse around each labelled cell, with the label as its text, as iviewer does.

    Parameters
    ----------
    conn : BlitzGateway
        Connected as who draws.
    plate : int
        Id of the plate.
    labels : Table
        With `results.LABEL_COLUMNS`; its wells and fields are the plate's.

    Returns
    -------
    int
        How many regions there are now.
    """
    images = _images(conn, plate)
    regions = [_region(images[row["well"], int(row["field"])], row) for row in labels.rows()]
    conn.getUpdateService().saveArray(regions)
    return len(regions)


def _images(conn: BlitzGateway, plate: int) -> dict[tuple[str, int], int]:
    """Image of each field, by the well's name and the field's number."""
    given = ParametersI()
    given.addId(plate)
    rows = conn.getQueryService().projection(
        "select w.row, w.column, index(s), s.image.id from Well w join w.wellSamples s "
        "where w.plate.id = :id",
        given,
        {"omero.group": "-1"},
    )
    values = ([cell.val for cell in row] for row in rows)
    return {(well_name(row, column), field): image for row, column, field, image in values}


def _region(image: int, label: dict[str, Any]) -> RoiI:
    shape = EllipseI()
    shape.x, shape.y = rdouble(float(label["x"])), rdouble(float(label["y"]))
    shape.radiusX, shape.radiusY = rdouble(RADIUS_PX), rdouble(RADIUS_PX)
    shape.theZ, shape.theT = rint(int(label["z"])), rint(int(label["t"]))
    shape.textValue = rstring(str(label["label"]))
    shape.strokeColor, shape.fillColor = rint(_CYAN), rint(_CLEAR)
    region = RoiI()
    region.setImage(ImageI(image, loaded=False))
    region.addShape(shape)
    return region
