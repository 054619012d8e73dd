"""Model files on a server: attachments under our namespace, found and kept by content."""

from __future__ import annotations

from omero_hcs.model import ObjectRef
from omero_hcs.stores.base import KeptModel
from omero_hcs.stores.omero.layout import Layouts
from omero_hcs.stores.omero.session import Session


def list_models(session: Session) -> tuple[KeptModel, ...]:
    """Models that the user can read, newest first; see `ModelHome.models`."""
    raise NotImplementedError


def fetch_model(session: Session, model_id: str) -> tuple[KeptModel, bytes]:
    """One model and its file; see `ModelHome.fetch_model`."""
    raise NotImplementedError


def keep_model(
    session: Session, layouts: Layouts, target: ObjectRef, named: tuple[str, str], content: bytes
) -> KeptModel:
    """Attach a model file; `named` is its name and its card as JSON; see `ModelHome.keep_model`."""
    raise NotImplementedError
