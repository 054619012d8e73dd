"""What a parsed query is made of. Nothing here knows the model: names are names."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a string, a truth value or null. `rtype` is what OMERO would send for it."""

    value: str | int | float | bool | None
    rtype: str | None


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named parameter, `:ids`."""

    name: str


@dataclass(frozen=True, slots=True)
class Path:
    """An alias, a property of one, or the name of an entity: `ws.image.name`."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.names)


@dataclass(frozen=True, slots=True)
class Star:
    """What `count(*)` counts."""


@dataclass(frozen=True, slots=True)
class Typed:
    """The argument of `cast(x as double)`."""

    argument: Expression
    type_name: str


@dataclass(frozen=True, slots=True)
class TakenFrom:
    """The argument of `extract(year from x)`."""

    part: Expression
    source: Expression


@dataclass(frozen=True, slots=True)
class Call:
    """A function. Its name is in lower case."""

    name: str
    arguments: tuple[Expression, ...]
    distinct: bool = False


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`left + right`, and so on."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Negative:
    """`-x`."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Concatenation:
    """`x || y || z`."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`left = right`; the operator is one of `=`, `!=`, `<`, `<=`, `>`, `>=`."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Quantified:
    """`left > all (select ...)`; `any` and `some` are both `any`."""

    operator: str
    left: Expression
    quantifier: str
    query: Query


@dataclass(frozen=True, slots=True)
class And:
    """All hold."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one holds."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """It does not hold. Every `not ...` inside a predicate is written so, too."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class IsNull:
    """`x is null`."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class IsEmpty:
    """`x.links is empty`."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class In:
    """`x in (...)`: any of several expressions, each a value or a list of values."""

    operand: Expression
    choices: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Like:
    """`x like pattern`, `x ilike pattern`."""

    operand: Expression
    pattern: Expression
    escape: Expression | None
    ignore_case: bool


@dataclass(frozen=True, slots=True)
class Between:
    """`x between low and high`, both included."""

    operand: Expression
    low: Expression
    high: Expression


@dataclass(frozen=True, slots=True)
class Member:
    """`x member of y.links`."""

    operand: Expression
    collection: Path


@dataclass(frozen=True, slots=True)
class Exists:
    """`exists (select ...)`, or `exists elements(y.links)`."""

    source: Query | Call


@dataclass(frozen=True, slots=True)
class Case:
    """`case when ... then ... end`; with an operand, this is compared to each `when`."""

    operand: Expression | None
    branches: tuple[tuple[Expression, Expression], ...]
    otherwise: Expression | None


@dataclass(frozen=True, slots=True)
class Subquery:
    """A query whose value is used."""

    query: Query


@dataclass(frozen=True, slots=True)
class RowOf:
    """`(a, b)`."""

    parts: tuple[Expression, ...]


Expression = (
    Literal
    | Parameter
    | Path
    | Star
    | Typed
    | TakenFrom
    | Call
    | Arithmetic
    | Negative
    | Concatenation
    | Comparison
    | Quantified
    | And
    | Or
    | Not
    | IsNull
    | IsEmpty
    | In
    | Like
    | Between
    | Member
    | Exists
    | Case
    | Subquery
    | RowOf
)


class Form(StrEnum):
    """What each result of a query is."""

    ROW = "row"
    LIST = "list"
    MAP = "map"


@dataclass(frozen=True, slots=True)
class Item:
    """One selected expression."""

    expression: Expression
    alias: str | None


@dataclass(frozen=True, slots=True)
class Select:
    """What a query selects."""

    items: tuple[Item, ...]
    distinct: bool
    form: Form


@dataclass(frozen=True, slots=True)
class Range:
    """`Image i`; in a subquery also `i.pixels p`."""

    path: Path
    alias: str | None


@dataclass(frozen=True, slots=True)
class Join:
    """`left outer join fetch ws.image i with i.id > 3`."""

    path: Path
    alias: str | None
    outer: bool
    fetch: bool
    condition: Expression | None


@dataclass(frozen=True, slots=True)
class Order:
    """One expression to sort by."""

    expression: Expression
    descending: bool


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query."""

    select: Select | None
    sources: tuple[Range | Join, ...]
    where: Expression | None
    group_by: tuple[Expression, ...]
    having: Expression | None
    order_by: tuple[Order, ...]
