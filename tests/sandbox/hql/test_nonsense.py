"""Whatever is asked, the answer is a result or one of OMERO's own exceptions."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omero_hcs.sandbox.hql.engine import Engine
from omero_hcs.sandbox.ice.record import omero

WORDS = (
    *("select", "distinct", "new map", "new", "map", "(", ")", ",", "from", "where", "and", "or"),
    *("not", "in", "like", "is", "null", "empty", "between", "exists", "join", "left", "fetch"),
    *("with", "as", "order by", "group", "by", "having", "case", "when", "then", "else", "end"),
    *("=", "<>", "<", ">", "+", "-", "*", "/", "||", ":", "?", "'", ".", ";", "#"),
    *("i", "p", "i.id", "i.name", "i.pixels", "p.sizeX", "i.details.owner.id", "p.physicalSizeX"),
    *("i.class", "Image", "Pixels", "TagAnnotation", "Foo", "count", "size", "index", "max"),
    *("lower", "type", "cast", "coalesce", "elements", "member", "of", "1", "2.5", "'x'", "true"),
    *(":id", ":ids", "(select", "all", "asc", "desc", "p.image", "extract", "epoch", "size("),
)
PIECES = (
    "select i from Image i",
    "select p.id, count(*) from Pixels p group by p.id",
    "from Image i left join fetch i.pixels p",
    "where i.id in (:ids)",
    "where exists (select p from Pixels p where p.image = i)",
    "order by i.id desc",
    "and i.name like :id",
    "having count(*) > 1",
)


def ask(engine, text):
    parameters = omero.sys.ParametersI().addId(1).addIds([1, 2]).addString("text", "i")
    for call in (engine.project, engine.find):
        with contextlib.suppress(omero.ServerError):
            call(text, parameters, None)


@pytest.fixture(scope="module")
def engine(make_lab):
    lab = make_lab()
    image = lab.add("Image", name="i", series=1, acquisitionDate=1_600_000_000_000)
    size = omero.model.LengthI(0.65, omero.model.enums.UnitsLength.MICROMETER)
    lab.add("Pixels", image=image, sizeX=1, physicalSizeX=size)
    lab.add("Pixels", image=image)
    lab.add("Image", name="j")
    lab.add("ImageAnnotationLink", parent=image, child=lab.add("TagAnnotation", textValue="t"))
    return Engine(lab.world)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(WORDS) | st.sampled_from(PIECES), max_size=14).map(" ".join))
def test_words_in_any_order(engine, text):
    ask(engine, text)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join),
    st.sampled_from(("select {} from Image i, Pixels p", "from Image i where {}")),
)
def test_words_where_an_expression_belongs(engine, words, frame):
    ask(engine, frame.format(words))


ATOMS = st.sampled_from(
    [
        *("i", "p", "i.id", "i.name", "i.series", "p.image", "p.image.name", "p.sizeX", "p"),
        *("i.class", "i.details", "i.details.owner", "i.details.permissions", "i.pixels"),
        *("p.physicalSizeX", "p.physicalSizeX.value", "p.physicalSizeX.unit", "i.acquisitionDate"),
        *("1", "2.5", "-3", "'x'", "'1'", "''", "true", "null", ":id", ":ids", ":text", "Image"),
        *("(select x.id from Image x where x = i)", "(select max(x.id) from Image x)"),
    ]
)
FORMS = (
    "({} + {})", "({} - {})", "({} * {})", "({} / {})", "({} || {})", "({} = {})", "({} < {})",
    "({} != {})", "({} and {})", "({} or {})", "({} like {})", "({} in ({}))", "({} in {})",
    "({} is {})", "concat({}, {})", "coalesce({}, {})", "mod({}, {})", "substring({}, {})",
    "nullif({}, {})", "locate({}, {})", "({} between {} and 3)", "case {} when {} then 1 end",
    "case when {} then {} else 2 end", "({} > all (select x.id from Image x where x.id = {}))",
)  # fmt: skip
LONE_FORMS = (
    "-{}", "(not {})", "({} is null)", "({} is not empty)", "lower({})", "upper({})", "length({})",
    "trim({})", "abs({})", "sqrt({})", "round({})", "year({})", "str({})", "type({})", "size({})",
    "cast({} as long)", "cast({} as string)", "cast({} as double)", "extract(epoch from {})",
    "count({})", "sum({})", "avg({})", "max({})", "min(distinct {})", "index({})", "maxindex({})",
    "(exists elements({}))", "({} member of i.pixels)", "({} in elements(i.pixels))", "object({})",
)  # fmt: skip


def expressions():
    """Well-formed expressions that mean anything or nothing."""
    return st.recursive(
        ATOMS,
        lambda inner: st.one_of(
            st.builds(str.format, st.sampled_from(LONE_FORMS), inner),
            st.builds(str.format, st.sampled_from(FORMS), inner, inner),
        ),
        max_leaves=5,
    )


@settings(max_examples=600, deadline=None, derandomize=True)
@given(
    expressions(),
    st.sampled_from(
        (
            "select i.id, {} from Image i, Pixels p",
            "from Image i join i.pixels p where {}",
            "select i.id from Image i left join i.pixels p order by {}",
            "select {} from Image i join i.pixels p group by {}",
            "select distinct {} from Image i join i.pixels p",
            "select p.id from Pixels p left join p.image i with {}",
            "select count(*) from Image i join i.pixels p group by i.id having {}",
        )
    ),
)
def test_any_expression_anywhere(engine, expression, frame):
    ask(engine, frame.replace("{}", expression))


@settings(derandomize=True)
@given(st.text())
def test_any_text(engine, text):
    ask(engine, text)


@pytest.mark.parametrize("depth", [50, 500, 5000])
@pytest.mark.parametrize(("opening", "closing"), [("(", ")"), ("not (", ")"), ("-", "")])
def test_any_depth(engine, depth, opening, closing):
    ask(engine, f"from Image i where i.id = {opening * depth}1{closing * depth}")


def test_any_length(engine):
    many = " or ".join(f"i.id = {number}" for number in range(3000))
    assert len(engine.find(f"from Image i where {many}", None, None)) == 2
