"""Model files as the tasks need them: found by name, by path, or on the plate's OMERO server."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

from omero_hcs.errors import ModelNotFoundError, ParamsError, WriteError
from omero_hcs.jobs.identity import file_sha256
from omero_hcs.model import ModelRef
from omero_hcs.settings import Settings, is_in_script
from omero_hcs.stores.base import ModelHome, PlateStore

SUFFIX = ".safetensors"
ON_SERVER = "omero:"
"""What a model on the plate's own OMERO server begins with: "omero:57", by its annotation's id."""

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,79}")
"""What a model may be called: a plain file name."""


def model_path(name: str, settings: Settings) -> Path:
    """Where a model of that name is kept.

    Raises
    ------
    ParamsError
        If the name would not be a plain file name.
    """
    if not MODEL_NAME.fullmatch(name):
        msg = f"{name!r} is no model name. Use letters, digits, blanks, dots, '_' and '-'."
        raise ParamsError(msg)
    return settings.models_dir / f"{name}{SUFFIX}"


def find_model(wanted: str, settings: Settings, store: PlateStore | None = None) -> ModelRef:
    """Find a model by its name, by the path of its file, or by its id on the plate's server.

    Parameters
    ----------
    wanted : str
        "u2os", "models/u2os.safetensors", or "omero:57".
    settings : Settings
        Where models are kept; one from a server is kept there, too, so that workers find it.
    store : PlateStore, optional
        The plate's store, which may keep models.

    Raises
    ------
    ModelNotFoundError
        If there is none; the message lists those that there are.
    """
    if wanted.startswith(ON_SERVER):
        return _fetched(wanted, settings, store)
    path = Path(wanted)
    if MODEL_NAME.fullmatch(wanted) and (is_in_script() or not path.is_file()):
        path = model_path(wanted, settings)
    elif is_in_script():  # whoever may log in to a server starts scripts, and names no file there
        msg = f"{wanted!r} is no model's name. Choose one of the list of the script's dialog."
        raise ModelNotFoundError(msg)
    if not path.is_file():
        known = ", ".join(model_names(settings)) or "none yet"
        msg = (
            f"There is no model {wanted!r}: neither a file nor a name in {settings.models_dir}. "
            f"Models there: {known}. Train one with: omero-hcs train-qc PLATE --labels labels.csv"
        )
        raise ModelNotFoundError(msg)
    path = path.resolve()
    return ModelRef(name=path.stem, path=str(path), sha256=file_sha256(path))


def _fetched(wanted: str, settings: Settings, store: PlateStore | None) -> ModelRef:
    model_id = wanted.removeprefix(ON_SERVER)
    home: object = store
    if not isinstance(home, ModelHome):
        place = store.spec.uri if store else "this installation"
        msg = (
            f"{wanted} is a model on an OMERO server, and {place} is none. Fetch it first: "
            f"omero-hcs models fetch omero://HOST {model_id}"
        )
        raise ModelNotFoundError(msg)
    kept, content = home.fetch_model(model_id)
    digest = hashlib.sha256(content).hexdigest()
    path = settings.models_dir / "fetched" / f"{digest}{SUFFIX}"
    if not path.is_file() or file_sha256(path) != digest:
        write_model(path, content, mend="Name another place.")
    return ModelRef(name=kept.name, path=str(path.resolve()), sha256=digest)


def write_model(path: Path, content: bytes, *, mend: str = "Pass --output elsewhere.") -> None:
    """Write a model file into place; `mend` is what to do where that is not possible.

    Raises
    ------
    WriteError
        If it cannot be written; what was there before stays.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(content)
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        msg = f"The model could not be written to {path}: {error.strerror}. {mend}"
        raise WriteError(msg) from error


def model_names(settings: Settings) -> list[str]:
    """Names of the models of this installation."""
    folder = settings.models_dir
    return sorted(path.stem for path in folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []


def load(model: ModelRef | None) -> Any:
    """Read a model file, after checking that it is still the one the run began with.

    Raises
    ------
    ModelNotFoundError
        If it has gone or changed since.
    """
    from omero_hcs.learning.modelfile import load_model

    if model is None:
        msg = "The run names no model. Start it again with --model."
        raise ModelNotFoundError(msg)
    path = Path(model.path)
    if not path.is_file() or file_sha256(path) != model.sha256:
        msg = f"Model {model.name} ({path}) is not the file that the run began with. Start again."
        raise ModelNotFoundError(msg)
    return load_model(path)
