"""The configuration values that clients ask a server for."""

from __future__ import annotations

from collections.abc import Mapping

VERSION = "5.6.0-sandbox"
# What clients ask for as a whole.
CLIENT_PREFIX = "omero.client."
# Values that no client gets, not even an administrator's: what a key is for stands at its end, and
# `omero.security.password_required` is asked for by `omero user add`.
SECRET_ENDS = ("password", "pass", "secret", "secret_key")

DEFAULTS: Mapping[str, str] = {
    "omero.version": VERSION,
    "omero.db.version": "OMERO5.4",
    "omero.db.patch": "0",
    "omero.pixeldata.max_plane_width": "3192",
    "omero.pixeldata.max_plane_height": "3192",
    "omero.policy.binary_access": "+read,+write,+image",
    "omero.security.password_required": "true",
    "omero.sessions.timeout": "600000",
    "omero.sessions.maximum": "0",
    "omero.sessions.max_user_time_to_idle": "6000000",
    "omero.sessions.max_user_time_to_live": "0",
    "omero.threads.max_threads": "50",
    "omero.threads.idle_timeout": "5000",
    "omero.client.browser.thumb_default_size": "96",
    "omero.client.download_as.max_size": "144000000",
    "omero.client.icetransports": "ssl,tcp",
    "omero.client.scripts_to_ignore": "",
    "omero.client.ui.menu.dropdown.colleagues.enabled": "true",
    "omero.client.ui.menu.dropdown.colleagues.label": "Members",
    "omero.client.ui.menu.dropdown.everyone.enabled": "true",
    "omero.client.ui.menu.dropdown.everyone.label": "All Members",
    "omero.client.ui.menu.dropdown.leaders.enabled": "true",
    "omero.client.ui.menu.dropdown.leaders.label": "Owners",
    "omero.client.ui.tree.orphans.description": "This is a virtual container with orphaned images.",
    "omero.client.ui.tree.orphans.enabled": "true",
    "omero.client.ui.tree.orphans.name": "Orphaned Images",
    "omero.client.ui.tree.type_order": "tagset,tag,project,dataset,screen,plate,acquisition,image",
    "omero.client.viewer.initial_zoom_level": "0",
    "omero.client.viewer.interpolate_pixels": "true",
    "omero.client.viewer.roi_limit": "2000",
    "omero.client.web.host": "",
}


def is_secret(key: str) -> bool:
    """Say whether a value is hidden from every client."""
    return key.lower().endswith(SECRET_ENDS)
