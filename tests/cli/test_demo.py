"""`omero-hcs demo`: what is refused before anything is started."""

from __future__ import annotations

import socket


def test_a_plate_on_disk_is_not_served(omero_hcs):
    said = omero_hcs("demo", "--serve", "--on-disk")
    assert said.code == 2
    assert "Pass --serve or --on-disk, not both" in said.err


def test_a_port_that_is_taken_is_named_with_its_option(omero_hcs):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = omero_hcs("demo", "--serve", "--web-port", taken.getsockname()[1])
    assert said.code == 2
    assert "Pass --web-port" in said.err
