"""Stores over an OMERO server, and plates to put there, for tests anywhere.

Imports of omero are inside: a test that asks for none of these pays nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from omero_hcs.model import StoreSpec
from omero_hcs.settings import Settings


@pytest.fixture
def omero_uri(omero_server) -> Callable[[str], str]:
    """URI of an object of the server: ``omero_uri("plate/51")``."""
    return lambda place: f"omero://{omero_server.host}:{omero_server.port}/{place}"


@pytest.fixture
def omero_way_in(tmp_path, monkeypatch) -> Callable[[Any], None]:
    """Let whoever opens a store get in as a user: ``omero_way_in(user)``."""

    return lambda user: let_in(monkeypatch, user, tmp_path)


def let_in(patch: pytest.MonkeyPatch, user: Any, folder: Path) -> None:
    """Let whoever opens a store get in as a user, by a file of his password in a folder."""
    file = folder / "omero-password"
    file.write_text(user.password)
    file.chmod(0o600)
    patch.setenv("OMERO_HCS_OMERO_USER", user.name)
    patch.setenv("OMERO_HCS_OMERO_PASSWORD_FILE", str(file))


@pytest.fixture
def omero_open(omero_server, omero_uri) -> Iterator[Callable[..., Any]]:
    """Open a store as a user: ``omero_open(user, f"plate/{number}")``; closed afterwards."""
    from omero_hcs.stores.omero.login import Login  # noqa: PLC0415
    from omero_hcs.stores.omero.session import Session  # noqa: PLC0415
    from omero_hcs.stores.omero.store import OmeroStore  # noqa: PLC0415

    with contextlib.ExitStack() as stack:

        def open_as(user: Any, place: str, **settings: Any) -> OmeroStore:
            login = Login(omero_server.host, omero_server.port, user.name, user.password)
            spec, chosen = StoreSpec(uri=omero_uri(place)), Settings(**settings)
            store = OmeroStore(spec, session=Session(login), settings=chosen)
            return stack.enter_context(contextlib.closing(store))

        yield open_as


@pytest.fixture
def omero_put(omero_connect) -> Callable[..., Any]:
    """Put what a store holds on the server: ``omero_put(user, store)`` gives the ids there."""
    from omero_hcs.sandbox.image_sets import import_images  # noqa: PLC0415
    from omero_hcs.sandbox.importer import import_plate  # noqa: PLC0415
    from omero_hcs.sandbox.sources import StoreSource  # noqa: PLC0415

    def put(user: Any, store: Any) -> Any:
        conn = omero_connect(user)
        if store.refs()[0].kind == "images":
            return import_images(conn, store)
        return import_plate(conn, StoreSource(store), screen="Screen")

    return put
