"""Load what is heavy or optional only when it is needed, and say how to install it."""

from __future__ import annotations

import importlib
from typing import Any

from omero_hcs.errors import MissingExtraError


def load(entry: str, *, extra: str | None = None) -> Any:
    """Import ``"module"`` or ``"module:attribute"`` by name.

    Parameters
    ----------
    entry : str
        A module, or a module and one of its attributes: ``"pyarrow.parquet"``,
        ``"omero_hcs.worker:run_units"``.
    extra : str, optional
        The extra of this package that installs what the module needs.

    Returns
    -------
    object
        The module or the attribute.

    Raises
    ------
    MissingExtraError
        If a third-party module is not installed. The message has the pip command.
    """
    module_name, _, attribute = entry.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = (error.name or module_name).partition(".")[0]
        if missing == "omero_hcs" or extra is None:
            raise
        msg = (
            f"This needs {missing!r}, which is not installed. "
            f"Install it with: pip install 'omero-hcs[{extra}]'"
        )
        raise MissingExtraError(msg, name=missing) from error
    return getattr(module, attribute) if attribute else module
