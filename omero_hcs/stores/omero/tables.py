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


def restore_bulk_table(session: Session, group: int, undone: Sequence[Made]) -> None:
    """After an undo: make the latest other run's well table the plate's bulk table again."""
    raise NotImplementedError
