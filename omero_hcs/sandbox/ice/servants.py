"""Servants: any Slice interface around a plain Python object that has its operations as methods.

The generated skeletons want one method for each operation, and another form of it where the
operation is dispatched asynchronously. Both are made here from the recorded definitions. What the
object has no method for answers with a clear error, and is logged once.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from omero_hcs.sandbox.ice.record import RECORDS, Ice
from omero_hcs.sandbox.objects.conditions import internal

LOG = logging.getLogger("omero_hcs.sandbox")
PREFIX = "_op_"
ARGUMENT_CHARACTERS = 200  # of an argument, in the log


class Dispatcher:
    """Calls the operations of plain objects, counts them, and turns faults into errors of OMERO's.

    Attributes
    ----------
    calls, missing : Counter
        How often each `Service.operation` was called, and called in vain.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.missing: Counter[str] = Counter()

    def servant(self, slice_class: Any, target: Any) -> Any:
        """Return a servant of a Slice class that passes its operations to the target's methods."""
        return _servant_class(slice_class)(self, target)

    def call(self, name: str, target: Any, operation: str, arguments: tuple[Any, ...]) -> Any:
        """Call one operation.

        Raises
        ------
        Ice.Exception
            What the operation raised, or an `omero.InternalException` about what it ran into.
        """
        self.calls[name] += 1
        method = getattr(target, operation, None)
        if method is None:
            raise self._not_implemented(name, arguments)
        try:
            enter = getattr(target, "enter", None)
            if enter is not None:
                enter()
            return method(*arguments)
        except Ice.Exception as error:
            LOG.debug("%s: %s", name, error, exc_info=True)
            raise
        except Exception as error:
            LOG.exception("%s%s failed", name, _shown(arguments))
            msg = f"The sandbox failed in {name}: {type(error).__name__}: {error}"
            raise internal(msg) from error

    def _not_implemented(self, name: str, arguments: tuple[Any, ...]) -> Exception:
        if not self.missing[name]:
            LOG.warning("not implemented: %s%s", name, _shown(arguments))
        self.missing[name] += 1
        return internal(f"The sandbox does not implement {name}.")


def operations(slice_class: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names and definitions of a Slice class's operations, its bases' as well."""
    for attribute in dir(slice_class):
        if attribute.startswith(PREFIX) and not attribute.startswith(f"{PREFIX}ice_"):
            yield attribute.removeprefix(PREFIX), getattr(slice_class, attribute)


@cache
def _servant_class(slice_class: Any) -> Any:
    short = slice_class.ice_staticId().rpartition("::")[2]
    members: dict[str, Any] = {"__init__": _initialise}
    for operation, definition in operations(slice_class):
        recorded = RECORDS.operation(definition)
        if recorded.is_asynchronous:
            method = _asynchronous(f"{short}.{operation}", operation, is_void=recorded.is_void)
            members[f"{operation}_async"] = method
        else:
            members[operation] = _synchronous(f"{short}.{operation}", operation)
    return type(f"{short}Servant", (slice_class,), members)


def _initialise(self: Any, dispatcher: Dispatcher, target: Any) -> None:
    self.dispatcher, self.target = dispatcher, target


def _synchronous(name: str, operation: str) -> Callable[..., Any]:
    def dispatch(self: Any, *arguments: Any) -> Any:
        return self.dispatcher.call(name, self.target, operation, arguments)

    return dispatch


def _asynchronous(name: str, operation: str, *, is_void: bool) -> Callable[..., None]:
    def dispatch(self: Any, callback: Any, *arguments: Any) -> None:
        try:
            result = self.dispatcher.call(name, self.target, operation, arguments)
        except Ice.Exception as error:
            callback.ice_exception(error)
            return
        if is_void:
            callback.ice_response()
        else:
            callback.ice_response(result)

    return dispatch


def _shown(arguments: tuple[Any, ...]) -> str:
    shown = (str(argument)[:ARGUMENT_CHARACTERS] for argument in arguments[:-1])
    return f"({', '.join(shown)})"
