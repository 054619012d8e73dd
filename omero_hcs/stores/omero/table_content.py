"""Tables of runs read back from OMERO.tables, every value as it was."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import omero.gateway  # noqa: F401  (first: loads omero's modules in order)

import Ice  # isort: skip
from omero.model import OriginalFileI

from omero_hcs.errors import DataError, RunNotFoundError
from omero_hcs.results import Table
from omero_hcs.stores.omero.faults import is_lost, reason
from omero_hcs.stores.omero.record import Made
from omero_hcs.stores.omero.session import ALL_GROUPS, Session, context_of
from omero_hcs.stores.omero.table_note import NOTE_KEY, TableReading, read_note

_BYTES_AT_ONCE = 1 << 23


def read_table(session: Session, made: Made) -> Table:
    """Read a table that a run left as an OMERO.table.

    Raises
    ------
    RunNotFoundError
        If its annotation is not there any more.
    DataError
        If the server cannot give it: its table service is off, or the file is damaged.
    """
    rows = session.project(
        "select f.id from FileAnnotation a join a.file f where a.id = :id", {"id": made.id}
    )
    if not rows:
        msg = f"Table {made.name} (annotation {made.id}) was deleted from {session.server}."
        raise RunNotFoundError(msg)
    try:
        return session.read(lambda conn: _read(conn, rows[0][0], made, session.server))
    except Ice.Exception as error:
        if is_lost(error):
            raise
        msg = (
            f"{session.server} cannot read the table {made.name} of annotation {made.id} "
            f"({reason(error)}). Start its run again with --again."
        )
        raise DataError(msg) from error


def table_file(session: Session, made: Made) -> bytes:
    """Give such a table as the parquet file that it would be on disk; see `read_table`."""
    table = read_table(session, made)
    with tempfile.TemporaryDirectory(prefix="omero-hcs-") as folder:
        path = Path(folder) / "table.parquet"
        table.to_parquet(path)
        return path.read_bytes()


def _read(conn: Any, file_id: int, made: Made, server: str) -> Table:
    file = OriginalFileI(file_id, loaded=False)
    table = conn.c.sf.sharedResources().openTable(file, context_of(ALL_GROUPS))
    if table is None:  # OMERO's answer where the service is off
        msg = (
            f"The table service of {server} is off: the table {made.name} of annotation {made.id} "
            "cannot be read. Have an administrator start it (omero admin diagnostics)."
        )
        raise DataError(msg)
    try:
        return _rows(table, f"The table {made.name} of annotation {made.id}")
    finally:
        with contextlib.suppress(Ice.Exception):  # gone with its service
            table.close()


def _rows(table: Any, where: str) -> Table:
    written = table.getMetadata(NOTE_KEY)
    if written is None:
        msg = (
            f"{where} does not tell what it keeps: it is none of ours, or a user changed it. Start "
            "its run again with --again."
        )
        raise DataError(msg)
    count = int(table.getNumberOfRows())
    reading = TableReading(read_note(written.getValue(), where), count)
    heads = {head.name: (index, head) for index, head in enumerate(table.getHeaders())}
    wanted = [heads[name] for name in reading.columns()]
    row_bytes = sum(8 * int(getattr(head, "size", 1)) for _, head in wanted)
    step = max(1, _BYTES_AT_ONCE // row_bytes)
    for start in range(0, count, step):
        data = table.read([index for index, _ in wanted], start, min(count, start + step))
        reading.add(start, {column.name: column.values for column in data.columns})
    return reading.table()
