"""What users annotated, as one table of labels, whichever way they did it."""

from __future__ import annotations

from omero_hcs.model import Layout, ObjectRef
from omero_hcs.results import Table
from omero_hcs.stores.base import LabelSource
from omero_hcs.stores.omero.layout import Layouts
from omero_hcs.stores.omero.session import Session


def read_labels(
    session: Session,
    layouts: Layouts,
    target: ObjectRef,
    layout: Layout,
    source: LabelSource,
) -> Table:
    """Labels of one plate or image set, with `results.LABEL_COLUMNS`; see `PlateStore.labels`.

    Parameters
    ----------
    session : Session
        Who reads.
    layouts : Layouts
        Where wells and crop images of the target are found.
    target : ObjectRef
        The plate or image set.
    layout : Plate or ImageSet
        Its layout: labels on images that are not in it are left out.
    source : LabelSource
        Which annotations are labels, and of what class.
    """
    raise NotImplementedError
