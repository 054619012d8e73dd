"""Models on an OMERO server: listed, fetched and attached: `omero-hcs models`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omero_hcs.errors import InputError
from omero_hcs.settings import Settings
from omero_hcs.stores.base import KeptModel, ModelHome, PlateStore
from omero_hcs.stores.open import open_store
from omero_hcs.tasks.models import SUFFIX, find_model, load, write_model


def server_models(where: str) -> tuple[KeptModel, ...]:
    """List the models on a server that the user can read, newest first.

    Parameters
    ----------
    where : str
        ``omero://host``, or any object there.
    """
    with _home(where) as (_, home):
        return home.models()


def fetch_model(where: str, model_id: str, output: Path | None, settings: Settings) -> Path:
    """Copy a model of a server to this machine.

    Parameters
    ----------
    where : str
        ``omero://host``.
    model_id : str
        Its id, as `server_models` tells it; "omero:" may stand before it.
    output : Path, optional
        The file; by default it goes into the models folder, under its own name.
    settings : Settings
        Where the models folder is.

    Raises
    ------
    InputError
        If a file of that name is there, with other content.
    """
    with _home(where) as (_, home):
        kept, content = home.fetch_model(model_id.removeprefix("omero:"))
    path = output or settings.models_dir / f"{Path(kept.name).name.removesuffix(SUFFIX)}{SUFFIX}"
    if path.is_file() and path.read_bytes() != content:
        msg = f"There is another model at {path}. Pass --output with another file."
        raise InputError(msg)
    write_model(path, content)
    return path


def attach_model(model: str, where: str, settings: Settings) -> KeptModel:
    """Attach a model of this machine to an object of a server.

    Parameters
    ----------
    model : str
        Its name or file.
    where : str
        One plate or image set: ``omero://host/plate/51``.
    settings : Settings
        Where models are.

    Raises
    ------
    InputError
        If `where` names no single object.
    """
    found = find_model(model, settings)
    card: dict[str, Any] = load(found).card.short()
    content = Path(found.path).read_bytes()
    with _home(where) as (store, home):
        refs = store.refs()
        if len(refs) != 1:
            names = ", ".join(f"{ref.kind} {ref.id}" for ref in refs) or "nothing"
            msg = f"{where} stands for {names}. Name the one object to attach the model to."
            raise InputError(msg)
        return home.keep_model(refs[0], found.name, content, card=json.dumps(card))


@contextlib.contextmanager
def _home(where: str) -> Iterator[tuple[PlateStore, ModelHome]]:
    with contextlib.closing(open_store(where)) as store:
        if not isinstance(store, ModelHome):
            msg = f"{where} keeps no models. Name an OMERO server: omero://host"
            raise InputError(msg)
        yield store, store
