"""What comes back loaded besides what a query selects and fetches.

Found in OMERO's sources, because a client relies on it: omero-metadata reads `shape.roi.name` after
`select distinct s from Shape s join s.roi r ...`, though that join fetches nothing.

- A reference that an abstract class declares is loaded with the object: `Shape.roi`,
  `LightSource.instrument`, `Job.status` and so on. The template of the Hibernate mapping
  (`omero-model`, `templates/object.vm`) writes `FetchType.EAGER` where `$prop.actualType` is
  abstract. That was meant for references *to* abstract classes; but since omero-dsl-plugin's
  `SemanticTypeProcessor` sets `actualType` to the class that a property *belongs* to, it is
  references *of* abstract classes that are eager. All others are lazy.
- An object with a reference to an abstract class (the annotation of an annotation link) that nobody
  fetched is itself given back unloaded. There is no instance of an abstract class to stand for it:
  `Utils.trueInstance` fails ("may be caused by an abstract class not being properly join fetch'd"),
  whereupon `acceptFilter` of the generated class unloads the object that refers to it.
- If the call is about all groups (`omero.group=-1`), the group of every object is loaded with it:
  `AllGroupsSecurityFilter.passesFilter` loads it to look at its permissions.

What is an instance already in Hibernate's session is loaded wherever it is met, which is why one
plan serves all results of a query.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from omero_hcs.sandbox.model.schema import SCHEMA, Entity, Field, Kind
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.load import Plan
from omero_hcs.sandbox.objects.row import Row


def load_whole(plan: Plan, rows: Iterable[Row], caller: Caller | None) -> None:
    """Load rows, and see to what else is loaded or not, as OMERO does."""
    plan.rows.update(rows)
    _load_eagerly(plan, caller)
    if caller is not None and caller.group is None:
        groups = {row.details.group for row in plan.rows if not row.entity.is_global}
        plan.rows.update(group for group in groups if group is not None)
    plan.rows.difference_update([row for row in plan.rows if _lacks(row, plan)])


def _load_eagerly(plan: Plan, caller: Caller | None) -> None:
    waiting = list(plan.rows)
    while waiting:
        row = waiting.pop()
        for name in eager_references(row.entity):
            other = row.values.get(name)
            if not isinstance(other, Row) or other in plan.rows:
                continue
            if caller is None or caller.can_read(other):
                plan.load(other)
                waiting.append(other)


def _lacks(row: Row, plan: Plan) -> bool:
    """Say whether a row refers to something of an abstract class that is not loaded."""
    others = (row.values.get(name) for name in references_to_abstract(row.entity))
    return any(other is not None and other not in plan.rows for other in others)


@cache
def eager_references(entity: Entity) -> tuple[str, ...]:
    """Names of the references that are loaded with a row."""
    return tuple(
        field.name for field in _references(entity) if is_abstract(_declaring(entity, field.name))
    )


@cache
def references_to_abstract(entity: Entity) -> tuple[str, ...]:
    """Names of the references to abstract classes."""
    return tuple(field.name for field in _references(entity) if is_abstract(SCHEMA[field.target]))


def is_abstract(entity: Entity) -> bool:
    """Say whether there are no objects of exactly this class."""
    return entity.implementation is None


def _references(entity: Entity) -> list[Field]:
    return [field for field in entity.fields.values() if field.kind is Kind.REF]


def _declaring(entity: Entity, name: str) -> Entity:
    """Find the base that brought a field in."""
    return [base for base in entity.lineage() if name in base.fields][-1]
