"""Conditions: what they mean, also where something is null, and what PostgreSQL would refuse."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from omero_hcs.sandbox.hql.conditions import like_regex
from omero_hcs.sandbox.hql.engine import Engine
from omero_hcs.sandbox.ice.record import omero

NOW = 1_600_000_000_000  # 2020-09-13T12:26:40


@pytest.fixture
def images(lab):
    """Three images: one with everything, one with some, one with nothing."""
    return [
        lab.add("Image", name="a_1", description="first", series=1, acquisitionDate=NOW),
        lab.add("Image", name="a%2", series=2, partial=True),
        lab.add("Image", name="B"),
    ]


def names(engine, condition, caller=None, **parameters):
    """Names of the images for which a condition holds, in the order of their ids."""
    rows = engine.rows(f"from Image i where {condition}", parameters, caller)
    return [row.values["name"] for row in rows]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("i.series = 1", ["a_1"]),
        ("i.series != 1", ["a%2"]),
        ("i.series <> 1", ["a%2"]),
        ("not i.series = 1", ["a%2"]),
        ("i.series > 1", ["a%2"]),
        ("i.series between 1 and 2", ["a_1", "a%2"]),
        ("i.series not between 2 and 3", ["a_1"]),
        ("i.series is null", ["B"]),
        ("i.series is not null", ["a_1", "a%2"]),
        ("i.series <> null", ["a_1", "a%2"]),
        ("i.series in (1, 3)", ["a_1"]),
        ("i.series not in (1, 3)", ["a%2"]),
        ("i.series not in (1, null)", []),
        ("i.series = 1 or i.series is null", ["a_1", "B"]),
        ("i.series = 1 or 1 = 1", ["a_1", "a%2", "B"]),
        ("not (i.series = 1 and 1 = 0)", ["a_1", "a%2", "B"]),
        ("i.partial = true", ["a%2"]),
        ("i.name like 'a%'", ["a_1", "a%2"]),
        ("i.name like 'A%'", []),
        ("lower(i.name) like 'b'", ["B"]),
        ("i.name like 'a_1'", ["a_1"]),
        ("i.name like 'a!_1' escape '!'", ["a_1"]),
        (r"i.name like 'a\%2'", ["a%2"]),
        (r"i.name like '_\%%'", ["a%2"]),
        ("i.name not like '%1'", ["a%2", "B"]),
        ("i.description like '%'", ["a_1"]),
        ("i.name in ('B', 'C')", ["B"]),
        ("i.id = '2'", ["a%2"]),
        ("i.acquisitionDate < '2021-01-01 00:00:00'", ["a_1"]),
        ("year(i.acquisitionDate) = 2020", ["a_1"]),
        ("i.series + 1 = 2", ["a_1"]),
        ("i.series * 2 - 1 = 3", ["a%2"]),
        ("i.name || '!' = 'B!'", ["B"]),
        ("concat(i.name, i.series) = 'a_11'", ["a_1"]),
        ("coalesce(i.series, 9) = 9", ["B"]),
        ("case when i.series = 1 then 'x' else 'y' end = 'x'", ["a_1"]),
        ("case i.series when 1 then 'x' when 2 then 'y' end = 'y'", ["a%2"]),
        ("length(i.name) = 1", ["B"]),
        ("substring(i.name, 2, 1) = '_'", ["a_1"]),
        ("cast(i.series as string) = '2'", ["a%2"]),
        ("i.details.owner.omeName = 'ada'", ["a_1", "a%2", "B"]),
        ("i.details.owner.id = 2 and i.id = 3", ["B"]),
        ("i.class = Image", ["a_1", "a%2", "B"]),
        ("i.id > all (select x.id from Image x where x.series is not null)", ["B"]),
        ("i.id >= any (select x.id from Image x where x.series = 2)", ["a%2", "B"]),
        ("(i.series, i.name) in (select x.series, x.name from Image x)", ["a_1", "a%2"]),
        ("i.id = (select max(x.id) from Image x)", ["B"]),
        ("exists (select 1 from Image x where x.id = i.id + 2)", ["a_1"]),
        ("i.id in (select x.id from Image x where x.series = i.series)", ["a_1", "a%2"]),
    ],
)
def test_a_condition_holds_for_these_images(engine, images, condition, found):
    assert names(engine, condition) == found


@pytest.mark.parametrize(
    ("condition", "complaint"),
    [
        ("i.name = 5", "operator does not exist: character varying = integer"),
        ("i.series = true", "operator does not exist: integer = boolean"),
        ("i.series like 'a'", "operator does not exist: integer ~~ text"),
        ("i.id = 'five'", 'invalid input syntax for type bigint: "five"'),
        ("i.name + 1 = 2", "operator does not exist: + character varying"),
        ("i.series / 0 = 1", "division by zero"),
        ("i.id = (select x.id from Image x)", "more than one row returned by a subquery"),
        ("i.name like 'a' escape '!!'", "invalid escape string"),
        (r"i.name like 'a\'", "must not end with escape character"),
        ("max(i.id) = 3", "aggregates not allowed in WHERE"),
    ],
)
def test_what_a_database_would_refuse_is_refused(engine, images, condition, complaint):
    with pytest.raises(omero.ApiUsageException, match=re.escape(complaint)):
        names(engine, condition)


@pytest.mark.parametrize(
    ("condition", "complaint"),
    [
        ("i.nam = 'x'", "could not resolve property: nam of: ome.model.core.Image"),
        ("i.pixels.sizeX = 1", "illegal attempt to dereference collection [pixels]"),
        ("i.pixels = 1", "can't be compared"),
        ("x.name = 'a'", "Invalid path: 'x.name'"),
        ("i.details.owner.name = 'x'", "could not resolve property: name of: ome.model.meta"),
        ("i.details.colour = 'x'", "could not resolve property: colour"),
        ("soundex(i.name) = 'x'", "no HQL function 'soundex'"),
        ("i.id in (select x from Foo x)", "Foo is not mapped"),
        ("i.id in (select x.id, x.name from Image x)", "subquery has too many columns"),
        ("index(i) = 1", "index() needs the alias of a joined collection"),
    ],
)
def test_what_hibernate_could_not_translate_is_refused(engine, images, condition, complaint):
    text = f"from Image i where {condition}"
    with pytest.raises(omero.QueryException) as caught:
        engine.find(text, None, None)
    assert complaint in caught.value.message
    assert caught.value.message.startswith(f"Illegal query:{text}\n")
    assert caught.value.message.endswith(f"[{text}]")
    assert caught.value.serverExceptionClass == "ome.services.query.QueryException"


# -- the laws of three values


@pytest.fixture(scope="module")
def engine_of_truth(make_lab):
    lab = make_lab()
    lab.add("Image", name="only")
    return Engine(lab.world)


TRUTH = {"1 = 1": True, "1 = 0": False, "i.series = 1": None}
ATOMS = st.sampled_from(sorted(TRUTH))


def conditions():
    """Conditions with their truth by Kleene's tables."""
    atoms = ATOMS.map(lambda text: (text, TRUTH[text]))
    return st.recursive(
        atoms,
        lambda inner: st.one_of(
            inner.map(lambda one: (f"not ({one[0]})", None if one[1] is None else not one[1])),
            st.tuples(inner, inner).map(lambda two: _joined("and", two, min, default=1)),
            st.tuples(inner, inner).map(lambda two: _joined("or", two, max, default=-1)),
        ),
        max_leaves=8,
    )


def _joined(word, two, choose, default):
    (left, first), (right, second) = two
    order = {True: 1, None: 0, False: -1}
    back = {place: truth for truth, place in order.items()}
    chosen = choose(order[first], order[second], default)
    return f"({left}) {word} ({right})", back[chosen]


@settings(max_examples=60, deadline=None)
@given(conditions())
def test_and_or_and_not_follow_kleene(engine_of_truth, told):
    text, truth = told
    found = [names(engine_of_truth, text), names(engine_of_truth, f"not ({text})")]
    assert [bool(one) for one in found] == [truth is True, truth is False]


@settings(max_examples=60, deadline=None)
@given(conditions(), conditions())
def test_de_morgan(engine_of_truth, left, right):
    one = f"not (({left[0]}) and ({right[0]}))"
    other = f"(not ({left[0]})) or (not ({right[0]}))"
    assert names(engine_of_truth, one) == names(engine_of_truth, other)


# -- like


def likes(text, pattern, escape):
    """Say whether a text is like a pattern, by trying: no regular expressions."""
    if not pattern:
        return not text
    head, rest = pattern[0], pattern[1:]
    if head == escape:
        return bool(text) and text[0] == rest[0] and likes(text[1:], rest[1:], escape)
    if head == "%":
        return any(likes(text[cut:], rest, escape) for cut in range(len(text) + 1))
    return bool(text) and head in ("_", text[0]) and likes(text[1:], rest, escape)


ALPHABET = "ab%_!.*[\n"


@settings(max_examples=300, deadline=None)
@given(st.text(ALPHABET, max_size=6), st.text(ALPHABET, max_size=6))
@example("a%b", "a!%b")
@example(".", "_")
def test_like_is_as_it_is_told(text, pattern):
    if re.search(r"(^|[^!])(!!)*!\Z", pattern):
        with pytest.raises(omero.ApiUsageException):
            like_regex(pattern, "!", ignore_case=False)
    else:
        matched = like_regex(pattern, "!", ignore_case=False).fullmatch(text) is not None
        assert matched == likes(text, pattern, "!")
