"""Make the sample of a snapshot that `test_snapshot.py` reads: `python make_sample.py FILE`.

A sample is made once for each `schema_version` and kept, so that later versions have to read it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import omero
from omero.gateway import BlitzGateway
from omero.model.enums import UnitsLength
from omero.rtypes import rfalse, rstring

from omero_hcs.sandbox import launch


def make(file: Path) -> None:
    """Write a snapshot with a user, a group, an image and its annotation."""
    with launch.start(snapshot=file) as box:
        root = connect(box, "root", box.password)
        make_user(root)
        root.close()
        conn = connect(box, "ann", "ann's password")
        make_image(conn)
        conn.close()


def connect(box: launch.Sandbox, name: str, password: str) -> BlitzGateway:
    """Log a user in."""
    conn = BlitzGateway(name, password, host=box.host, port=box.port, secure=True)
    if not conn.connect():
        raise conn.getLastError()
    return conn


def make_user(root: BlitzGateway) -> None:
    """Make the group `lab` and the user `ann`."""
    service = root.getAdminService()
    group = omero.model.ExperimenterGroupI()
    group.name, group.ldap = rstring("lab"), rfalse
    group.details.permissions = omero.model.PermissionsI("rwra--")
    lab = omero.model.ExperimenterGroupI(service.createGroup(group), False)
    user = omero.model.ExperimenterI()
    user.omeName, user.ldap = rstring("ann"), rfalse
    user.firstName, user.lastName = rstring("Ann"), rstring("Example")
    everybody = omero.model.ExperimenterGroupI(service.getSecurityRoles().userGroupId, False)
    service.createExperimenterWithPassword(user, rstring("ann's password"), lab, [everybody])


def make_image(conn: BlitzGateway) -> None:
    """Make an image with a unit, and a map annotation on it."""
    plane = np.arange(48, dtype="uint16").reshape(6, 8)
    image = conn.createImageFromNumpySeq(iter([plane]), "a sample", 1, 1, 1)
    pixels = conn.getQueryService().get("Pixels", image.getPrimaryPixels().getId())
    pixels.physicalSizeX = omero.model.LengthI(0.325, UnitsLength.MICROMETER)
    conn.getUpdateService().saveObject(pixels)
    notes = omero.model.MapAnnotationI()
    notes.mapValue = [omero.model.NamedValue("gene", "ABC1")]
    link = omero.model.ImageAnnotationLinkI()
    link.parent, link.child = omero.model.ImageI(image.getId(), False), notes
    conn.getUpdateService().saveObject(link)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
