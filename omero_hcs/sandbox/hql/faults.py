"""What goes wrong with a query, as OMERO tells it.

On the server (`ome.services.query.StringQuery`), whatever Hibernate says while it translates a
query, be it about its syntax, an entity or a property, becomes a `QueryException`; a parameter that
is missing or null an `ApiUsageException`; what PostgreSQL refuses while it runs the query an
`ApiUsageException`, too (`ServiceHandler` makes it of Spring's `InvalidDataAccessResourceUsage`);
and a parameter of another class than its property a `ClassCastException`, which nobody expects and
which therefore becomes an `InternalException`.
"""

from __future__ import annotations

from omero_hcs.sandbox.ice.record import omero
from omero_hcs.sandbox.objects.conditions import api_usage, internal


class HqlError(Exception):
    """A query that can't be translated. `illegal_query` makes of it what a client gets."""


def illegal_query(text: str, fault: HqlError) -> Exception:
    """Make the error of a query that can't be translated."""
    msg = f"Illegal query:{text}\n{fault} [{text}]"
    error: Exception = omero.QueryException("", "ome.services.query.QueryException", msg)
    return error


def missing_parameter(name: str) -> Exception:
    """Make the error of a parameter that has no value."""
    return api_usage(f"Null parameters not allowed: {name}")


def could_not_execute(reason: str) -> Exception:
    """Make the error of what the database would refuse."""
    return api_usage(f"could not execute query: {reason}")


def wrong_class(given: str, wanted: str) -> Exception:
    """Make the error of a parameter whose type is not that of its property."""
    told = f"{given} cannot be cast to {wanted}"
    return internal(f" Wrapped Exception: (java.lang.ClassCastException):\n{told}")
