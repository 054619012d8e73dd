"""Notes on crop images made by us: each leads back to the cell that the crop shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from omero_hcs.stores.omero.cropnote import CropNote
from omero_hcs.stores.omero.label_notes import Note
from omero_hcs.stores.omero.said import Said


def crops_said(notes: Iterable[Note], crops: Mapping[int, CropNote]) -> list[Said]:
    """Take what was said of crop images as said of their middles on the source images.

    Parameters
    ----------
    notes : iterable of Note
        Notes whose parents are crop images.
    crops : mapping of int to CropNote
        Where each crop image was cut from.
    """
    return [_back(note, crops[note.parent]) for note in notes]


def _back(note: Note, crop: CropNote) -> Said:
    found = note.about(str(crop.source), y=crop.y, x=crop.x, z=crop.z, t=crop.t)
    return replace(found, reach=(0.0, 0.0))  # the very cell, not one near it
