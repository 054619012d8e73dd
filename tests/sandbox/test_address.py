"""Which real server the tests use is said by the environment, and a fault in it is named."""

from __future__ import annotations

import pytest

from omero_hcs.errors import SettingsError
from omero_hcs.sandbox.address import Address, from_environment


def test_without_a_server_in_the_environment_there_is_none():
    assert from_environment({"OMERO_HCS_TEST_USER": "root"}) is None


@pytest.mark.parametrize(
    ("place", "host", "port"),
    [
        ("omero.lab", "omero.lab", 4064),
        ("omero.lab:14064", "omero.lab", 14064),
        ("[::1]", "::1", 4064),
        ("[::1]:14064", "::1", 14064),
    ],
)
def test_a_server_is_a_host_and_maybe_a_port(place, host, port):
    found = from_environment({"OMERO_HCS_TEST_SERVER": place, "OMERO_HCS_TEST_PASSWORD": "pw"})
    assert found == Address(host, port, "root", "pw")
    assert not found.is_sandbox


def test_the_password_is_the_first_line_of_a_file_and_in_no_repr(tmp_path):
    file = tmp_path / "password"
    file.write_text("very secret\n")
    found = from_environment(
        {
            "OMERO_HCS_TEST_SERVER": "omero.lab",
            "OMERO_HCS_TEST_USER": "admin",
            "OMERO_HCS_TEST_PASSWORD_FILE": str(file),
        }
    )
    assert (found.user, found.password) == ("admin", "very secret")
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("environment", "fault"),
    [
        ({"OMERO_HCS_TEST_SERVER": "omero.lab:tcp", "OMERO_HCS_TEST_PASSWORD": "x"}, "host:port"),
        ({"OMERO_HCS_TEST_SERVER": ":4064", "OMERO_HCS_TEST_PASSWORD": "x"}, "host:port"),
        ({"OMERO_HCS_TEST_SERVER": "omero.lab"}, "no password"),
        (
            {"OMERO_HCS_TEST_SERVER": "a", "OMERO_HCS_TEST_PASSWORD_FILE": "/no/such/file"},
            "cannot be read",
        ),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(environment, fault):
    with pytest.raises(SettingsError, match=fault):
        from_environment(environment)
