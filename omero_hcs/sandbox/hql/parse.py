"""From the text of a query to its syntax tree."""

from __future__ import annotations

from functools import cache
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedToken, v_args
from lark.exceptions import VisitError

from omero_hcs.sandbox.hql import syntax as s
from omero_hcs.sandbox.hql.faults import HqlError

LARGEST_INT = 2**31 - 1
OPERATORS = {"<>": "!=", "^=": "!=", "is": "=", "is not": "!="}


def parse(text: str) -> s.Query:
    """Parse a query.

    Raises
    ------
    HqlError
        It is no query, or uses something that the sandbox does not know.
    """
    try:
        query: s.Query = _parser().parse(text)  # type: ignore[assignment]  # lark says Tree; our transformer makes a Query
    except UnexpectedToken as error:
        where = f"line {error.line}, column {error.column}"
        found = "end of query" if error.token.type == "$END" else f"token: {error.token}"
        msg = f"unexpected {found} near {where}"
        raise HqlError(msg) from error
    except UnexpectedCharacters as error:
        msg = f"unexpected char: {error.char!r} near line {error.line}, column {error.column}"
        raise HqlError(msg) from error
    except VisitError as error:
        if isinstance(error.orig_exc, HqlError):
            raise error.orig_exc from error
        raise
    return query


@cache
def _parser() -> Lark:
    return Lark.open_from_package(
        __package__,
        "grammar.lark",
        parser="lalr",
        lexer="contextual",
        transformer=_Builder(),
        maybe_placeholders=False,
    )


def _is_token(node: Any, kind: str) -> bool:
    return isinstance(node, Token) and node.type == kind


class _Clause:
    """A clause of a query, on its way into the query."""

    def __init__(self, name: str, content: Any) -> None:
        self.name, self.content = name, content


@v_args(inline=True)
class _Builder(Transformer[Token, Any]):
    """Makes a syntax tree of what the grammar matched; its methods are named as the rules."""

    # -- clauses

    def query(self, *clauses: Any) -> s.Query:
        parts = {one.name: one.content for one in clauses}
        return s.Query(
            select=parts.get("select"),
            sources=parts["from"],
            where=parts.get("where"),
            group_by=parts.get("group", ()),
            having=parts.get("having"),
            order_by=parts.get("order", ()),
        )

    def select_row(self, *children: Any) -> _Clause:
        return self._select(s.Form.ROW, children)

    def select_map(self, *children: Any) -> _Clause:
        return self._select(s.Form.MAP, children)

    def select_list(self, *children: Any) -> _Clause:
        return self._select(s.Form.LIST, children)

    def _select(self, form: s.Form, children: tuple[Any, ...]) -> _Clause:
        distinct = _is_token(children[0], "DISTINCT") and children[0].lower() == "distinct"
        return _Clause("select", s.Select(children[-1], distinct, form))

    def items(self, *items: s.Item) -> tuple[s.Item, ...]:
        return items

    def item(self, expression: s.Expression, alias: Token | None = None) -> s.Item:
        return s.Item(expression, None if alias is None else str(alias))

    def from_clause(self, *sources: s.Range | s.Join) -> _Clause:
        return _Clause("from", sources)

    def range(self, path: s.Path, alias: Token | None = None) -> s.Range:
        return s.Range(path, None if alias is None else str(alias))

    def join(self, kind: Token, path: s.Path, *rest: Any) -> s.Join:
        words = kind.lower().split()
        if words[0] in {"right", "full"}:
            msg = f"{words[0]} join is not supported by the sandbox"
            raise HqlError(msg)
        alias = next((str(one) for one in rest if isinstance(one, Token)), None)
        condition = next((one for one in rest if not isinstance(one, Token)), None)
        return s.Join(path, alias, words[0] == "left", words[-1] == "fetch", condition)

    def where_clause(self, condition: s.Expression) -> _Clause:
        return _Clause("where", condition)

    def group_clause(self, *keys: s.Expression) -> _Clause:
        return _Clause("group", keys)

    def having_clause(self, condition: s.Expression) -> _Clause:
        return _Clause("having", condition)

    def order_clause(self, *items: s.Order) -> _Clause:
        return _Clause("order", items)

    def order_item(self, expression: s.Expression, direction: Token | None = None) -> s.Order:
        return s.Order(expression, direction is not None and direction.lower().startswith("desc"))

    # -- conditions

    def disjunction(self, *parts: s.Expression) -> s.Or:
        return s.Or(parts)

    def conjunction_of(self, *parts: s.Expression) -> s.And:
        return s.And(parts)

    def negated(self, _: Token, operand: s.Expression) -> s.Not:
        return s.Not(operand)

    def comparison(self, left: s.Expression, operator: Token, right: s.Expression) -> s.Expression:
        told = OPERATORS.get(" ".join(operator.lower().split()), str(operator))
        null = s.Literal(None, None)
        if right == null and told in {"=", "!="}:  # Hibernate reads `x = null` as `x is null`
            return s.IsNull(left) if told == "=" else s.Not(s.IsNull(left))
        return s.Comparison(told, left, right)

    def quantified(
        self, left: s.Expression, operator: Token, quantifier: Token, query: s.Query
    ) -> s.Quantified:
        told = "all" if quantifier.lower() == "all" else "any"
        return s.Quantified(OPERATORS.get(operator, str(operator)), left, told, query)

    def is_null(self, operand: s.Expression, words: Token) -> s.Expression:
        return _negate_if("not" in words.lower().split(), s.IsNull(operand))

    def is_empty(self, operand: s.Expression, words: Token) -> s.Expression:
        return _negate_if("not" in words.lower().split(), s.IsEmpty(operand))

    def membership(self, operand: s.Expression, *rest: Any) -> s.Expression:
        return _negate_if(_is_token(rest[0], "NOT"), s.In(operand, rest[-1]))

    def choices_of_query(self, query: s.Query) -> tuple[s.Expression, ...]:
        return (s.Subquery(query),)

    def choices_listed(self, *choices: s.Expression) -> tuple[s.Expression, ...]:
        return choices

    def like(self, operand: s.Expression, *rest: Any) -> s.Expression:
        negated = _is_token(rest[0], "NOT")
        kind, pattern, *escape = rest[1:] if negated else rest
        ignore_case = kind.lower() == "ilike"
        told = s.Like(operand, pattern, escape[0] if escape else None, ignore_case)
        return _negate_if(negated, told)

    def between(self, operand: s.Expression, *rest: Any) -> s.Expression:
        return _negate_if(_is_token(rest[0], "NOT"), s.Between(operand, rest[-2], rest[-1]))

    def member_of(self, operand: s.Expression, *rest: Any) -> s.Expression:
        return _negate_if(_is_token(rest[0], "NOT"), s.Member(operand, rest[-1]))

    def exists_rows(self, query: s.Query) -> s.Exists:
        return s.Exists(query)

    def exists_members(self, call: s.Call) -> s.Exists:
        return s.Exists(call)

    # -- values

    def concatenated(self, *parts: s.Expression) -> s.Concatenation:
        return s.Concatenation(parts)

    def arithmetic(self, left: s.Expression, operator: Token, right: s.Expression) -> s.Arithmetic:
        return s.Arithmetic(str(operator), left, right)

    def negative(self, _: Token, operand: s.Expression) -> s.Negative:
        return s.Negative(operand)

    def positive(self, _: Token, operand: s.Expression) -> s.Expression:
        return operand

    def number(self, token: Token) -> s.Literal:
        text = token.lower()
        if text.endswith("l"):
            return s.Literal(int(text[:-1]), "RLong")
        if text.isdigit():
            value = int(text)
            return s.Literal(value, "RInt" if value <= LARGEST_INT else "RLong")
        return s.Literal(float(text.rstrip("fd")), "RFloat" if text.endswith("f") else "RDouble")

    def string(self, token: Token) -> s.Literal:
        return s.Literal(token[1:-1].replace("''", "'"), "RString")

    def true(self, _: Token) -> s.Literal:
        return s.Literal(value=True, rtype="RBool")

    def false(self, _: Token) -> s.Literal:
        return s.Literal(value=False, rtype="RBool")

    def null(self, _: Token) -> s.Literal:
        return s.Literal(None, None)

    def parameter(self, token: Token) -> s.Parameter:
        if token.type == "POSITION":
            msg = (
                "Positional parameters (?) are not supported by OMERO: use named ones, such as :id"
            )
            raise HqlError(msg)
        return s.Parameter(token[1:])

    def path(self, *names: Token) -> s.Path:
        return s.Path(tuple(str(name) for name in names))

    def call(self, name: Token, *arguments: Any) -> s.Call:
        distinct = bool(arguments) and _is_token(arguments[0], "DISTINCT")
        return s.Call(name.lower(), tuple(arguments[distinct:]), distinct)

    def call_star(self, name: Token, _: Token) -> s.Call:
        return s.Call(name.lower(), (s.Star(),))

    def typed(self, argument: s.Expression, type_name: Token) -> s.Typed:
        return s.Typed(argument, type_name.lower())

    def taken_from(self, part: s.Expression, source: s.Expression) -> s.TakenFrom:
        return s.TakenFrom(part, source)

    def otherwise(self, expression: s.Expression) -> tuple[s.Expression]:
        return (expression,)

    def case_searched(self, *children: Any) -> s.Case:
        return _case(None, children)

    def case_simple(self, operand: s.Expression, *children: Any) -> s.Case:
        return _case(operand, children)

    def subquery(self, query: s.Query) -> s.Subquery:
        return s.Subquery(query)

    def row_of(self, *parts: s.Expression) -> s.RowOf:
        return s.RowOf(parts)


def _negate_if(negated: bool, condition: s.Expression) -> s.Expression:
    return s.Not(condition) if negated else condition


def _case(operand: s.Expression | None, children: tuple[Any, ...]) -> s.Case:
    otherwise = children[-1][0] if isinstance(children[-1], tuple) else None
    told = children[:-1] if isinstance(children[-1], tuple) else children
    return s.Case(operand, tuple(zip(told[::2], told[1::2], strict=True)), otherwise)
