"""Files of a run as attachments: those for people by themselves, data files in one archive.

Tables (parquet) and records (JSON) go into one zip file ``omero-hcs-<run id>.zip``, so that the
list of attachments stays short; a report or a picture is attached as it is.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omero_hcs.errors import DataError, RunNotFoundError
from omero_hcs.stores.contents import Content, safe_name, told
from omero_hcs.stores.omero.attachments import Attachment, attach, file_marks, open_file
from omero_hcs.stores.omero.rawfiles import CHUNK
from omero_hcs.stores.omero.record import FILE_NAMESPACE, Made, WriteContext
from omero_hcs.stores.omero.session import Session

__all__ = ["file_content", "file_marks", "save_files", "shown_name"]

ARCHIVED_SUFFIXES = (".json", ".parquet")
"""Files for programs: in the archive."""

_ARCHIVE = "Tables and record of an omero-hcs run, for programs"

LARGEST_FILE = 1 << 32
"""Bytes that `file_content` gives at most: what it reads may be another file by now."""


def save_files(
    context: WriteContext, files: Sequence[Content], *, archive: str = "omero-hcs"
) -> list[Made]:
    """Attach files to the target of a run.

    Parameters
    ----------
    context : WriteContext
        Where they go.
    files : sequence of Content
        The files.
    archive : str
        What the name of the archive begins with.

    Returns
    -------
    list of Made
        FileAnnotations (kind of what they hold, `name` the name for `fetch`; an archive is one
        Made for each file in it) and their links.
    """
    if not files:
        return []
    with tempfile.TemporaryDirectory(prefix="omero-hcs-") as folder:
        return attach(context, list(_stage(context, files, Path(folder), archive)))


def file_content(session: Session, made: Made) -> bytes:
    """Content of one file that `save_files` kept.

    Raises
    ------
    RunNotFoundError
        If its annotation, or the file in the archive, is not there any more.
    DataError
        If it is too large to read at once, or the archive is damaged.
    """
    rows = session.project(
        "select f.id from FileAnnotation a join a.file f where a.id = :id", {"id": made.id}
    )
    if not rows:
        msg = f"File {made.name} (annotation {made.id}) was deleted from {session.server}."
        raise RunNotFoundError(msg)
    return session.read(lambda conn: _content(conn, rows[0][0], made))


def _content(conn: Any, file_id: int, made: Made) -> bytes:
    with open_file(conn, file_id) as file:
        return _of_archive(file, made) if _is_archived(made.name) else _whole(file, made)


def _stage(
    context: WriteContext, files: Sequence[Content], folder: Path, stem: str
) -> Iterator[Attachment]:
    """Write the contents into a folder, archived ones into one zip file."""
    archived = [file for file in files if _is_archived(file.name)]
    for file in files:
        path = folder / file.name
        with told(path, file.need):
            file.save(path)
        if file not in archived:
            holds = ((file.kind, file.name),)
            own, dot, suffix = path.name.partition(".")  # "profiles.csv.gz" has two suffixes
            name = shown_name(context, own, dot + suffix)
            yield Attachment(path, name, FILE_NAMESPACE, holds, context.anchors, file.about)
    if archived:
        path = folder / ".archive.zip"  # no result's name: those do not begin with a dot
        name = shown_name(context, stem, ".zip")
        with zipfile.ZipFile(path, "w") as archive:
            for file in archived:
                _put(archive, folder / file.name)
        inside = tuple((file.kind, file.name) for file in archived)
        yield Attachment(path, name, FILE_NAMESPACE, inside, context.anchors, _ARCHIVE)


def shown_name(context: WriteContext, stem: str, suffix: str) -> str:
    """Name of a file of a run, told from those of other runs and units."""
    unit = f"-{safe_name(context.unit)}" if context.unit is not None else ""
    return f"{stem}-{context.run_id}{unit}{suffix}"


def _is_archived(name: str) -> bool:
    return Path(name).suffix in ARCHIVED_SUFFIXES


def _put(archive: zipfile.ZipFile, path: Path) -> None:
    """Add a file without its time, so that equal content is an equal archive."""
    entry = zipfile.ZipInfo(path.name)
    is_packed = path.suffix == ".parquet"
    entry.compress_type = zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED
    with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
        while block := source.read(CHUNK):
            target.write(block)
    path.unlink()


def _whole(file: io.BufferedReader, made: Made) -> bytes:
    if file.seek(0, io.SEEK_END) > LARGEST_FILE:
        raise _too_large(made)
    file.seek(0)
    return b"".join(iter(lambda: file.read(CHUNK), b""))


def _of_archive(file: io.BufferedReader, made: Made) -> bytes:
    try:
        with zipfile.ZipFile(file) as archive:
            if archive.getinfo(made.name).file_size > LARGEST_FILE:
                raise _too_large(made)
            return archive.read(made.name)
    except KeyError:
        msg = f"The archive of annotation {made.id} has no {made.name} any more: it was replaced."
        raise RunNotFoundError(msg) from None
    except (zipfile.BadZipFile, zlib.error) as error:
        msg = (
            f"The archive of annotation {made.id} is damaged ({error}): {made.name} cannot be "
            "read. Start the run again with --again."
        )
        raise DataError(msg) from error


def _too_large(made: Made) -> DataError:
    msg = (
        f"{made.name} of annotation {made.id} is larger than {LARGEST_FILE >> 30} GB: download it."
    )
    return DataError(msg)
