"""Model files as the tasks need them: found by name or path, and checked against a plate."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from omero_hcs.errors import ModelNotFoundError, ParamsError
from omero_hcs.jobs.identity import file_sha256
from omero_hcs.model import ModelRef
from omero_hcs.settings import Settings

SUFFIX = ".safetensors"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,79}")


def model_path(name: str, settings: Settings) -> Path:
    """Where a model of that name is kept.

    Raises
    ------
    ParamsError
        If the name would not be a plain file name.
    """
    if not _NAME.fullmatch(name):
        msg = f"{name!r} is no model name. Use letters, digits, blanks, dots, '_' and '-'."
        raise ParamsError(msg)
    return settings.models_dir / f"{name}{SUFFIX}"


def find_model(wanted: str, settings: Settings) -> ModelRef:
    """Find a model by its name or by the path of its file.

    Raises
    ------
    ModelNotFoundError
        If there is none; the message lists those that there are.
    """
    path = Path(wanted)
    if not path.is_file():
        path = model_path(wanted, settings) if _NAME.fullmatch(wanted) else path
    if not path.is_file():
        known = ", ".join(model_names(settings)) or "none yet"
        msg = (
            f"There is no model {wanted!r}: neither a file nor a name in {settings.models_dir}. "
            f"Models there: {known}. Train one with: omero-hcs train-qc PLATE --labels labels.csv"
        )
        raise ModelNotFoundError(msg)
    path = path.resolve()
    return ModelRef(name=path.stem, path=str(path), sha256=file_sha256(path))


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
