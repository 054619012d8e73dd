"""OMERO.tables of a run: cells under our own namespace, wells as the bulk table of the plate."""

from __future__ import annotations

from collections.abc import Sequence

from omero_hcs.results import Table
from omero_hcs.stores.omero.record import Made, WriteContext
from omero_hcs.stores.omero.session import Session


def save_tables(
    context: WriteContext, tables: dict[str, Table]
) -> tuple[list[Made], tuple[str, ...]]:
    """Write "cells" and "wells" as OMERO.tables; what else there is stays in files.

    Returns
    -------
    made : list of Made
        The tables' FileAnnotations and links.
    told : tuple of str
        What was left out and why: no table service, a user's own bulk table in the way.
    """
    raise NotImplementedError


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
    raise NotImplementedError
