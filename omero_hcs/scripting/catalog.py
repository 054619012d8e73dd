"""Which scripts there are: their names in OMERO.web's menu, and what they start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = ("Plate", "Screen", "Well", "Image", "Dataset", "Project")
"""Types of objects that a script takes; the first is what a dialog shows if nothing is selected."""

FOLDER = "hcs"
"""Folder of the scripts on a server, and so their menu in OMERO.web."""

_INLINE = "omero_hcs.scripting.inline:run"


@dataclass(frozen=True)
class Script:
    """One script.

    Parameters
    ----------
    name : str
        In the menu, and of its file: "Check_Plate_Quality".
    about : str
        What it does, at the top of its dialog: two or three sentences.
    params : str
        Entry string of the pydantic model whose marked fields the dialog offers; see
        `tasks.base.InDialog`.
    run : str
        Entry string of what its button starts: a function that takes a `call.Call` and gives an
        `answers.Answer`. By default the task is run in the script's own process.
    kinds : tuple of str
        Types of objects that it takes; none where it needs no selection.
    choices : mapping of str to str
        Entry strings of functions that list the values of a parameter, by its name; they take a
        connected `omero.client`, or None where there is no server. The server asks them anew each
        time that a dialog is opened.
    chosen : mapping of str to str
        Entry strings of functions that turn a value of such a list into the parameter's, and
        refuse what no list would have.
    fixed : mapping
        Parameters that every run of the script has, and that its dialog does not offer.
    dry_run : bool
        Whether the dialog offers to only tell what would be done, and to do again what was done.
    """

    name: str
    about: str
    params: str
    run: str = _INLINE
    kinds: tuple[str, ...] = KINDS
    choices: Mapping[str, str] = field(default_factory=dict)
    chosen: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    dry_run: bool = True


SCRIPTS: Mapping[str, Script] = {
    "apply_qc": Script(
        name="Check_Plate_Quality",
        about="Judges every cell of the selected plates with a trained quality model, and writes "
        "regions, tags, key-values, tables, a heat-map and a report. What users made is never "
        "changed; HCS_Runs undoes a run.",
        params="omero_hcs.tasks.apply_qc:Params",
        choices={
            "model": "omero_hcs.scripting.models:choices",
            "assay": "omero_hcs.scripting.assays:choices",
        },
        chosen={
            "model": "omero_hcs.scripting.models:chosen",
            "assay": "omero_hcs.scripting.assays:chosen",
        },
    ),
    "train_qc": Script(
        name="Train_Quality_Model",
        about="Learns from what users labelled in OMERO.web (drawn regions, tags, ratings, "
        "comments, key-values, datasets of crops) to tell good cells from bad ones, and attaches "
        "the model to what is selected. Check_Plate_Quality then offers it.",
        params="omero_hcs.tasks.train_qc:Params",
        choices={"encoder": "omero_hcs.scripting.encoders:choices"},
        chosen={"encoder": "omero_hcs.scripting.encoders:chosen"},
        fixed={"upload": True},
    ),
    "crop_cells": Script(
        name="Crop_Single_Cells",
        about="Finds the cells of what is selected and cuts a crop around each: a new dataset of "
        "small images that lead back to where they were cut from, or an attachment.",
        params="omero_hcs.tasks.crop_cells:Params",
    ),
    "embed_cells": Script(
        name="Embed_Plate",
        about="Turns every cell of what is selected into the numbers by which an encoder tells "
        "cells apart, and attaches them as a table.",
        params="omero_hcs.tasks.embed_cells:Params",
        choices={
            "encoder": "omero_hcs.scripting.encoders:choices",
            "model": "omero_hcs.scripting.model_or_none:choices",
        },
        chosen={
            "encoder": "omero_hcs.scripting.encoders:chosen",
            "model": "omero_hcs.scripting.model_or_none:chosen",
        },
    ),
    "make_report": Script(
        name="Plate_Report",
        about="Makes the report of a quality check again: a page with heat-maps and galleries, and "
        "pictures of both, attached to each plate; a screen gets an overview of its plates.",
        params="omero_hcs.tasks.make_report:Params",
        run="omero_hcs.scripting.reports:run",
        dry_run=False,
    ),
    "manage_runs": Script(
        name="HCS_Runs",
        about="Lists the runs of omero-hcs over what is selected, tells how far one is, cancels "
        "one that goes on, or undoes one: exactly what it made is removed.",
        params="omero_hcs.scripting.manage_runs:Params",
        run="omero_hcs.scripting.manage_runs:run",
        dry_run=False,
    ),
}
"""Scripts by the task that they start."""
