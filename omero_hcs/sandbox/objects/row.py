"""A row: one object of the sandbox, with its values and its details."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omero_hcs.sandbox.model.schema import Entity

# Level of a group that nobody gave one, as in OMERO: private.
PRIVATE = "rw----"


@dataclass(eq=False, slots=True)
class Details:
    """Whose a row is, and when it was made.

    Attributes
    ----------
    owner, group, creation_event, update_event, external_info : Row or None
    permissions : str or None
        Level of a group, such as `rwra--`; None for everything that is no group.
    """

    owner: Row | None = None
    group: Row | None = None
    creation_event: Row | None = None
    update_event: Row | None = None
    external_info: Row | None = None
    permissions: str | None = None


@dataclass(eq=False, slots=True)
class Row:
    """One object. Compared by identity: a world has one row for each object.

    Attributes
    ----------
    id : int
        Unique among the rows whose entities have the same root.
    values : dict
        By field name: plain Python values of scalars, rows of refs, and the client's own objects of
        values (units, lists of named values). A field that is not there is null. Collections are
        not here: `World.members` finds them.
    version : int
        Counts the changes, so that a client with an old copy is refused.
    """

    entity: Entity
    id: int
    values: dict[str, Any] = field(default_factory=dict)
    details: Details = field(default_factory=Details)
    version: int = 0

    def __repr__(self) -> str:
        return f"{self.entity.name}:{self.id}"

    @property
    def group(self) -> Row | None:
        """The group that decides who may see it: a group's is itself."""
        return self if self.entity.name == "ExperimenterGroup" else self.details.group

    @property
    def level(self) -> str:
        """Permissions of its group, such as `rwra--`."""
        group = self.group
        return PRIVATE if group is None else group.details.permissions or PRIVATE
