"""What a user may do with objects of a server, found out before anything is done."""

from __future__ import annotations

from omero_hcs.model import Layout, ObjectRef
from omero_hcs.stores.omero.layout import Layouts
from omero_hcs.stores.omero.session import Session


def write_faults(
    session: Session, layouts: Layouts, target: ObjectRef, layout: Layout
) -> tuple[str, ...]:
    """Why the results of a run cannot be kept with a plate or image set; empty if they can.

    One fault for each kind of object that the user may not annotate, with how many there are, an
    example, why (group, permissions, owner), and who can change it.
    """
    raise NotImplementedError
