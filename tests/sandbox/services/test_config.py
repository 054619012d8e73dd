"""IConfig: what the server says about itself, and to whom."""

from __future__ import annotations

import omero
import pytest

SIZE = "omero.client.browser.thumb_default_size"


def test_the_version_is_three_numbers(omero_conn):
    parts = omero_conn.getConfigService().getVersion().split(".")
    assert len(parts) == 3
    assert all(part.isdigit() for part in parts)


def test_values_are_found_by_a_part_of_their_keys(omero_conn):
    config = omero_conn.getConfigService()
    found = config.getConfigValues("browser\\.thumb")
    assert found[SIZE] == config.getConfigValue(SIZE)
    assert all("browser.thumb" in key for key in found)
    assert all(key.startswith("omero.client.") for key in config.getClientConfigValues())


def test_a_wrong_regular_expression_is_refused(omero_conn):
    with pytest.raises(omero.ServerError):
        omero_conn.getConfigService().getConfigValues("(")


def test_administrators_change_values_under_a_condition(omero_root):
    config = omero_root.getConfigService()
    old = config.getConfigValue(SIZE)
    assert not config.setConfigValueIfEquals(SIZE, "80", "not the old one")
    assert config.setConfigValueIfEquals(SIZE, "80", old)
    assert config.getConfigValue(SIZE) == "80"
    config.setConfigValue(SIZE, old)


def test_the_defaults_of_clients_stay_as_they_were(omero_root):
    config = omero_root.getConfigService()
    old = config.getConfigValue(SIZE)
    config.setConfigValue(SIZE, "81")
    assert config.getClientConfigDefaults()[SIZE] == old
    config.setConfigValue(SIZE, old)


def test_ordinary_users_get_no_defaults_of_the_server(omero_conn):
    with pytest.raises(omero.SecurityViolation):
        omero_conn.getConfigService().getConfigDefaults()


def test_times_and_the_database_have_values(omero_conn):
    config = omero_conn.getConfigService()
    assert config.getServerTime().val > 0
    assert config.getDatabaseTime().val > 0
    assert config.getDatabaseUuid() == config.getDatabaseUuid()
