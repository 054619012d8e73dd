"""The README of an export: what each file is, its columns, and how other programs take it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from omero_hcs.tasks.export_columns import Meanings, meaning_of

_WIDTH = 100

_HOW_CELLPROFILER = """\
CellProfiler
------------
image_sets.csv has one row an image set (a field), objects.csv one a cell.
- You use LoadData: add the column Metadata_QC_Flag of image_sets.csv to your own CSV file, by
  Metadata_Plate, Metadata_Well and Metadata_Site. image_sets.csv names no files to load, for
  it does not know what you call your channels.
- You use Images and Metadata: in Metadata, add the method "Import from file" with image_sets.csv,
  match Plate, Well and Site, and set the data type of QC_Flag to Integer.
- Then add FlagImage behind it: flag based on "Whole-image measurement", category Metadata,
  measurement QC_Flag, low values No, high values Yes with the maximum 0.5, and "Skip image set if
  flagged?" Yes. Nothing behind FlagImage runs on these image sets.
- Single cells are numbered by your own segmentation, so objects.csv has no ObjectNumber: join it
  by image set and by the nearest Location_Center_X and _Y, within half a nucleus.
"""

_HOW_PYCYTOMINER = """\
pycytominer
-----------
  annotate(profiles, platemap, external_metadata="wells.parquet",
           external_join_on=["Metadata_Plate", "Metadata_Well"])
adds the verdicts of wells; sites.parquet is added with Metadata_Site as a third key. Drop the rows
whose Metadata_QC_Flag is true before aggregate and normalize. Your segmentation finds other
centres than ours: single_cells.parquet is joined by the nearest
Metadata_Nuclei_Location_Center_X and _Y of the same site, within half a nucleus.
"""

_HOW_PANDAS = """\
pandas
------
  cells = pandas.read_parquet("pandas/cells.parquet")
  good = cells[~cells["flag"]]
These are the run's own tables. Fields count from 0 in them, as in every file of omero-hcs;
Metadata_Site of the other files counts from 1.
"""

_HOW = {
    "cellprofiler": _HOW_CELLPROFILER, "pycytominer": _HOW_PYCYTOMINER, "pandas": _HOW_PANDAS,
}  # fmt: skip


def readme(
    about: Mapping[str, Any],
    notes: Sequence[str],
    files: Mapping[str, tuple[int, Sequence[str], Meanings]],
) -> str:
    """Write the README of one plate's export.

    Parameters
    ----------
    about : mapping
        Lines of the head: plate, run, model, thresholds.
    notes : sequence of str
        What to know before relying on it.
    files : mapping of str to (int, columns, meanings)
        Rows, columns, and what they mean, by the files' names.
    """
    title = f"Quality verdicts of {about['plate']}"
    parts = [title, "=" * len(title), "", *_pairs(about), ""]
    parts += [line for note in notes for line in _wrapped(f"Note: {note}")]
    parts += [""] if notes else []
    forms = dict.fromkeys(name.partition("/")[0] for name in files)
    parts += [line for form in forms for line in (*_HOW[form].splitlines(), "")]
    parts += ["Files", "-----"]
    for name, (rows, columns, meanings) in files.items():
        parts += [f"{name}: {rows} rows", *_columns(columns, meanings), ""]
    return "\n".join(parts)


def _pairs(pairs: Mapping[str, Any]) -> Iterable[str]:
    wide = max(map(len, pairs)) + 2
    for name, value in pairs.items():
        yield from _wrapped(f"{name + ':':{wide}}{value}", wide)


def _columns(columns: Sequence[str], meanings: Meanings) -> Iterable[str]:
    wide = max(map(len, columns), default=0) + 2
    for column in columns:
        yield from _wrapped(f"  {column:{wide}}{meaning_of(meanings, column)}", wide + 2)


def _wrapped(text: str, indent: int = 2) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, subsequent_indent=" " * indent,
        break_long_words=False, break_on_hyphens=False, drop_whitespace=True,
    )  # fmt: skip
