"""Columns of the files that `omero-hcs qc export` writes, and what each of them means.

The tables, the README beside them and the page of the documentation are made from here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Level = Literal["cells", "fields", "wells"]
Format = Literal["cellprofiler", "pycytominer", "pandas"]

ENDINGS: Mapping[Format, tuple[str, ...]] = MappingProxyType(
    {"cellprofiler": (".csv",), "pycytominer": (".parquet", ".csv"), "pandas": (".parquet", ".csv")}
)
"""How each program takes its tables."""

LEVELS: tuple[Level, ...] = ("cells", "fields", "wells")
FORMATS: tuple[Format, ...] = tuple(ENDINGS)

Meanings = Mapping[str, str]
"""What each column means, in their order; <class>, <channel> and <n> stand for others."""

_NAMED_BY = re.compile(r"<(?:class|channel|n)>")

_FLAG = "leave it out: 1 or true; keep it: 0 or false"

_WELL: Meanings = {
    "Metadata_Plate": "name of the plate or image set",
    "Metadata_Well": "well, such as B03; empty for images that are no plate's",
}
_SITE: Meanings = {
    **_WELL,
    "Metadata_Site": "field of view, counted from 1 within the well, as CellProfiler does",
    "Metadata_Acquisition": "run of the microscope; only where the plate has several",
    "Metadata_Z": "plane, counted from 0; only where several planes were judged",
    "Metadata_T": "time point, counted from 0; only where several were judged",
}
_IMAGE: Meanings = {
    "Metadata_ImageID": "id of the image in OMERO, or its place within the plate on disk",
    "Metadata_ImageName": "name of the image, often that of its file; empty if it was deleted",
}
_VERDICT: Meanings = {
    "Metadata_QC_Verdict": "pass, warn, fail, or unknown where nothing could be judged",
    "Metadata_QC_Flag": f"{_FLAG}. Flagged are fail and unknown",
    "Metadata_QC_Reason": "why, in words; empty where there is nothing to say",
    "Metadata_QC_AbnormalFraction": "share of artefacts among the cells, 0 to 1; nan without cells",
    "Metadata_QC_Count_Cells": "cells that were judged",
    "Metadata_QC_Count_Flagged": "those of them that are to be left out",
    "Metadata_QC_Count_<class>": "cells of each class",
}
_SITES: Meanings = {
    "Metadata_QC_Count_Sites": "fields of the well",
    "Metadata_QC_Count_Sites_Flagged": "those of them that are to be left out",
}
_X, _Y = (f"{what} of the cell's centre, in pixels from 0" for what in ("column", "row"))
_CELL: Meanings = {
    "QC_Class": "the most probable class",
    "QC_Abnormal": "1 less the probability of the normal class, 0 to 1",
    "QC_Flag": f"{_FLAG}. Flagged are cells of flagged classes, and all of a flagged field",
}

_RUN_CELLS: Meanings = {
    "cell": "id of the cell, the same in every run that crops alike",
    "plate": "id of the plate or image set",
    "well": "well, such as B03",
    "field": "field of view, counted from 0 within the well",
    "acquisition": "run of the microscope, where there are several",
    "image": "id of the image",
    "z": "plane, counted from 0; -1 for a projection",
    "t": "time point, counted from 0",
    "y": "row of the crop's centre, pixels from 0",
    "x": "column of the crop's centre, pixels from 0",
    "centre": "what is there: nucleus, label, roi or tile",
    "nucleus_diameter": "pixels; nan without a nucleus",
    "nucleus_area": "square pixels; nan without a nucleus",
    "nucleus_mean_intensity": "grey values of the nuclear channel; nan without a nucleus",
    "at_border": "the crop reaches past the image",
    "cells_in_crop": "centres within the crop, its own included",
    "class": "the most probable class",
    "abnormal": "1 less the probability of the normal class",
    "p_<class>": "probability of each class",
    "kept": "its class is no artefact, and its field has not failed",
    "novelty": "how unlike the cells of the model's own plates it is",
    "why_<n>": "number of the labelled example that is most like it, in the model's card",
    "why_1_similarity": "how like it the first of these is",
}
_RUN_FIELDS: Meanings = {
    **{name: _RUN_CELLS[name] for name in ("plate", "well", "field", "acquisition", "image", "t")},
    "unit": "id of the field within the run",
    "z": "plane, counted from 0, or how one was chosen",
    "status": "done or failed",
    "reason": "why it failed",
    "seconds": "how long it took",
    "focus_<channel>": "sharpness",
    "slope_<channel>": "slope of the power spectrum",
    "saturation_<channel>": "share of pixels at the camera's ceiling",
    "noise_<channel>": "grey values",
    "background_<channel>": "grey values",
    "p01_<channel>": "grey value of the 1st percentile",
    "p50_<channel>": "grey value of the 50th percentile",
    "p99_<channel>": "grey value of the 99th percentile",
    "empty_<channel>": "share of pixels that are background",
    "nuclei": "nuclei that were found",
    "precision": "number format of the encoder",
    "passes": "how often the encoder saw each cell",
    "z_<channel>": "how far that measure is from the plate's median, in standard deviations",
    "hand_finding": "measures that stand out; they change no verdict",
    "cells": "cells that were judged",
    "tiles": "tiles that were judged for want of nuclei",
    "abnormal_fraction": "judged cells whose class is an artefact, 0 to 1",
    "cells_kept": "cells that are kept",
    "n_<class>": "cells of each class",
    "verdict": "pass, warn, fail, or unknown where nothing could be judged",
    "why": "the reason of the verdict, in words",
    "finding": "no nuclei or few nuclei",
    "novelty": "how unlike the cells of the model's own plates its cells are",
}
_IN_BOTH = ("cells", "cells_kept", "abnormal_fraction", "n_<class>", "verdict", "why", "novelty")
_RUN_WELLS: Meanings = {
    "plate": _RUN_CELLS["plate"],
    "well": _RUN_CELLS["well"],
    "treatment": "from the platemap",
    "dose": "from the platemap, in dose_unit",
    "dose_unit": "from the platemap",
    "role": "from the platemap",
    "fields": "fields of the well",
    "fields_failed": "fields that could not be read",
    "fields_without_nuclei": "fields with no or few nuclei",
    "fields_kept": "fields that passed or only warn",
    **{name: _RUN_FIELDS[name] for name in _IN_BOTH},
}
_NAMED: Meanings = {
    "plate_name": "name of the plate or image set",
    "flag": f"{_FLAG}; the run's own columns follow",
}

FILES: Mapping[tuple[Format, Level], tuple[str, Meanings]] = MappingProxyType(
    {
        ("cellprofiler", "fields"): (
            "cellprofiler/image_sets",
            {**_SITE, **_IMAGE, **_VERDICT},
        ),
        ("cellprofiler", "cells"): (
            "cellprofiler/objects",
            {**_SITE, "Location_Center_X": _X, "Location_Center_Y": _Y, **_CELL},
        ),
        ("pycytominer", "wells"): ("pycytominer/wells", {**_WELL, **_VERDICT, **_SITES}),
        ("pycytominer", "fields"): ("pycytominer/sites", {**_SITE, **_IMAGE, **_VERDICT}),
        ("pycytominer", "cells"): (
            "pycytominer/single_cells",
            {
                **_SITE,
                "Metadata_Nuclei_Location_Center_X": _X,
                "Metadata_Nuclei_Location_Center_Y": _Y,
                **{f"Metadata_{name}": meaning for name, meaning in _CELL.items()},
            },
        ),
        ("pandas", "wells"): ("pandas/wells", {**_NAMED, **_RUN_WELLS}),
        ("pandas", "fields"): ("pandas/fields", {**_NAMED, **_RUN_FIELDS}),
        ("pandas", "cells"): ("pandas/cells", {**_NAMED, **_RUN_CELLS}),
    }
)
"""Name of each file, without its ending, and its columns. CellProfiler knows no wells."""


def file_name(form: Format, name: str) -> str:
    """Name a table with its endings: "pandas/cells.parquet and .csv"."""
    return f"{name}{' and '.join(ENDINGS[form])}"


def meaning_of(meanings: Meanings, column: str) -> str:
    """Find what a column means, also one that has the name of a class or channel in it."""
    if column in meanings:
        return meanings[column]
    patterns = (name for name in meanings if "<" in name)
    found = (name for name in patterns if column.startswith(_NAMED_BY.split(name)[0]))
    return meanings[name] if (name := next(found, "")) else "see the release's documentation"
