"""Import `omero`, and record what its generated code says about itself.

The Slice compiler's Python code calls `IcePy.defineClass`, `IcePy.Operation` and others while it
is imported, and keeps little of what it tells them. These calls are wrapped before the first
import, so that classes, their fields and which operations are asynchronous or void come from the
very code that clients use: nothing is parsed, nothing is copied. It works only where nobody has
imported `omero` before, which is why a sandbox has a process of its own. All modules of the
sandbox's server take `Ice`, `Glacier2`, `omero` and `rtypes` from here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import IcePy

PRIMITIVES = ("string", "bool", "int", "long", "float", "double", "byte", "short")


@dataclass(frozen=True)
class RecordedClass:
    """A Slice class: its Slice base, and its own members with the Slice name of their types."""

    base: str | None
    members: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class RecordedOperation:
    """How an operation is dispatched, and whether it returns anything."""

    is_asynchronous: bool
    is_void: bool


@dataclass
class Records:
    """What the generated code told IcePy. Types are known by identity: they have no names."""

    classes: dict[str, RecordedClass] = field(default_factory=dict)
    sequences: dict[str, str] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict)
    _operations: dict[int, RecordedOperation] = field(default_factory=dict)
    _kept: list[Any] = field(default_factory=list)  # an id is good only while its object lives

    def name_of(self, slice_type: Any) -> str:
        """Slice name of a type, such as `::omero::RString`; "?" for one that nobody defined."""
        return self._names.get(id(slice_type), "?")

    def operation(self, operation: Any) -> RecordedOperation:
        """How an `_op_...` attribute of a generated class is dispatched."""
        return self._operations[id(operation)]

    def keep(self, slice_type: Any, name: str) -> None:
        """Remember a type under its Slice name."""
        self._kept.append(slice_type)
        self._names[id(slice_type)] = name

    def add_class(self, arguments: tuple[Any, ...], result: Any) -> None:
        """Record `IcePy.defineClass(id, type, compactId, meta, isAbstract, preserve, base, …)`."""
        self.keep(result, arguments[0])
        base = None if arguments[6] is None else self.name_of(arguments[6])
        members = tuple((member[0], self.name_of(member[2])) for member in arguments[8])
        self.classes[arguments[0]] = RecordedClass(base, members)

    def add_sequence(self, arguments: tuple[Any, ...], result: Any) -> None:
        """Record `IcePy.defineSequence(id, meta, elementType)`."""
        self.keep(result, arguments[0])
        self.sequences[arguments[0]] = self.name_of(arguments[2])

    def add_named(self, arguments: tuple[Any, ...], result: Any) -> None:
        """Record any other definition: its first argument is its Slice name."""
        self.keep(result, arguments[0])

    def add_operation(self, arguments: tuple[Any, ...], result: Any) -> None:
        """Record `IcePy.Operation(name, mode, sendMode, amd, format, meta, in, out, return, …)`."""
        self._kept.append(result)
        is_void = arguments[8] is None and not arguments[7]
        self._operations[id(result)] = RecordedOperation(bool(arguments[3]), is_void)


def record_definitions() -> Records:
    """Wrap IcePy's defining functions; what is imported from now on is recorded."""
    if "omero" in sys.modules:
        msg = (
            "The sandbox's server has to be the first to import omero, but somebody has already. "
            "Run it in a process of its own: omero_hcs.sandbox.launch.start() does."
        )
        raise RuntimeError(msg)
    records = Records()
    for primitive in PRIMITIVES:
        records.keep(getattr(IcePy, f"_t_{primitive}"), primitive)
    _wrap("defineClass", records.add_class)
    _wrap("defineSequence", records.add_sequence)
    _wrap("Operation", records.add_operation)
    for name in ("declareClass", "defineEnum", "defineStruct", "defineDictionary"):
        _wrap(name, records.add_named)
    return records


def _wrap(name: str, add: Callable[[tuple[Any, ...], Any], None]) -> None:
    original = getattr(IcePy, name)

    def recording(*arguments: Any) -> Any:
        result = original(*arguments)
        add(arguments, result)
        return result

    setattr(IcePy, name, recording)


RECORDS = record_definitions()

import Glacier2  # noqa: E402
import Ice  # noqa: E402
import IceImport  # noqa: E402
import omero  # noqa: E402
import omero.all  # noqa: E402
import omero.model  # noqa: E402
import omero.rtypes as rtypes  # noqa: E402


def load_late_slices() -> Mapping[str, Any]:
    """Load the definitions that `omero.all` leaves for later."""
    names = (
        "omero_Tables_ice",
        "omero_Scripts_ice",
        "omero_api_PyramidService_ice",
        "omero_Internal_ice",
        "Glacier2_Router_ice",
    )
    return {name: IceImport.load(name) for name in names}


LATE_SLICES = load_late_slices()

__all__ = [
    "RECORDS",
    "Glacier2",
    "Ice",
    "RecordedClass",
    "RecordedOperation",
    "Records",
    "omero",
    "rtypes",
]
