"""What the names in a query mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Protocol

from omero_hcs.sandbox.hql.kinds import Type
from omero_hcs.sandbox.hql.syntax import Expression, Query
from omero_hcs.sandbox.hql.terms import Term, Trail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omero_hcs.sandbox.hql.programs import Program


@dataclass(slots=True)
class Source:
    """An alias of a query.

    Attributes
    ----------
    slot : int
        Its place in the environment. The one after it holds its index in the collection that it was
        joined from, the one before which it was joined being `Trail.slot`.
    trail : Trail
        How one gets to it from the range that it was joined to, however many joins lie between.
    is_indexed : bool
        It was joined from a collection, so that `index(alias)` means something.
    """

    alias: str
    slot: int
    type: Type
    trail: Trail
    is_indexed: bool = False


class Compiler(Protocol):
    """Compiles expressions and subqueries; `compiler.py` has the one there is."""

    def expression(self, node: Expression, scope: Scope) -> Term:
        """Compile an expression."""
        ...

    def query(self, query: Query, parent: Scope | None) -> Program:
        """Compile a query."""
        ...


@dataclass
class Scope:
    """The names of one query, on top of those of the queries around it.

    Attributes
    ----------
    required : list of Term
        Rows that must not be null: the implicit joins of paths, which are inner joins.
    in_select : bool
        A selected path that ends at a row joins it, a compared one does not.
    group_slot : int
        Where the rows of a group are while its aggregates are computed.
    """

    compiler: Compiler
    parent: Scope | None = None
    sources: dict[str, Source] = field(default_factory=dict)
    required: dict[tuple[int, tuple[str, ...]], Term] = field(default_factory=dict)
    in_select: bool = False

    def __post_init__(self) -> None:
        self._slots: Iterator[int] = count(1) if self.parent is None else self.parent.slots
        self.group_slot = self.new_slot()

    @property
    def slots(self) -> Iterator[int]:
        """Counter of places, shared by a query and its subqueries."""
        return self._slots

    def new_slot(self) -> int:
        """Take a place in the environment."""
        return next(self._slots)

    def find(self, alias: str) -> Source | None:
        """Find an alias, here or around."""
        scope: Scope | None = self
        while scope is not None:
            if alias in scope.sources:
                return scope.sources[alias]
            scope = scope.parent
        return None

    def owns(self, slot: int) -> bool:
        """Say whether a place belongs to this query itself."""
        return any(slot == one.slot for one in self.sources.values())

    def compile(self, node: Expression) -> Term:
        """Compile an expression with the names of this scope."""
        return self.compiler.expression(node, self)

    def subquery(self, query: Query) -> Program:
        """Compile a query inside this one."""
        return self.compiler.query(query, self)
