"""OMERO.tables of a run: cells under our own namespace, wells as the bulk table of the plate.

Most tables are there twice: for people as an OMERO.table, exactly in a file of the run's archive.
Embeddings are large, and are there once, as an OMERO.table that notes how to read it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import omero.gateway  # first: loads omero's modules in order

import Ice  # isort: skip
from omero.rtypes import rstring

from omero_hcs.results import Results, Table
from omero_hcs.stores.contents import table_content
from omero_hcs.stores.omero.attachments import (
    ANNOTATION,
    Attached,
    attach_first,
    attach_rest,
    file_annotation,
    file_marks,
    removed_on_failure,
)
from omero_hcs.stores.omero.bulk import WELLS_STEM, settle_bulk_table
from omero_hcs.stores.omero.changes import delete, project_all
from omero_hcs.stores.omero.columns import MOST_COLUMNS, TableColumns, table_columns
from omero_hcs.stores.omero.faults import is_forbidden, is_lost, reason
from omero_hcs.stores.omero.files import save_files, shown_name
from omero_hcs.stores.omero.record import TABLE_KIND, TABLE_NAMESPACE, Made, WriteContext
from omero_hcs.stores.omero.session import Session, context_of
from omero_hcs.stores.omero.table_note import NOTE_KEY, is_kept_exactly, note_of

_STEMS = {
    "cells": "omero-hcs-cells",
    "embeddings": "omero-hcs-embeddings",
    "wells": WELLS_STEM,
}
ALONE = frozenset({"embeddings"})
"""Tables that no file of the run has as well."""

_MEDIA_TYPE = "application/x-hdf5"  # what it is; for that of OMERO.tables see `bulk`
_ANY_REPOSITORY = 1  # newTable takes no notice of it


def is_alone(results: Results, name: str) -> bool:
    """Whether a table of some results is to be an OMERO.table only, and in no file."""
    table = results.tables[name]
    return results.unit is None and name in ALONE and len(table) > 0 and is_kept_exactly(table)


def save_tables(
    context: WriteContext, tables: dict[str, Table]
) -> tuple[list[Made], tuple[str, ...]]:
    """Write "cells", "embeddings" and "wells" as OMERO.tables; what else there is stays in files.

    Tables of units stay in files, too. One that was to be an OMERO.table only and could not be made
    is put into a file.

    Returns
    -------
    made : list of Made
        The tables' FileAnnotations and links.
    told : tuple of str
        What was left out and why: no table service, a user's own bulk table in the way.
    """
    wanted = {name: tables[name] for name in _STEMS if len(tables.get(name, ()))}
    if context.unit is not None or not wanted:
        return [], ()
    if not _is_enabled(context):
        return _save_alone(context, wanted), (_off(context.session, wanted),)
    made: list[Made] = []
    told: list[str] = []
    for name, table in wanted.items():
        columns = table_columns(table, context.wells, has_gaps=name != "wells")
        told += [_too_many(name, columns)] if columns.left_out else []
        try:
            made += _save(context, name, columns, note_of(table, columns))
        except (_ServiceOffError, Ice.Exception) as error:
            told.append(_failed(context.session, name, error))
            made += _save_alone(context, {name: table})
    told += settle_bulk_table(context.session, context.group, context.anchors)
    return made, tuple(told)


def restore_bulk_table(
    session: Session, group: int, anchors: Sequence[tuple[str, int]]
) -> tuple[str, ...]:
    """After an undo: make the latest other run's well table the plate's bulk table again.

    May be called as often as one likes, after what the run made is deleted. The bulk table is an
    annotation of its own of the same file, which no journal lists: this removes it, too.

    Returns
    -------
    tuple of str
        What stays as it is, and why.
    """
    return settle_bulk_table(session, group, anchors)


def _save_alone(context: WriteContext, tables: dict[str, Table]) -> list[Made]:
    """Put tables into files that have no other place."""
    return [
        made
        for name in sorted(ALONE & tables.keys())
        if is_kept_exactly(tables[name])  # any other is in the run's archive
        for made in save_files(context, [table_content(name, tables[name])], archive=_STEMS[name])
    ]


class _ServiceOffError(Exception):
    """The server has no table service, or none that answers."""


def _is_enabled(context: WriteContext) -> bool:
    def ask(conn: Any) -> bool:
        return bool(conn.c.sf.sharedResources().areTablesEnabled(context_of(context.group)))

    try:
        return context.session.read(ask)
    except omero.ServerError:
        return False


def _save(context: WriteContext, name: str, columns: TableColumns, note: str | None) -> list[Made]:
    """Make one table, with its annotation before its rows, so that a crash leaves none unfound."""
    session = context.session
    shown = shown_name(context, _STEMS[name], ".h5")
    _remove_unattached(context, shown)
    table = _new_table(context, shown)
    try:
        attached = _attach(context, table)
        with removed_on_failure(session, context.group, [attached.annotation]):
            table.initialize(columns.heads())
            if note is not None:
                table.setMetadata(NOTE_KEY, rstring(note))
            for part in columns.parts():
                table.addData(part)
    except BaseException:
        with suppress(Exception):  # as far as the server is there
            table.close()
            _remove_unattached(context, shown)
        raise
    with removed_on_failure(session, context.group, [attached.annotation]):
        table.close()
        (links,) = attach_rest(context, [context.anchors], [attached])
        mark = file_marks(session, [attached.annotation])[attached.annotation]
    return [Made(TABLE_KIND, ANNOTATION, attached.annotation, mark, name), *links]


def _new_table(context: WriteContext, shown: str) -> Any:
    """Ask for an empty table.

    Raises
    ------
    _ServiceOffError
        If there is none; OMERO leaves its empty file behind then, which is removed here.
    """
    resources = context.session.conn.c.sf.sharedResources()
    try:
        table = resources.newTable(_ANY_REPOSITORY, shown, context_of(context.group))
    except omero.InternalException:
        table = None
    if table is None:
        _remove_unattached(context, shown)
        raise _ServiceOffError
    return table


def _remove_unattached(context: WriteContext, shown: str) -> None:
    """Delete files of that name that a crash or a missing service left without annotation."""
    session = context.session
    files = {
        row[0]
        for row in session.project(
            "select f.id from OriginalFile f where f.name = :name and f.details.owner.id = :owner "
            "and f.details.group.id = :group",
            {"name": shown, "owner": session.user_id, "group": context.group},
        )
    }
    hql = "select a.file.id from FileAnnotation a where a.file.id in (:ids)"
    files -= {row[0] for row in project_all(session, hql, files)}
    delete(session, context.group, {"OriginalFile": files})


def _attach(context: WriteContext, table: Any) -> Attached:
    file = table.getOriginalFile()
    file.setMimetype(rstring(_MEDIA_TYPE))
    annotation = file_annotation(file, TABLE_NAMESPACE, context.label)
    (attached,) = attach_first(context, context.anchors[:1], [annotation])
    return attached


def _off(session: Session, names: Iterable[str]) -> str:
    return (
        f"The table service of {session.server} is off: {' and '.join(names)} are in the attached "
        "file only. Have an administrator start it (omero admin diagnostics), then start the run "
        "again with --again for tables in OMERO.web."
    )


def _failed(session: Session, name: str, error: Exception) -> str:
    """Say why a table is not there; what concerns more than this table is raised again."""
    if isinstance(error, _ServiceOffError):
        return _off(session, [name])
    if is_lost(error) or is_forbidden(error):
        raise error
    return (
        f"{session.server} could not write the table of {name} ({reason(error)}): it is in the "
        "attached file only."
    )


def _too_many(name: str, columns: TableColumns) -> str:
    left_out = columns.left_out
    return (
        f"An OMERO.table has at most {MOST_COLUMNS} columns: {len(left_out)} of the table of "
        f"{name} ({left_out[0]} ...) are in the attached file only."
    )
