"""What the files of a run's results are called, and how each is written."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import BaseModel

from omero_hcs.errors import HcsError, InputError, RunNotFoundError, WriteError
from omero_hcs.results import Results, Table
from omero_hcs.stores.manifest import KeyValueFile, RoiFile, TagFile

MANIFEST = "manifest.json"
UNITS = "units"
TABLE_SUFFIX = ".parquet"
NO_DATASETS = (
    "Images on disk have no datasets that crops could be put into. Pass --crops zarr, zip or table."
)
FILE_KINDS = ("table", "roi", "tag", "key-values", "file")
"""Kinds of entries that are files beside the manifest; all others are the store's own."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_UNPLAIN = re.compile(r'[\x00-\x1f/\\:*?"<>|]')


@dataclass(frozen=True)
class Content:
    """One file to write: `count` things of a kind, of about `need` bytes; `about` for people."""

    kind: str
    name: str
    count: int
    need: int
    save: Callable[[Path], object]
    about: str = ""


def safe_name(text: str) -> str:
    """Make a file name of an id: readable, unique on disks that ignore case, never a path."""
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", text)[:80].strip("_-")
    return f"{readable}-{hashlib.sha256(text.encode()).hexdigest()[:8]}".lstrip("-")


def is_plain(name: str) -> bool:
    """Whether a name is that of a file in a folder on any system, and leads nowhere else."""
    fits = 0 < len(name.encode()) <= 200
    return fits and not _UNPLAIN.search(name) and not name.startswith(".") and name[-1] not in ". "


def check_run_id(run_id: str) -> None:
    """Refuse a run id that could lead elsewhere, or that would not be plain in a name.

    Raises
    ------
    InputError
        With what run ids are made of.
    """
    if not _RUN_ID.fullmatch(run_id):
        msg = (
            f"{run_id!r} is no run id. Run ids are up to 128 letters, digits, '.', '_' "
            "and '-', such as '20250101T120000-0123abcd'."
        )
        raise InputError(msg)


def contents(results: Results, *, datasets: bool = False) -> tuple[Content, ...]:
    """Every file that some results come to; label images and crops are the store's to write.

    Parameters
    ----------
    results : Results
        What is to be kept.
    datasets : bool
        Whether the store has datasets, and makes images of crops in them.

    Raises
    ------
    InputError
        If a name would leave the folder, two files would have the same name, or there are crops
        that the store does not take.
    """
    if results.crops is not None and not datasets:
        raise InputError(NO_DATASETS)
    found = [*_tables(results), *_documents(results)]
    for file in results.files:
        save = partial(Path.write_bytes, data=file.content)
        found.append(Content("file", file.name, 1, len(file.content), save, file.about))
    names = Counter([MANIFEST, UNITS, *(content.name.lower() for content in found)])
    for content in found:
        if not is_plain(content.name) or names[content.name.lower()] > 1:
            msg = (
                f"Task {results.task} made a result file named {content.name!r}. Names of result "
                "files are plain, without folders, and each is there once in a run."
            )
            raise InputError(msg)
    return tuple(found)


def no_run_error(place: str, run_id: str, there: Sequence[str]) -> RunNotFoundError:
    """Make the error for a run that a store has no results of."""
    known = f"Runs there: {', '.join(there)}." if there else "There are none."
    return RunNotFoundError(f"{place} has no results of run {run_id!r}. {known}")


def no_file_error(run_id: str, name: str, there: Sequence[str]) -> RunNotFoundError:
    """Make the error for a file that a run did not leave."""
    known = f"It has: {', '.join(there)}." if there else "It has none yet."
    return RunNotFoundError(f"Run {run_id} has no file {name!r}. {known}")


def table_content(name: str, table: Table) -> Content:
    """File of a table, by the table's name."""
    need = sum(column.nbytes for column in table.columns.values())
    return Content("table", f"{name}{TABLE_SUFFIX}", 1, need, table.to_parquet)


def _tables(results: Results) -> Iterator[Content]:
    for name, table in results.tables.items():
        yield table_content(name, table)


def _documents(results: Results) -> Iterator[Content]:
    if results.rois:
        rois = RoiFile(rois=results.rois)
        yield _document("roi", "rois.json", len(results.rois), rois)
    if results.tags:
        tags = TagFile(tags=results.tags)
        yield _document("tag", "tags.json", len(results.tags), tags)
    if results.key_values:
        pairs = KeyValueFile(key_values=results.key_values)
        yield _document("key-values", "key_values.json", len(results.key_values), pairs)


def _document(kind: str, name: str, count: int, document: BaseModel) -> Content:
    data = document.model_dump_json().encode()
    return Content(kind, name, count, len(data), partial(Path.write_bytes, data=data))


def file_digest(path: Path) -> str | None:
    """Compute the sha256 of a file's content, or None where there is no such file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return None


@contextmanager
def told(path: Path, need: int = 0) -> Iterator[None]:
    """Turn an operating-system error into a WriteError that says what to do.

    Parameters
    ----------
    path : Path
        What was being written, for the message.
    need : int
        Its size in bytes, about; 0 where it is not known.
    """
    try:
        yield
    except HcsError:
        raise
    except OSError as error:
        # By its number: pyarrow puts a text of its own into strerror.
        reason = os.strerror(error.errno) if error.errno else str(error)
        msg = f"Cannot write {path}: {reason}.{_mend(error.errno, path, need)}"
        raise WriteError(msg) from error


def _mend(code: int | None, path: Path, need: int) -> str:
    if code in _NO_ROOM:
        there = next(parent for parent in path.absolute().parents if parent.is_dir())
        free = shutil.disk_usage(there).free
        return (
            f" It needs about {max(need, 1) / 1e6:.3g} MB, and {free / 1e6:.3g} MB are free on "
            "that disk. Make room there, then start the same command again: what was done is kept."
        )
    if code in _NOT_ALLOWED:
        return (
            " You may not write there. Ask for the right to, or copy the plate to a folder of "
            "yours and run it there."
        )
    return " Check that the disk is there and sound, then start the same command again."
