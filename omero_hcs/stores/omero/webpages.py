"""Addresses of the pages of OMERO.web that show an object."""

from __future__ import annotations

from urllib.parse import urlsplit

from omero_hcs.errors import PlateNotFoundError
from omero_hcs.model import ObjectRef
from omero_hcs.stores.base import LinkedKind
from omero_hcs.stores.omero.layout import Layouts

_CLIENT = "/webclient"


def page_of(web: str | None, layouts: Layouts, kind: LinkedKind, object_id: str) -> str:
    """Address of an object's page; see `stores.base.Linked.link`.

    Parameters
    ----------
    web : str or None
        Address of OMERO.web, as it is set: with or without a path, or "/webclient" at its end.
    layouts : Layouts
        Where the ids of wells are.
    kind : str
        Of the object.
    object_id : str
        Its id; of a well, that of its plate and its name: "51/B03".
    """
    base = _base(web)
    number = _well(layouts, object_id) if kind == "well" else object_id
    if not base or not number.isdecimal():
        return ""
    if kind == "file":
        return f"{base}{_CLIENT}/annotation/{number}/"
    return f"{base}{_CLIENT}/?show={kind}-{number}"


def _base(web: str | None) -> str:
    """Take an address of the web alone: a page must not be made to run anything else."""
    address = (web or "").strip().rstrip("/").removesuffix(_CLIENT)
    parts = urlsplit(address)
    return address if parts.scheme in ("http", "https") and parts.netloc else ""


def _well(layouts: Layouts, object_id: str) -> str:
    plate, _, name = object_id.rpartition("/")
    try:
        return str(layouts.wells(ObjectRef(kind="plate", id=plate)).get(name, ""))
    except PlateNotFoundError:
        return ""
