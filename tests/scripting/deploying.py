"""A server whose processor can be broken on purpose, and administrators with few privileges."""

from __future__ import annotations

from pathlib import Path

from omero_hcs.stores.omero.login import Login
from omero_hcs.stores.omero.session import Session

# What Python imports first of all: it takes packages away from scripts, as this file's neighbour
# says; "half" takes omero_hcs from every other one, as if one of two processors did not have it.
SITE = """
import sys
from pathlib import Path

here = Path(__file__).parent
if sys.orig_argv[-1].endswith("script") and (here / "lacks").exists():
    lacks = (here / "lacks").read_text().strip()
    if lacks == "half":
        turn = here / "turn"
        lacks = "" if turn.exists() else "omero_hcs"
        turn.unlink() if turn.exists() else turn.touch()

    class Absent:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == lacks:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, Absent())
"""


class BreakableProcessor:
    """Takes packages from the scripts of a server that was started with `environment`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "sitecustomize.py").write_text(SITE)

    @property
    def environment(self):
        return {"PYTHONPATH": str(self._folder)}

    def lacks(self, name: str = "") -> None:
        """Take a package away; "" gives it back."""
        (self._folder / "lacks").write_text(name)


def session_of(server, name, password):
    return Session(Login(server.host, server.port, name, password))


def make_administrator(root, name, *privileges):
    """Make an administrator with these privileges alone; the value is his password."""
    from omero.model import AdminPrivilegeI, ExperimenterI  # noqa: PLC0415
    from omero.rtypes import rfalse, rstring  # noqa: PLC0415

    given = []
    for privilege in privileges:
        given.append(AdminPrivilegeI())
        given[-1].value = rstring(privilege)
    user = ExperimenterI()
    user.omeName = rstring(name)
    user.firstName, user.lastName, user.ldap = rstring("Ada"), rstring("Light"), rfalse
    admin = root.client.getSession().getAdminService()
    admin.createRestrictedSystemUserWithPassword(user, given, rstring("correct horse"))
    return "correct horse"
