"""Files of a run as attachments: those for people by themselves, data files in one archive.

Tables (parquet) go into one zip file ``omero-hcs-<run id>.zip``, so that the list of attachments
stays short; a report or a picture is attached as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from omero_hcs.stores.contents import Content
from omero_hcs.stores.omero.record import Made, WriteContext
from omero_hcs.stores.omero.session import Session


def save_files(context: WriteContext, files: Sequence[Content]) -> list[Made]:
    """Attach files to the target of a run.

    Returns
    -------
    list of Made
        FileAnnotations (kind of what they hold, `name` the name for `fetch`; an archive is one
        Made for each file in it) and their links.
    """
    raise NotImplementedError


def file_content(session: Session, made: Made) -> bytes:
    """Content of one file that `save_files` kept."""
    raise NotImplementedError


def file_marks(session: Session, ids: Sequence[int]) -> dict[int, str]:
    """Look at FileAnnotations: mark by id; one that is gone is left out."""
    raise NotImplementedError
