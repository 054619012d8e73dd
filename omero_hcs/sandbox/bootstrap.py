"""The first rows of a sandbox: enumerations, the groups that OMERO has from the start, root."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from omero_hcs.sandbox.sessions import now_ms

if TYPE_CHECKING:
    from omero_hcs.sandbox.accounts import Accounts
    from omero_hcs.sandbox.objects.world import World

OTHERS = "Other Unknown"
# Names of the values are OMERO's; lists that clients of HCS data never look into are shortened.
ENUMERATIONS: Mapping[str, str] = {
    "AcquisitionMode": f"WideField LaserScanningConfocalMicroscopy SpinningDiskConfocal {OTHERS}",
    "AdminPrivilege": "Chgrp Chown DeleteFile DeleteManagedRepo DeleteOwned DeleteScriptRepo "
    "ModifyGroup ModifyGroupMembership ModifyUser ReadSession Sudo WriteFile WriteManagedRepo "
    "WriteOwned WriteScriptRepo",
    "ArcType": f"Hg Xe HgXe {OTHERS}",
    "Binning": "1x1 2x2 4x4 8x8",
    "ChecksumAlgorithm": "Adler-32 CRC-32 MD5-128 Murmur3-32 Murmur3-128 SHA1-160 File-Size-64",
    "ContrastMethod": f"Brightfield Phase DIC Fluorescence Darkfield {OTHERS}",
    "Correction": f"PlanApo PlanFluor UV {OTHERS}",
    "DetectorType": f"CCD PMT EMCCD CMOS {OTHERS}",
    "DimensionOrder": "XYZCT XYZTC XYCTZ XYCZT XYTCZ XYTZC",
    "EventType": "Import Internal Shoola User Task Test Processing FullText Sessions GatewayEvent "
    "PixelData",
    "ExperimentType": f"FP FRET Screen TimeLapse {OTHERS}",
    "Family": "linear polynomial exponential logarithmic",
    "FilamentType": f"Incandescent Halogen {OTHERS}",
    "FilterType": f"LongPass ShortPass BandPass {OTHERS}",
    "Format": "OMERO Fake Tiff OMETiff text/csv text/plain text/x-python application/json "
    "application/octet-stream application/zip image/png image/jpeg OMERO.tables",
    "Illumination": f"Transmitted Epifluorescence Oblique NonLinear {OTHERS}",
    "Immersion": f"Oil Water WaterDipping Air Multi Glycerol {OTHERS}",
    "JobStatus": "Submitted Resubmitted Queued Requeued Running Error Waiting Finished Cancelled",
    "LaserMedium": f"Ar Kr HeNe {OTHERS}",
    "LaserType": f"Excimer Gas SolidState {OTHERS}",
    "Medium": f"Air Oil Water Glycerol {OTHERS}",
    "MicrobeamManipulationType": f"FRAP FLIP Photoablation {OTHERS}",
    "MicroscopeType": f"Upright Inverted {OTHERS}",
    "PhotometricInterpretation": "RGB ARGB CMYK HSV Monochrome ColorMap",
    "PixelsType": "bit int8 int16 int32 uint8 uint16 uint32 float double complex double-complex",
    "ProjectionAxis": "X Y Z",
    "ProjectionType": "maximum mean sum",
    "Pulse": f"CW Single QSwitched {OTHERS}",
    "RenderingModel": "rgb greyscale",
}
BITS: Mapping[str, int] = {
    "bit": 1, "int8": 8, "uint8": 8, "int16": 16, "uint16": 16, "int32": 32, "uint32": 32,
    "float": 32, "double": 64, "complex": 64, "double-complex": 128,
}  # fmt: skip
# Path, name and key of OMERO's repositories. Clients ask for one of them to make a table; nothing
# can be browsed in them here.
REPOSITORY_MIMETYPE = "Repository"
REPOSITORIES = (
    ("/OMERO/", "ManagedRepository", "ManagedRepo"),
    ("/OMERO.server/lib/", "scripts", "ScriptRepo"),
)
# In this order: their ids are 0, 1 and 2.
GROUPS: Mapping[str, str] = {"system": "rw----", "user": "rwr-r-", "guest": "rw----"}


def make_first_rows(world: World, accounts: Accounts, password: str) -> None:
    """Fill an empty world: what every OMERO has before anybody imports anything."""
    with world.transaction():
        add_enumerations(world)
        groups = {name: world.insert("ExperimenterGroup", name=name, ldap=False) for name in GROUPS}
        for name, group in groups.items():
            world.set_details(group, permissions=GROUPS[name])
        root = world.insert(
            "Experimenter", omeName="root", firstName="root", lastName="root", ldap=False
        )
        guest = world.insert(
            "Experimenter", omeName="guest", firstName="Guest", lastName="Account", ldap=False
        )
        accounts.join(root, groups["system"], owner=True)
        accounts.join(root, groups["user"])
        accounts.join(guest, groups["guest"])
        accounts.set_password(root, password)
        for path, name, key in REPOSITORIES:
            repository = world.insert(
                "OriginalFile", path=path, name=name, hash=key, mimetype=REPOSITORY_MIMETYPE
            )
            world.set_details(repository, owner=root, group=groups["user"])
        world.insert("Node", uuid="sandbox", conn="loopback", up=now_ms())
        world.insert(
            "DBPatch",
            currentVersion="OMERO5.4",
            currentPatch=0,
            previousVersion="OMERO5.4",
            previousPatch=0,
            finished=now_ms(),
            message="A sandbox, not a database.",
        )


def add_enumerations(world: World) -> None:
    """Add the values of enumerations that are not there yet. Inside a transaction."""
    for entity, values in ENUMERATIONS.items():
        known = {row.values["value"] for row in world.all(entity)}
        for value in values.split():
            if value not in known:
                row = world.insert(entity, value=value)
                if entity == "PixelsType":
                    world.set(row, "bitSize", BITS[value])
