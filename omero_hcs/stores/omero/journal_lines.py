"""Lines of a run's journal, schema version 1: what it was going to make, made, and removed.

A journal is a file of JSON lines, each written before what it is about is done or right after::

    {"type": "run", "schema_version": 1, "run_id": ..., "key": ..., "task": ..., "target": ...}
    {"type": "intent", "unit": "B03 field 1", "counts": {"roi": 200}, "images": [17]}
    {"type": "made", "unit": "B03 field 1", "objects": [...], "complete": true}
    {"type": "removing", "unit": "B03 field 1", "objects": [...]}
    {"type": "removed", "unit": "B03 field 1", "objects": [...]}
    {"type": "undoing"}

An intent without a complete "made" after it was cut short: what it made is looked for on the
server. A last line without its end was cut short as well, and stands for nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from omero_hcs.errors import DataError, FormatVersionError
from omero_hcs.model import ObjectRef
from omero_hcs.stores.omero.record import Made

SCHEMA_VERSION = 1


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


# These classes alone: queries are made of them, and undo deletes what a journal lists. Of images
# it deletes only those that a note tells to be crops; see `crop_looks`.
_MadeType = Annotated[
    str,
    Field(
        pattern=r"^(?:Roi|Image|Dataset|DatasetImageLink|(?:File|Map|Tag)Annotation|"
        r"[A-Z][A-Za-z]{2,30}AnnotationLink)$"
    ),
]
_PlaceType = Annotated[str, Field(pattern=r"^[A-Z][A-Za-z]{2,30}$")]


class Group(_Line):
    """Objects of one kind, class and name; `marks` has one for each id, or none at all."""

    kind: str
    type: _MadeType
    name: str = ""
    ids: tuple[int, ...]
    marks: tuple[str, ...] = ()

    def each(self) -> Iterator[Made]:
        """Objects one by one."""
        marks = self.marks or ("",) * len(self.ids)
        for number, mark in zip(self.ids, marks, strict=True):
            yield Made(self.kind, self.type, number, mark, self.name)


class TagLink(_Line):
    """Objects of one class that a tag is about to be put on."""

    type: _PlaceType
    text: str
    ids: tuple[int, ...]


class RunLine(_Line):
    """First line: whose journal it is. Times are UTC."""

    type: Literal["run"] = "run"
    schema_version: Literal[1] = 1
    run_id: str
    key: str
    task: str
    target: ObjectRef
    started: AwareDatetime
    package_version: str


class IntentLine(_Line):
    """What is about to be made for a unit: how many of each kind, and on which images and tags."""

    type: Literal["intent"] = "intent"
    unit: str | None
    counts: dict[str, int]
    images: tuple[int, ...] = ()
    tags: tuple[TagLink, ...] = ()


class MadeLine(_Line):
    """What was made for a unit; `complete` where that was all."""

    type: Literal["made"] = "made"
    unit: str | None
    objects: tuple[Group, ...]
    complete: bool = False


class RemovingLine(_Line):
    """What a unit no longer needs, and what is about to be removed unless a user changed it."""

    type: Literal["removing"] = "removing"
    unit: str | None
    objects: tuple[Group, ...]


class RemovedLine(_Line):
    """What is no longer the run's: it was removed, or left to the user who changed it."""

    type: Literal["removed"] = "removed"
    unit: str | None
    objects: tuple[Group, ...]


class UndoingLine(_Line):
    """All that the run made up to here is about to be removed."""

    type: Literal["undoing"] = "undoing"


Line = RunLine | IntentLine | MadeLine | RemovingLine | RemovedLine | UndoingLine


def groups_of(made: Iterable[Made]) -> tuple[Group, ...]:
    """Objects in groups, as lines keep them."""
    found: dict[tuple[str, str, str], list[Made]] = {}
    for item in made:
        found.setdefault((item.kind, item.type, item.name), []).append(item)
    return tuple(
        Group(
            kind=kind,
            type=cls,
            name=name,
            ids=tuple(item.id for item in items),
            marks=tuple(item.mark for item in items) if any(i.mark for i in items) else (),
        )
        for (kind, cls, name), items in found.items()
    )


def written(lines: Iterable[Line]) -> bytes:
    """Lines as a file keeps them; defaults are left out."""
    return b"".join(_json(line) + b"\n" for line in lines)


def _json(line: Line) -> bytes:
    # `type` and the version are defaults, too, but they say what the line is.
    first: dict[str, Any] = {"type": line.type}
    if isinstance(line, RunLine):
        first["schema_version"] = line.schema_version
    rest = line.model_dump(mode="json", exclude_defaults=True)
    return json.dumps(first | rest, ensure_ascii=False, separators=(",", ":")).encode()


def read_lines(data: bytes, where: str) -> tuple[list[Line], int]:
    """Read a journal.

    Parameters
    ----------
    data : bytes
        Its content.
    where : str
        What it is, for messages.

    Returns
    -------
    lines : list of Line
        Empty where not even the first line is whole.
    good : int
        How many bytes they take; the rest was cut short.

    Raises
    ------
    FormatVersionError
        If a newer release wrote it.
    DataError
        If it is damaged.
    """
    good = data.rfind(b"\n") + 1
    lines: list[Line] = []
    for number, text in enumerate(data[:good].splitlines(), 1):
        try:
            value = json.loads(text)
            if number == 1:
                _refuse_newer(value, where)
            lines.append(_LINE.validate_python(value))
        except FormatVersionError:
            raise
        except ValueError as error:
            raise _damaged(where, number, str(error)) from error
    if lines and not isinstance(lines[0], RunLine):
        raise _damaged(where, 1, "it does not say which run it is of")
    return lines, good


def lines_about(data: bytes, kind: str) -> bytes:
    """Leave out the lines of a journal that list nothing of a kind; most are of ROIs alone."""
    first, *rest = data.splitlines(keepends=True) or [b""]
    marks = (f'"kind":"{kind}"'.encode(), b'"type":"undoing"')
    return b"".join([first, *(line for line in rest if any(mark in line for mark in marks))])


def _refuse_newer(value: Any, where: str) -> None:
    found = value.get("schema_version") if isinstance(value, dict) else None
    if isinstance(found, int) and found > SCHEMA_VERSION:
        msg = (
            f"{where} has schema version {found}; this release ({version('omero-hcs')}) reads up "
            f"to {SCHEMA_VERSION}. Update with: pip install --upgrade omero-hcs"
        )
        raise FormatVersionError(msg)


def _damaged(where: str, number: int, why: str) -> DataError:
    msg = (
        f"{where} is damaged in line {number} ({why.splitlines()[0]}). Put the file back from a "
        "backup, or remove that attachment by hand: what the run made can't be undone without it, "
        "but ROIs are named omero-hcs/run/<run id>, and annotations have the run in their "
        "description."
    )
    return DataError(msg)


_LINE: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="type")])
