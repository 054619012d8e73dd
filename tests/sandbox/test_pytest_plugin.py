"""The plugin as another project would use it: opt-in, one server a session, nothing left."""

from __future__ import annotations

import re

import pytest

USES = """
    from pathlib import Path

    def test_connection(omero_conn, omero_user, omero_server):
        Path("made").write_text(omero_user.name)
        assert omero_conn.getUser().getName() == omero_user.name
        assert not omero_conn.isAdmin()
        assert omero_server.port

    def test_second_user_is_in_the_same_group(omero_conn, omero_second_conn):
        assert omero_conn.getEventContext().groupId == omero_second_conn.getEventContext().groupId
        assert omero_conn.getUserId() != omero_second_conn.getUserId()

    def test_root(omero_root):
        assert omero_root.isAdmin()

    def test_level(omero_group, omero_make_user, omero_connect):
        conn = omero_connect(omero_make_user(omero_group))
        assert conn.getEventContext().groupName == omero_group.name

    def test_factory(omero_make_group, omero_make_user, omero_connect):
        group = omero_make_group("read-only")
        assert omero_connect(omero_make_user(group, owns=[group])).isLeader(group.id)
"""


@pytest.fixture
def with_server(monkeypatch, omero_server):
    """A session of the plugin that uses the server we have already, as if it were a real one."""
    monkeypatch.setenv("OMERO_HCS_TEST_SERVER", f"{omero_server.host}:{omero_server.port}")
    monkeypatch.setenv("OMERO_HCS_TEST_USER", omero_server.user)
    monkeypatch.setenv("OMERO_HCS_TEST_PASSWORD", omero_server.password)
    monkeypatch.delenv("OMERO_HCS_TEST_PASSWORD_FILE", raising=False)


def run(pytester, *more):
    return pytester.runpytest_subprocess("-p", "omero_hcs.sandbox.pytest_plugin", *more)


def test_the_fixtures_work_against_a_given_server_and_leave_nothing_there(
    pytester, with_server, omero_server, omero_root
):
    pytester.makepyfile(USES)
    result = run(pytester)
    result.assert_outcomes(passed=8)
    made = (pytester.path / "made").read_text()
    # A server keeps whoever has logged in, without a password; then the plugin says so.
    kept = omero_root.getQueryService().findByString("Experimenter", "omeName", made)
    prefix = re.match(r"hcs-test-[0-9a-f]+", made)[0]
    assert kept is None or f"named {prefix}" in result.stdout.str()


def test_the_plugin_is_opt_in(pytester):
    pytester.makepyfile(USES)
    pytester.runpytest_subprocess().assert_outcomes(errors=5)


def test_loading_the_plugin_imports_no_omero_and_starts_nothing(pytester):
    pytester.makepyfile(
        """
        import sys

        def test_nothing_heavy_is_loaded():
            assert not {"omero", "Ice", "IcePy"} & set(sys.modules)
        """
    )
    run(pytester).assert_outcomes(passed=1)
