"""The plate that a newcomer finds in the sandbox, as a facility would have it: with its people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from omero.gateway import BlitzGateway
from omero.model import (
    ExperimenterGroupI,
    ExperimenterI,
    MapAnnotationI,
    NamedValue,
    PermissionsI,
    PlateAnnotationLinkI,
    PlateI,
    TagAnnotationI,
    WellAnnotationLinkI,
    WellI,
)
from omero.rtypes import rbool, rstring

from omero_hcs.errors import SandboxError
from omero_hcs.model import Plate, Well
from omero_hcs.sandbox.importer import ImportedPlate, import_plate
from omero_hcs.sandbox.launch import Sandbox, tail
from omero_hcs.sandbox.sources import PlateSource
from omero_hcs.tasks.base import Progress, no_progress

USER, GROUP = "demo", "Screening"
COLLEAGUE = "colleague"
"""Another member of the group, of a sandbox that has one; see `add_colleague`."""

GROUP_PERMISSIONS = "rwra--"
"""Members see each other's data and annotate it: what most facilities give a group."""

EDITABLE = "openmicroscopy.org/omero/client/mapAnnotation"
"""Namespace of the key-values that users may edit in OMERO.web."""


@dataclass(frozen=True)
class Demo:
    """What the sandbox was filled with; plate is None if its user has deleted it."""

    user: str
    group: str
    plate: int | None = None
    plate_name: str = ""


def fill(sandbox: Sandbox, source: PlateSource, progress: Progress = no_progress) -> Demo:
    """Give a sandbox an ordinary user with a plate, annotated as a facility's would be.

    A sandbox that has the user already, from its snapshot, is left as it is, but for his password.

    Parameters
    ----------
    sandbox : Sandbox
        A running one. The user's password becomes root's.
    source : PlateSource
        The plate.
    progress : callable
        See `tasks.base.Progress`.
    """
    with connect(sandbox, sandbox.user) as root:
        is_new = _make_user(root, sandbox.password)
    with connect(sandbox, USER) as conn:
        if is_new:
            made = import_plate(conn, source, screen="Demo screen", progress=progress)
            _annotate(conn, source.plate, made)
        for plate in conn.getObjects("Plate", opts={"order_by": "obj.id"}):
            return Demo(USER, GROUP, plate.getId(), plate.getName())
    return Demo(USER, GROUP)


def add_colleague(sandbox: Sandbox) -> str:
    """Give the group of a filled sandbox its second user, and return the name.

    The password is root's.
    """
    with connect(sandbox, sandbox.user) as root:
        group = next(iter(root.getObjects("ExperimenterGroup", attributes={"name": GROUP})))
        _make_member(root.getAdminService(), COLLEAGUE, group.getId(), sandbox.password)
    return COLLEAGUE


def connect(sandbox: Sandbox, user: str) -> BlitzGateway:
    """Log in to a sandbox as one of the users that have root's password.

    Raises
    ------
    SandboxError
        If that fails; the message has the end of the server's log.
    """
    conn = BlitzGateway(
        user, sandbox.password, host=sandbox.host, port=sandbox.port, secure=True
    )  # fmt: skip
    if not conn.connect():
        error = conn.getLastError()
        conn.close()
        msg = f"{user} cannot log in to the sandbox: {error}\n{tail(sandbox.log)}"
        raise SandboxError(msg) from error
    return conn


def _make_user(root: BlitzGateway, password: str) -> bool:
    """Make the user with his group, or give the one who is there a password; True if made."""
    admin = root.getAdminService()
    if next(iter(root.getObjects("Experimenter", attributes={"omeName": USER})), None):
        admin.changeUserPassword(USER, rstring(password))
        return False
    group = ExperimenterGroupI()
    group.name, group.ldap = rstring(GROUP), rbool(False)  # noqa: FBT003  (an rtype)
    group.details.permissions = PermissionsI(GROUP_PERMISSIONS)
    _make_member(admin, USER, admin.createGroup(group), password)
    return True


def _make_member(admin: Any, name: str, group_id: int, password: str) -> None:
    user = ExperimenterI()
    user.omeName, user.ldap = rstring(name), rbool(False)  # noqa: FBT003  (an rtype)
    user.firstName, user.lastName = rstring("Demo"), rstring(name.capitalize())
    if name == USER:
        user.lastName = rstring("User")
    groups = [ExperimenterGroupI(number, loaded=False) for number in (group_id, _user_group(admin))]
    admin.createExperimenterWithPassword(user, rstring(password), groups[0], groups)


def _user_group(admin: Any) -> int:
    number: int = admin.getSecurityRoles().userGroupId
    return number


def _annotate(conn: BlitzGateway, layout: Plate, made: ImportedPlate) -> None:
    """Attach what was put into the wells as key-values, and tag the controls and the plate."""
    tags: dict[str, Any] = {}
    links = [_link(PlateAnnotationLinkI(), PlateI(made.plate, loaded=False), _tag(tags, "demo"))]
    for well in layout.wells:
        parent = WellI(made.wells[well.row, well.column], loaded=False)
        pairs = _key_values(well)
        if pairs:
            links.append(_link(WellAnnotationLinkI(), parent, _map(pairs)))
        if well.role in {"negative_control", "positive_control"}:
            tag = _tag(tags, well.role.replace("_", " "))
            links.append(_link(WellAnnotationLinkI(), parent, tag))
    conn.getUpdateService().saveArray(links)


def _key_values(well: Well) -> list[tuple[str, str]]:
    """Name and value of what is known of a well, under the names that a plate map has."""
    dose = f"{well.dose:g}" if well.dose is not None else None
    known = {
        "treatment": well.treatment,
        "dose": dose,
        "dose_unit": well.dose_unit if dose else None,
        "role": well.role,
        **well.metadata,
    }
    return [(name, value) for name, value in known.items() if value]


def _map(pairs: list[tuple[str, str]]) -> Any:
    annotation = MapAnnotationI()
    annotation.ns = rstring(EDITABLE)
    annotation.mapValue = [NamedValue(name, value) for name, value in pairs]
    return annotation


def _tag(tags: dict[str, Any], text: str) -> Any:
    """One tag a text, however many objects carry it."""
    if text not in tags:
        tags[text] = TagAnnotationI()
        tags[text].textValue = rstring(text)
    return tags[text]


def _link(link: Any, parent: Any, child: Any) -> Any:
    link.parent, link.child = parent, child
    return link
