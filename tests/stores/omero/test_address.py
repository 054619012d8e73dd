"""OMERO URIs: what they name, and what is refused."""

from __future__ import annotations

import pytest

from omero_hcs.errors import InputError
from omero_hcs.stores.omero.address import parse_address


@pytest.mark.parametrize(
    ("uri", "normal"),
    [
        ("omero://lab/plate/51", "omero://lab:4064/plate/51"),
        ("omero://lab:14064/dataset/7,8,7", "omero://lab:14064/dataset/7,8"),
        ("omero://ada@lab/image/1/", "omero://ada@lab:4064/image/1"),
        ("omero://[::1]:4064/well/3", "omero://[::1]:4064/well/3"),
    ],
)
def test_a_uri_has_one_normal_form(uri, normal):
    assert parse_address(uri).uri == normal
    assert parse_address(normal).uri == normal


@pytest.mark.parametrize(
    "uri",
    [
        "omero://lab",
        "omero://lab/plate",
        "omero://lab/plate/one",
        "omero://lab/fish/1",
        "omero:///plate/1",
        "http://lab/plate/1",
        "omero://lab/plate/1;rm",
        "omero://lab/plate/-1",
    ],
)
def test_what_is_no_object_is_refused_with_an_example(uri):
    with pytest.raises(InputError, match="omero://host/plate/51"):
        parse_address(uri)


def test_a_server_alone_is_allowed_where_that_is_asked_for():
    assert parse_address("omero://lab", server_only=True).kind is None


def test_a_password_in_a_uri_is_refused_and_not_repeated():
    with pytest.raises(InputError, match="PASSWORD_FILE") as caught:
        parse_address("omero://ada:hunter2@lab/plate/51")
    assert "hunter2" not in str(caught.value)
