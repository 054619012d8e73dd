"""Put our scripts on a server, and take them away again: exactly ours, never anybody else's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from omero_hcs.errors import InputErrors, NotAllowedError
from omero_hcs.scripting.on_server import Placed, placed_scripts, service
from omero_hcs.settings import Settings, load_settings
from omero_hcs.stores.omero.address import parse_address
from omero_hcs.stores.omero.faults import reason
from omero_hcs.stores.omero.login import find_login
from omero_hcs.stores.omero.session import Session
from omero_hcs.tasks.base import Progress, no_progress
from omero_hcs.tasks.driver import package_version

Change = Literal["new", "replaced", "unchanged", "removed", "kept", "not changed"]
"""What became of one; "kept" was changed by somebody, "not changed" was refused by the server."""

_MENDS = (
    (
        re.compile(r"omero-hcs of this processor is older"),
        (
            "the omero-hcs of the processor that answered is older than the script. Install the "
            "release of the script there"
        ),
    ),
    (
        re.compile(r"No module named 'omero_hcs'"),
        (
            "the processor that answered has no omero-hcs. Install it there, with Python 3.11 or "
            "later: pip install 'omero-hcs[omero]'; or switch that processor off in the server's "
            "omero.server.nodedescriptors"
        ),
    ),
    (
        re.compile(r"SyntaxError|No module named 'tomllib'"),
        (
            "the Python of the processor that answered is too old. It has to be 3.11 or later, or "
            "the processor is switched off in the server's omero.server.nodedescriptors"
        ),
    ),
    (
        re.compile(r"No module named '(?P<name>[\w.]+)'"),
        (
            "the processor that answered has no {name}. Install it there with: "
            "pip install 'omero-hcs[omero]'"
        ),
    ),
)
_NOBODY = (
    "no processor answered. See that one runs (omero admin diagnostics), with Python 3.11 or later "
    "and omero-hcs[omero]"
)
_ERROR_LINE = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Exit)\b.*$", re.MULTILINE)


@dataclass(frozen=True)
class Installed:
    """What became of one script.

    Parameters
    ----------
    path : str
        On the server.
    change : str
        See `Change`.
    before, after : str
        Releases of omero-hcs that put the file there; "" for none.
    library : str
        Release of the library by which the server read its dialog; "" where it could not, or
        where nobody runs that user's scripts.
    fault : str
        Why it does not work, or could not be changed, and the mend; "" for nothing.
    """

    path: str
    change: Change
    before: str = ""
    after: str = ""
    library: str = ""
    fault: str = ""


def open_server(uri: str, settings: Settings | None = None) -> Session:
    """Log in at a server; the caller closes it.

    Parameters
    ----------
    uri : str
        ``omero://[user@]host[:port]``.
    settings : Settings, optional
        Those of the installation by default.

    Raises
    ------
    InputError, LoginError
        If that is no server, or it lets nobody in.
    """
    settings = settings or load_settings().values
    return Session(find_login(parse_address(uri, server_only=True), None, settings))


def install_scripts(
    session: Session,
    *,
    official: bool,
    replace_edited: bool = False,
    again: bool = False,
    progress: Progress = no_progress,
) -> tuple[Installed, ...]:
    """Upload or replace every script of ours, and see whether the server can read each.

    Parameters
    ----------
    session : Session
        A connection; an administrator's for official scripts.
    official : bool
        For all users, by the server's own processors; or for this user alone.
    replace_edited : bool
        Also those that somebody changed on the server.
    again : bool
        Also those that are the same: the server then reads their dialogs anew.
    progress : callable
        See `tasks.base.Progress`.

    Raises
    ------
    NotAllowedError
        If the user may not; the message names the privilege. Nothing is changed then.
    InputErrors
        If files of others have the names of ours.
    """
    check_rights(session, "WriteScriptRepo", official=official)
    placed = placed_scripts(session, official=official)
    foreign = [item.path for item in placed if item.state == "foreign"]
    if foreign:
        msg = "{} on the server is not ours. Rename or remove it there, then install again."
        raise InputErrors([msg.format(path) for path in foreign])
    wanted = [item for item in placed if item.wanted]
    done = []
    for number, item in enumerate(wanted, 1):
        keep = item.state == "edited" and not replace_edited
        done.append(_kept(item) if keep else _put(session, item, official=official, again=again))
        progress("install scripts", number, len(wanted))
    return tuple(done)


def uninstall_scripts(
    session: Session, *, official: bool, remove_edited: bool = False
) -> tuple[Installed, ...]:
    """Remove our scripts, also those of earlier releases.

    Parameters
    ----------
    session : Session
        A connection; an administrator's for official scripts.
    official : bool
        Those of all users, or this user's own.
    remove_edited : bool
        Also those that somebody changed on the server.

    Raises
    ------
    NotAllowedError
        If the user may not; the message names the privilege.
    """
    check_rights(session, "DeleteScriptRepo", official=official)
    placed = placed_scripts(session, official=official)
    ours = [item for item in placed if item.state not in ("missing", "foreign")]
    return tuple(
        _kept(item) if item.state == "edited" and not remove_edited else _remove(session, item)
        for item in ours
    )


def check_rights(session: Session, privilege: str, *, official: bool) -> None:
    """Make sure that the user may change official scripts.

    Raises
    ------
    NotAllowedError
        If not; the message names what is missing, and who can give it.
    """
    if not official:
        return
    who = session.read(lambda conn: conn.c.sf.getAdminService().getEventContext())
    if not who.isAdmin:
        msg = (
            f"User {session.user} is no administrator of {session.server}: official scripts need "
            f"one with the privilege {privilege}. Log in as such a user, "
            "omero://ADMIN@HOST, or leave --official out for scripts of your own."
        )
        raise NotAllowedError(msg)
    if privilege not in who.adminPrivileges:
        msg = (
            f"Administrator {session.user} of {session.server} lacks the privilege {privilege}. A "
            'full administrator grants it: "Upload Scripts" in OMERO.web, Admin, Users.'
        )
        raise NotAllowedError(msg)


def left_over(session: Session, *, official: bool) -> tuple[str, ...]:
    """List scripts of other releases that this one does not have."""
    placed = placed_scripts(session, official=official)
    return tuple(item.path for item in placed if item.state == "left over")


def why_unreadable(error: Exception) -> str:
    """Say why a server could not read a script's dialog, and the mend, without a trace."""
    text = str(getattr(error, "message", None) or error)
    for pattern, mend in _MENDS:
        if found := pattern.search(text):
            return mend.format(**found.groupdict())
    lines = _ERROR_LINE.findall(text)
    return lines[-1].rstrip(".") if lines else reason(error)


def read_dialog(session: Session, number: int) -> Any:
    """Let the server read a script's dialog, and return its `JobParams`.

    Raises
    ------
    omero.ServerError
        If it cannot; see `why_unreadable`.
    """
    return session.read(lambda conn: service(conn).getParams(number))


def _put(session: Session, item: Placed, *, official: bool, again: bool) -> Installed:
    import omero

    version = package_version()
    given = {"path": item.path, "before": item.version, "after": version}
    change: Change = "new" if item.id is None else "replaced"
    try:
        if item.state == "same" and not again:
            change, number = "unchanged", item.id
        else:
            number = _send(session, item, official=official)
    except omero.ValidationException as error:
        return Installed(**given, change=change, fault=why_unreadable(error))
    except omero.ServerError as error:
        given["after"] = item.version
        return Installed(**given, change="not changed", fault=reason(error))
    try:
        params = read_dialog(session, number or 0)
    except omero.NoProcessorAvailable:
        # A user's own scripts wait for a processor of his own: that is no fault of theirs.
        return Installed(**given, change=change, fault=_NOBODY if official else "")
    except omero.ServerError as error:
        return Installed(**given, change=change, fault=why_unreadable(error))
    return Installed(**given, change=change, **_library(params, version))


def _send(session: Session, item: Placed, *, official: bool) -> int:
    import omero

    if item.id is None:
        put = "uploadOfficialScript" if official else "uploadScript"
        made: int = session.write(
            lambda conn: getattr(service(conn), put)(item.path, item.wanted), _own_group(session)
        )
        return made
    file = omero.model.OriginalFileI(item.id, loaded=False)
    session.write(
        lambda conn: conn.getScriptService().editScript(file, item.wanted), _group(session, item)
    )
    return item.id


def _own_group(session: Session) -> int:
    group: int = session.read(lambda conn: conn.c.sf.getAdminService().getEventContext().groupId)
    return group


def _group(session: Session, item: Placed) -> int:
    return _own_group(session) if item.group is None else item.group


def _library(params: Any, version: str) -> dict[str, str]:
    library = params.version or ""
    if library == version:
        return {"library": library}
    fault = (
        f"the processor that answered has omero-hcs {library or 'of no version'}, and {version} is "
        "installed here. Install the same there, then install the scripts again with --again"
    )
    return {"library": library, "fault": fault}


def _kept(item: Placed) -> Installed:
    fault = (
        "somebody changed it on the server, so it was left as it is. Look at it, and pass --edited "
        "if ours is to win"
    )
    return Installed(item.path, "kept", item.version, item.version, fault=fault)


def _remove(session: Session, item: Placed) -> Installed:
    import omero

    try:
        session.write(
            lambda conn: conn.getScriptService().deleteScript(item.id), _group(session, item)
        )
    except omero.ServerError as error:
        fault = f"{reason(error)}. Remove its file from lib/scripts on the server instead"
        return Installed(item.path, "not changed", item.version, item.version, fault=fault)
    return Installed(item.path, "removed", item.version)
