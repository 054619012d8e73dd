"""The `labels.csv` that a user attached to a plate, a dataset, a project or an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omero_hcs.errors import LabelError
from omero_hcs.model import Layout, ObjectRef
from omero_hcs.results import LABEL_COLUMNS, Table, labels_from_csv
from omero_hcs.stores.beside import read_label_file, rows_of_target
from omero_hcs.stores.omero.rawfiles import read_file
from omero_hcs.stores.omero.said import NOT_OURS
from omero_hcs.stores.omero.session import Session, batches

LABEL_FILE = "labels.csv"
MOST_BYTES = 100_000_000


def label_file(
    session: Session,
    target: ObjectRef,
    layout: Layout,
    anchors: Sequence[tuple[str, int]],
    path: str | None,
) -> Table:
    """Labels from a file on disk, or from the newest `labels.csv` attached to a target.

    Rows whose `plate` is another plate's are left out.

    Raises
    ------
    LabelError
        If there is none, it is no label table, or its labels are of other plates.
    """
    if path is not None:
        table, place = read_label_file(Path(path)), path
    else:
        place = f"{LABEL_FILE} of {_place(anchors)}"
        table = labels_from_csv(_attached(session, anchors, place), name=place)
    return rows_of_target(table, {"", target.id, layout.name}, place)


def _attached(session: Session, anchors: Sequence[tuple[str, int]], place: str) -> str:
    """Text of the newest attachment of that name."""
    found = _files(session, anchors)
    if not found:
        columns = ",".join(LABEL_COLUMNS)
        msg = (
            f"There are no labels: no {LABEL_FILE} is attached to {_place(anchors)}. Attach one in "
            "OMERO.web, pass the path of a CSV file, or use what was annotated there (--labels "
            "roi, tags, ratings, comments, key-values or datasets). The file's columns (y and x: "
            f"the cell's centre in pixels, counted from 0):\n{columns}"
        )
        raise LabelError(msg)
    _, file, size = max(found)
    if size > MOST_BYTES:
        msg = (
            f"{place} has {size / 1e6:.0f} MB, and at most {MOST_BYTES / 1e6:.0f} are read. "
            "Attach a file with the labelled cells only."
        )
        raise LabelError(msg)
    content = session.read(lambda conn: read_file(conn, file))
    try:
        return content.decode("utf-8-sig")  # Excel puts a byte order mark first
    except UnicodeDecodeError as error:
        msg = f"{place} cannot be read: {error}. Save it as CSV in UTF-8 and attach it again."
        raise LabelError(msg) from error


def _files(session: Session, anchors: Sequence[tuple[str, int]]) -> list[tuple[int, int, int]]:
    """Annotation, file and size of each attachment of that name."""
    found: list[tuple[int, int, int]] = []
    for kind in sorted({kind for kind, _ in anchors}):
        for ids in batches([number for other, number in anchors if other == kind]):
            rows = session.project(
                f"select a.id, f.id, f.size from {kind}AnnotationLink l join l.child a "
                f"join a.file f where l.parent.id in (:ids) and f.name = :name and {NOT_OURS}",
                {"ids": ids, "name": LABEL_FILE},
            )
            found += [(annotation, file, size or 0) for annotation, file, size in rows]
    return found


def _place(anchors: Sequence[tuple[str, int]]) -> str:
    first = " ".join(map(str, anchors[0])) if anchors else "nothing"
    return first if len(anchors) < 2 else f"{first} and {len(anchors) - 1} more"
