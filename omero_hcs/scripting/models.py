"""Quality models that a dialog offers: those on the server, and those of the installation.

OMERO reads the parameters of a script that makes lists as whoever opens its dialog, and once more
when its button is pressed. So a list may hold what that user sees, and nothing else is taken. Of
an administrator, who sees everything, it holds what is in the groups that he is a member of: older
servers read the parameters of everybody's scripts as root.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Any

from omero_hcs.errors import InputError, ModelNotFoundError
from omero_hcs.settings import load_settings
from omero_hcs.tasks.models import MODEL_NAME, ON_SERVER, SUFFIX, model_names

NONE_YET = "no model yet - run Train_Quality_Model"
"""The one value of a list without models."""

MOST = 100
"""Models of the server that a list has, the newest."""

_INSTALLED = " (installed)"
_LONGEST = 60
_NEWEST_FIRST = (
    "select a.id, f.name, o.omeName, e.time from FileAnnotation a join a.file f "
    "join a.details.owner o join a.details.creationEvent e "
    "where a.ns = :ns and a.details.group.id in (:groups) order by e.time desc, a.id desc"
)


def choices(client: Any) -> list[str]:
    """List what `apply_qc` takes as its model, newest first; see `catalog.Script.choices`.

    Those on the server, such as "omero:57 u2os (2026-11-20, ada)", then those of the installation,
    such as "u2os (installed)"; `NONE_YET` if there is neither.

    Parameters
    ----------
    client : omero.client or None
        Of whoever opens the dialog.
    """
    kept = [] if client is None else _on_server(client)
    own = [f"{name}{_INSTALLED}" for name in model_names(load_settings().values)]
    return [*kept, *own] or [NONE_YET]


def chosen(value: str) -> str:
    """Give the model that a value of `choices` stands for: "omero:57", or an installed one's name.

    Raises
    ------
    ModelNotFoundError
        If there is no model yet.
    InputError
        If it is none, such as the path of a file: whoever may log in could name any file.
    """
    text = value.strip()
    if text == NONE_YET:
        msg = (
            "There is no quality model yet. Label some good and some bad cells (draw regions or "
            "set tags), then run Train_Quality_Model: its model is in this list the next time."
        )
        raise ModelNotFoundError(msg)
    kept = re.match(rf"{re.escape(ON_SERVER)}(\d+)(?= |$)", text, re.ASCII)
    if kept:
        return kept[0]
    name = text.removesuffix(_INSTALLED)
    if MODEL_NAME.fullmatch(name) and name in model_names(load_settings().values):
        return name
    shown = printable(text, _LONGEST)
    msg = (
        f"There is no quality model {shown!r}. Open the dialog again and choose one of its list; "
        "Train_Quality_Model makes one."
    )
    raise InputError(msg)


def printable(text: str, longest: int) -> str:
    """Leave of a text, such as a file's name, what a list shows on one line."""
    kept = "".join(letter for letter in text if unicodedata.category(letter)[0] != "C")
    return kept if len(kept) <= longest else f"{kept[: longest - 3]}..."


def _on_server(client: Any) -> list[str]:
    from omero.rtypes import unwrap
    from omero.sys import ParametersI

    from omero_hcs.stores.omero.record import MODEL_NAMESPACE

    session = client.getSession()
    groups = session.getAdminService().getEventContext().memberOfGroups
    given = ParametersI().page(0, MOST).addString("ns", MODEL_NAMESPACE)
    given.addLongs("groups", groups)
    rows = session.getQueryService().projection(_NEWEST_FIRST, given, {"omero.group": "-1"})
    return [_line(*map(unwrap, row)) for row in rows]


def _line(number: int, file: str, owner: str, time_ms: int) -> str:
    day = datetime.fromtimestamp(time_ms / 1000, UTC).date().isoformat()
    name = printable(file.removesuffix(SUFFIX), _LONGEST)
    return f"{ON_SERVER}{number} {name} ({day}, {owner})"
