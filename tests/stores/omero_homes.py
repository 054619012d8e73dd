"""The tiny plate and the tiny set on an OMERO server, for the contract suite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import ezomero
from omero.gateway import FileAnnotationWrapper
from omero.model import (
    DatasetAnnotationLinkI,
    FileAnnotationI,
    OriginalFileI,
    PlateAnnotationLinkI,
)
from omero.rtypes import rstring, unwrap

from omero_hcs.model import Plate
from omero_hcs.results import Table

_EVERYTHING = {
    "Roi": "select o.id, o.name, i.name from Roi o join o.image i",
    "Shape": "select o.id, o.textValue, r.name from Shape o join o.roi r",
    "Annotation": "select o.id, o.ns, o.description from Annotation o",
    "TagAnnotation": "select o.id, o.ns, o.textValue from TagAnnotation o",
    "MapAnnotation": "select o.id, o.ns, m.name, m.value from MapAnnotation o join o.mapValue m",
    "OriginalFile": "select o.id, o.name, o.hash from OriginalFile o",
    "PlateAnnotationLink": "select o.id, o.child.ns from PlateAnnotationLink o",
    "WellAnnotationLink": "select o.id, o.child.ns from WellAnnotationLink o",
    "ImageAnnotationLink": "select o.id, o.child.ns from ImageAnnotationLink o",
    "DatasetAnnotationLink": "select o.id, o.child.ns from DatasetAnnotationLink o",
    "Image": "select o.id, o.name from Image o",
    "Dataset": "select o.id, o.name from Dataset o",
    "DatasetImageLink": "select o.id, o.parent.name, o.child.name from DatasetImageLink o",
    "Well": "select o.id, o.row, o.column from Well o",
}
"""What a group holds, by OMERO class; the id is not part of what is compared."""


def snapshot(conn: Any, group: int) -> Mapping[Any, Any]:
    """All that a group holds, by what it is; journals, which hold times, by their name alone."""
    context, found = {"omero.group": str(group)}, {}
    query = conn.getQueryService()
    for kind, text in _EVERYTHING.items():
        rows = [tuple(map(unwrap, row))[1:] for row in query.projection(text, None, context)]
        for row, count in Counter(map(str, map(_comparable, rows))).items():
            found |= {(kind, row, number): row for number in range(count)}
    return found


def _comparable(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row without the hash of a file whose content is never the same twice."""
    name = str(row[0])
    return row[:1] if name.startswith("omero-hcs-") and len(row) == 2 else row


def annotate_wells(conn: Any, wells: Mapping[tuple[int, int], int], plate: Plate) -> None:
    """Say what is in each well as users do: in key-values."""
    for well in plate.wells:
        pairs = {
            "Treatment": well.treatment,
            "Dose": None if well.dose is None else f"{well.dose:g}",
            "Dose unit": well.dose_unit,
            "Role": well.role and well.role.replace("_", " "),
            **well.metadata,
        }
        given = {key: value for key, value in pairs.items() if value}
        ezomero.post_map_annotation(
            conn,
            "Well",
            wells[well.row, well.column],
            given,
            ns="openmicroscopy.org/omero/client/mapAnnotation",
        )


def attach_labels(conn: Any, kind: str, number: int, table: Table) -> None:
    """Attach `labels.csv` to a plate or dataset, as users do."""
    content = table.to_csv().encode()
    file = OriginalFileI()
    file.name, file.path, file.mimetype = rstring("labels.csv"), rstring(""), rstring("text/csv")
    file = conn.getUpdateService().saveAndReturnObject(file)
    _overwrite(conn, file.id.val, content)
    annotation = FileAnnotationI()
    annotation.file = OriginalFileI(file.id.val, loaded=False)
    link = {"Plate": PlateAnnotationLinkI, "Dataset": DatasetAnnotationLinkI}[kind]()
    link.parent, link.child = conn.getObject(kind, number)._obj.proxy(), annotation
    conn.getUpdateService().saveObject(link)


def overwrite_report(conn: Any, run_id: str) -> None:
    """Put other content into a run's report."""
    for annotation in conn.getObjects("FileAnnotation"):
        description = str(unwrap(annotation._obj.description) or "")
        if _is_report(annotation) and f"run={run_id} " in f"{description} ":
            _overwrite(conn, annotation._obj.file.id.val, b"mine")


def _is_report(annotation: FileAnnotationWrapper) -> bool:
    return annotation.getFile().getName().startswith("report")


def _overwrite(conn: Any, number: int, content: bytes) -> None:
    store = conn.createRawFileStore()
    try:
        store.setFileId(number)
        store.truncate(0)
        store.write(content, 0, len(content))
        store.save()
    finally:
        store.close()


def home_parts(
    conn: Any, group: int, kind: str, number: int
) -> tuple[Callable[[Table], object], Callable[[str], object], Callable[[], Mapping[Any, Any]]]:
    """What the contract suite does to a store from outside: labels, a user's change, a look."""
    return (
        lambda table: attach_labels(conn, kind, number, table),
        lambda run_id: overwrite_report(conn, run_id),
        lambda: snapshot(conn, group),
    )
