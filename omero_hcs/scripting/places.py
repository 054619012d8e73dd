"""Buttons and links of an answer: what a run left, by the places that its store tells."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from omero_hcs.scripting.answers import Found, Link
from omero_hcs.stores.base import Linked, PlateStore

_PLACE = re.compile(r"omero://[^\s/]+/([a-z]+)/(\d+)(?: (.+))?")
_BUTTONS = {
    "report.html": "Report",
    "heatmap.png": "Heat_Map",
    "gallery.png": "Gallery",
    "suggestions.csv": "To_Label",
    "overview.html": "Overview",
    "embeddings": "Features",
    "profiles.csv.gz": "Well_Profiles",
}
_TITLES = {"Plate", "Screen", "Dataset", "Image"}
_OF_ALL = ("Overview", "Screen")
_MOST = 12
"""Buttons of an answer; of a screen with more plates, those of the first."""


def outputs_of_places(places: Sequence[str]) -> dict[str, Found | Link]:
    """Make buttons of the objects and files that a run left.

    Parameters
    ----------
    places : sequence of str
        Such as "omero://host/plate/51" and "omero://host/annotation/57 report.html".

    Returns
    -------
    dict
        "Plate", "Report", "Heat_Map" ...; what there are several of is told apart by what it is
        about: "Report_51".
    """
    found: list[tuple[str, str, Found]] = []
    owner = ""
    for place in places:
        match = _PLACE.fullmatch(place)
        if match is None:
            continue
        kind, number, name = match[1], int(match[2]), match[3] or ""
        if kind == "annotation":
            title = _BUTTONS.get(name) or ("Download" if name.endswith(".zip") else "")
            found += [(title, owner, Found("FileAnnotation", number))] if title else []
        elif kind.capitalize() in _TITLES:
            owner = str(number)
            item = Found(kind.capitalize(), number)  # type: ignore[arg-type]  # one of _TITLES
            found.append((item.kind, owner, item))
    # What is about all plates comes first: of many plates, not all have buttons.
    found = sorted(dict.fromkeys(found), key=lambda item: item[0] not in _OF_ALL)
    names = [title for title, _, _ in found]
    made = {
        title if names.count(title) == 1 else f"{title}_{owner or item.id}": item
        for title, owner, item in found
    }
    return dict(list(made.items())[:_MOST])


def link_to_image(store: PlateStore, suspect: Mapping[str, str]) -> dict[str, Found | Link]:
    """Make a link of the most suspicious image; nothing where there is none.

    A link alone: the image itself would be two buttons more, and OMERO.web gives their room to the
    script's name.

    Parameters
    ----------
    store : PlateStore
        Which may know the pages of its objects.
    suspect : mapping
        As `tasks.suspects.most_suspicious` gives it.
    """
    number = suspect.get("image", "")
    if not number.isdecimal():
        return {}
    page = store.link("image", number) if isinstance(store, Linked) else ""
    # The query alone stays on OMERO.web's own page, wherever that is.
    href = quote(page, safe=":/?=&-._~%") or f"?show=image-{number}"
    title = f"Show the most suspicious image: {suspect['where']}, {suspect['abnormal']} abnormal"
    return {"Most_Suspicious_Image": Link(href, title)}
