from __future__ import annotations

import pytest

from omero_hcs.sandbox.hql import syntax as s
from omero_hcs.sandbox.hql.faults import HqlError
from omero_hcs.sandbox.hql.parse import parse


def where(text):
    """The condition of a query, parsed."""
    return parse(f"from Image i where {text}").where


def selected(text):
    return where(f"x = {text}").right if text != "null" else s.Literal(None, None)


@pytest.mark.parametrize(
    "text",
    [
        "from Image",
        "FROM Image AS i WHERE i.id = 1",
        "select distinct i from Image i",
        "select new map(i.id as id, i as i_details_permissions) from Image i",
        "select i from Image i, Dataset d where i.id = d.id",
        "select i from Image i left outer join fetch i.pixels p with p.sizeX > 1",
        "select g from ExperimenterGroup g where g.details.group = 1 group by g.member",
        "select i from Image i fetch all properties where i.order = 1 order by i.order asc, i.id",
        "select (select count(*) from Pixels p where p.image = i) from Image i",
        "select i from Image i where (i.a, i.b) in (select p.a, p.b from Pixels p)",
        "select extract(epoch from i.creationEvent.time) from Image i",
    ],
)
def test_queries_of_every_shape_are_read(text):
    assert isinstance(parse(text), s.Query)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("select i from", "unexpected end of query"),
        ("select from Image", "unexpected token"),
        ("i from Image", "unexpected token: i near line 1, column 1"),
        ("select i from Image i where", "unexpected end of query"),
        ("select i from Image i where i.id = 1;", "unexpected char: ';'"),
        ("select i from Image i where i.id = ?", "Positional parameters"),
        ("select i from Image i where i.id = ?1", "Positional parameters"),
        ("select i from Image i right join i.pixels p", "right join is not supported"),
        ("select i from Image i order by i.id nulls first", "unexpected token: nulls"),
    ],
)
def test_what_is_no_query_is_refused_with_the_place(text, complaint):
    with pytest.raises(HqlError, match=complaint.replace("?", r"\?")):
        parse(text)


def test_and_binds_more_than_or_and_not_more_than_and():
    a, b, c = (s.IsNull(s.Path((name,))) for name in "abc")
    assert where("a is null or b is null and not c is null") == s.Or((a, s.And((b, s.Not(c)))))


def test_products_bind_more_than_sums():
    one, two, three = (s.Literal(number, "RInt") for number in (1, 2, 3))
    product = s.Arithmetic("*", two, three)
    assert selected("1 + 2 * 3") == s.Arithmetic("+", one, product)
    assert selected("(1 + 2) * 3") == s.Arithmetic("*", s.Arithmetic("+", one, two), three)
    assert selected("3 - 2 - 1") == s.Arithmetic("-", s.Arithmetic("-", three, two), one)


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("12", s.Literal(12, "RInt")),
        ("12L", s.Literal(12, "RLong")),
        ("3000000000", s.Literal(3_000_000_000, "RLong")),
        ("1.5", s.Literal(1.5, "RDouble")),
        ("1e3", s.Literal(1000.0, "RDouble")),
        ("1.5f", s.Literal(1.5, "RFloat")),
        ("'it''s'", s.Literal("it's", "RString")),
        ("TRUE", s.Literal(value=True, rtype="RBool")),
        ("null", s.Literal(None, None)),
    ],
)
def test_literals_have_the_types_that_omero_sends(text, literal):
    assert selected(text) == literal


def test_a_comparison_with_null_is_read_as_is_null():
    assert where("i.name = null") == s.IsNull(s.Path(("i", "name")))
    assert where("i.name <> null") == s.Not(s.IsNull(s.Path(("i", "name"))))


def test_is_is_equality():
    equal = s.Comparison("=", s.Path(("i", "class")), s.Path(("TagAnnotation",)))
    assert where("i.class is TagAnnotation") == where("i.class = TagAnnotation") == equal
    assert where("i.class IS  NOT TagAnnotation") == where("i.class <> TagAnnotation")


def test_words_of_the_language_are_names_after_a_point():
    path = "i.group.order.member.index.type.class.end"
    assert where(path + " = 1").left.names == tuple(path.split("."))


def test_every_negated_condition_is_the_negation_of_the_condition():
    for plain, negated in (
        ("i.id in (1)", "i.id not in (1)"),
        ("i.name like 'a'", "i.name not like 'a'"),
        ("i.id between 1 and 2", "i.id not between 1 and 2"),
        ("i.pixels is empty", "i.pixels is not empty"),
        ("i member of d.images", "i not member of d.images"),
    ):
        assert where(negated) == s.Not(where(plain))
