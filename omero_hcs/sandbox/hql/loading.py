"""What is loaded together with a row, though no query fetches it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from omero_hcs.sandbox.model.schema import SCHEMA, Entity, Kind
from omero_hcs.sandbox.objects.load import Plan
from omero_hcs.sandbox.objects.row import Row


def load_whole(plan: Plan, rows: Iterable[Row]) -> None:
    """Load rows, and for everything that is loaded what OMERO's mapping fetches eagerly."""
    plan.rows.update(rows)
    waiting = list(plan.rows)
    while waiting:
        row = waiting.pop()
        for name in eager_references(row.entity):
            other = row.values.get(name)
            if isinstance(other, Row) and other not in plan.rows:
                plan.load(other)
                waiting.append(other)


@cache
def eager_references(entity: Entity) -> tuple[str, ...]:
    """Names of the references that are loaded with a row: those to abstract classes."""
    return tuple(
        field.name
        for field in entity.fields.values()
        if field.kind is Kind.REF and SCHEMA[field.target].implementation is None
    )
