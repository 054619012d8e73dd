"""Every query in the sources of OMERO's own clients parses, compiles, and runs.

The queries are found anew each time, in whatever versions are installed: strings that look like
HQL, put together as the program would (neighbours, `+`, `%`, `format`, f-strings). What is filled
in at run time is a hole, for which `fillings` proposes an entity, a number, a condition or nothing.
"""

from __future__ import annotations

import ast
import importlib.util
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from omero_hcs.sandbox.hql.engine import Engine, compiled
from omero_hcs.sandbox.ice.record import omero, rtypes

HOLE = "\x00"
FORMAT_HOLE = re.compile(r"%\(\w+\)[sdri]|%[sdri]|\{\w*\}")
LOOKS_LIKE_HQL = re.compile(
    rf"\s*(select\b.+?\bfrom\s+[A-Z{HOLE}]|from\s+[A-Z][A-Za-z]+(\s+(as\s+)?[a-z]\w*)?\s*"
    rf"(where|join|left|order|$))",
    re.IGNORECASE | re.DOTALL,
)
ENTITY = re.compile(rf"\b(from|join)\s+(\w|{HOLE})+", re.IGNORECASE)


@dataclass(frozen=True)
class Found:
    """A string of a package that looks like a query."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def queries_of(package: str) -> list[Found]:
    """Find the queries in an installed package."""
    spec = importlib.util.find_spec(package)
    root = Path(spec.origin).parent
    found = []
    for file in sorted(root.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        told = str(file.relative_to(root.parent))
        for line, text in _strings(tree):
            if LOOKS_LIKE_HQL.match(text):
                found.append(Found(told, line, text))
    return found


def _strings(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Strings of a program, the largest first: what is part of one is not told again."""
    if isinstance(node, ast.expr) and (text := _text(node)) is not None:
        yield node.lineno, text
        return
    for child in ast.iter_child_nodes(node):
        yield from _strings(child)


def _text(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        parts = (_text(part) for part in node.values)
        return "".join(HOLE if part is None else part for part in parts)
    if isinstance(node, ast.BinOp):
        return _combined(node)
    formats = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    if formats and node.func.attr == "format":
        text = _text(node.func.value)
        return None if text is None else FORMAT_HOLE.sub(HOLE, text)
    return None


def _combined(node: ast.BinOp) -> str | None:
    left = _text(node.left)
    if isinstance(node.op, ast.Mod):
        return None if left is None else FORMAT_HOLE.sub(HOLE, left)
    if not isinstance(node.op, ast.Add):
        return None
    right = _text(node.right)
    if left is None and right is None:
        return None
    return (HOLE if left is None else left) + (HOLE if right is None else right)


FILLINGS = ("1", "Image", "", "1 = 1", "obj", "'x'", "ImageAnnotationLink", "Annotation")


def fillings(text: str) -> Iterator[str]:
    """Queries that a string with holes may become. All holes of a kind are filled alike first."""
    text = FORMAT_HOLE.sub(HOLE, text.replace("%%", "%"))  # those that are filled in later
    holes = text.count(HOLE)
    if not holes:
        yield text
        return
    for filling in itertools.product(FILLINGS, repeat=min(holes, 3)):
        parts = text.split(HOLE)
        filled = parts[0]
        for place, part in enumerate(parts[1:]):
            filled += filling[min(place, len(filling) - 1)] + part
        yield filled


# Fewer than these, and the search no longer finds what it is for.
LEAST = {"omero": 130, "omeroweb": 60, "ezomero": 25}
# What looks like a query and is none, by a piece of its text.
NO_QUERIES = {
    "(select size(f3.usedFiles) from Fileset f3": "the beginning of one; its end is added later",
    "orderby info.deltaT": "a fault of omero.util.script_utils: a real server refuses it, too",
    "select count(image.id) from Image image": "the beginning of one, without conditions",
}
PARAMETER = re.compile(r":([A-Za-z_]\w*)")
GUESSES = (
    rtypes.rlong(1),
    rtypes.rstring("a name"),
    rtypes.rlist([rtypes.rlong(1)]),
    rtypes.rlist([rtypes.rstring("a name")]),
    rtypes.rint(1),
    rtypes.rtime(0),
    rtypes.rbool(True),
    rtypes.rdouble(1.5),
)


def is_told_apart(found):
    return any(piece in found.text for piece in NO_QUERIES)


def a_query(found):
    """A query that the string may become; None if it becomes none that compiles."""
    for text in fillings(found.text):
        try:
            compiled(text)
        except omero.ServerError:
            continue
        return text
    return None


def runs(engine, text):
    """Say whether a query runs with any of our guesses at its parameters."""
    names = sorted(set(PARAMETER.findall(text)))
    for guess in itertools.product(GUESSES, repeat=len(names)):
        parameters = omero.sys.ParametersI()
        parameters.map = dict(zip(names, guess, strict=True))
        try:
            engine.project(text, parameters, None)
        except (omero.InternalException, omero.ApiUsageException):
            continue  # a wrong guess
        return True
    return False


@pytest.mark.parametrize("package", LEAST)
def test_there_are_as_many_queries_as_ever(package):
    assert len(queries_of(package)) >= LEAST[package]


@pytest.mark.parametrize("package", LEAST)
def test_every_query_of_a_package_compiles(package):
    failed = [
        f"{found}: {' '.join(found.text.split())}"
        for found in queries_of(package)
        if not is_told_apart(found) and a_query(found) is None
    ]
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("package", LEAST)
def test_every_query_of_a_package_runs(package, whole_lab):
    engine = Engine(whole_lab.world)
    failed = [
        f"{found}: {text}"
        for found in queries_of(package)
        if (text := a_query(found)) is not None and not runs(engine, text)
    ]
    assert not failed, "\n".join(failed)


def test_what_is_told_apart_is_still_there():
    texts = [found.text for package in LEAST for found in queries_of(package)]
    assert all(any(piece in text for text in texts) for piece in NO_QUERIES)
