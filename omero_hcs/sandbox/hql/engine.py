"""The engine: what the services ask.

Like OMERO, it loads what a query selects and what it fetches, and otherwise only what `loading.py`
tells.

Repeated rows
-------------
`ome.services.query.Query` calls `setMaxResults` for every query, with the largest integer if there
is no limit. Hibernate (`QueryTranslatorImpl.list`) therefore takes every query with a collection
fetch to be limited, and then keeps one result for each object, in memory, before it counts the
limit. Without a fetched collection, nothing but `distinct` takes repetitions away.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from omero_hcs.sandbox.hql.compiler import HqlCompiler
from omero_hcs.sandbox.hql.faults import HqlError, illegal_query
from omero_hcs.sandbox.hql.kinds import Thing
from omero_hcs.sandbox.hql.parameters import Given, named, read_parameters
from omero_hcs.sandbox.hql.parse import parse
from omero_hcs.sandbox.hql.programs import Program
from omero_hcs.sandbox.hql.terms import Run
from omero_hcs.sandbox.hql.values import wrap_rows
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.conditions import api_usage
from omero_hcs.sandbox.objects.load import Builder, Plan
from omero_hcs.sandbox.objects.loading import load_whole
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.world import World


@lru_cache(500)  # clients write ids into their queries, and a compiled one takes 20 KB
def compiled(text: str) -> Program:
    """Compile a query.

    Raises
    ------
    omero.QueryException
        It can't be translated.
    """
    try:
        return HqlCompiler().query(parse(text))
    except HqlError as fault:
        raise illegal_query(text, fault) from fault
    except RecursionError as error:
        too_deep = HqlError("the query is nested too deeply for the sandbox")
        raise illegal_query(text, too_deep) from error


class Engine:
    """Runs queries over a world. The caller of its methods holds the world's lock."""

    def __init__(self, world: World) -> None:
        self._world = world

    def find(self, text: str, parameters: Any, caller: Caller | None) -> list[Any]:
        """Return the objects that a query selects, as `IQuery.findAllByQuery`.

        Raises
        ------
        omero.QueryException
            The query can't be translated.
        omero.ApiUsageException
            It selects no objects, a parameter is missing, or a database would refuse to run it.
        """
        plan = Plan()
        given = read_parameters(parameters, self._world)
        program, found = self._run(text, given, caller, plan)
        if len(program.items) != 1 or not isinstance(program.items[0].term.type, Thing):
            msg = f"Queries must return IObjects here; use projection for other values: {text}"
            raise api_usage(msg)
        rows: list[Row | None] = [one[0] for one in found]
        load_whole(plan, (row for row in rows if row is not None), caller)
        builder = Builder(self._world, plan, caller)
        return [None if row is None else builder.object_of(row) for row in rows]

    def project(self, text: str, parameters: Any, caller: Caller | None) -> list[list[Any]]:
        """Return the values that a query selects, as `IQuery.projection`.

        Raises
        ------
        omero.QueryException
            The query can't be translated.
        omero.ApiUsageException
            A parameter is missing, or a database would refuse to run it.
        """
        plan = Plan()
        given = read_parameters(parameters, self._world)
        program, found = self._run(text, given, caller, plan)
        selected = (value for one in found for value in one if isinstance(value, Row))
        load_whole(plan, selected, caller)
        return wrap_rows(program, found, Builder(self._world, plan, caller), caller)

    def rows(self, text: str, parameters: Mapping[str, Any], caller: Caller | None) -> list[Row]:
        """Return the rows of the first thing that a query selects, for our own services.

        Parameters
        ----------
        parameters : mapping
            Plain values, rows, and collections of these, by name.
        """
        _, found = self._run(text, named(parameters), caller, None)
        return [one[0] for one in found if isinstance(one[0], Row)]

    def _run(
        self, text: str, given: Given, caller: Caller | None, plan: Plan | None
    ) -> tuple[Program, list[tuple[Any, ...]]]:
        program = compiled(text)
        run = Run(self._world, caller, given.values, given.rtypes)
        env: list[Any] = [None] * program.places
        env[0] = run
        end = None if given.limit is None else given.offset + given.limit
        merges = program.fetches_collections and len(program.items) == 1
        found = program.rows(env, None if merges else end, plan)
        if merges:
            found = list(dict.fromkeys(found))
        return program, found[given.offset : end]
