"""The real OMERO.web, and what omero-parade asks it, on a plate with tables of runs."""

from __future__ import annotations

import http.cookiejar
import json
import urllib.parse
import urllib.request
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from omero_hcs.results import Table
from omero_hcs.sandbox import web
from omero_hcs.stores.omero.tables import save_tables

pytestmark = pytest.mark.slow


@pytest.fixture
def ask(omero_server, omero_tiny, tmp_path):
    """Ask OMERO.web as the plate's owner: ``ask("webgateway/...")``."""
    if not omero_server.is_sandbox:
        pytest.skip("OMERO.web is started for the sandbox only")
    user = omero_tiny.owner
    place = SimpleNamespace(home=tmp_path, host=omero_server.host, port=omero_server.port)
    cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    opener = urllib.request.build_opener(cookies, urllib.request.ProxyHandler({}))
    with web.start_web(place) as page:

        def get(path, data=None, **headers):
            url = page.url + path
            request = urllib.request.Request(url, data, {"Referer": url, **headers})  # noqa: S310
            with opener.open(request, timeout=60) as answer:
                return json.load(answer)

        token = get("api/v0/token/")["data"]
        form = {"username": user.name, "password": user.password, "server": 1}
        get("api/v0/login/", urllib.parse.urlencode(form).encode(), **{"X-CSRFToken": token})
        yield get


def test_it_shows_the_latest_runs_row_of_a_well_and_nothing_else_of_ours(context, ask):
    names = ["A01", "B03", "H12"]
    for run_id, verdict in (("20250101T120000-0000aaaa", "pass"), (context.run_id, "warn")):
        wells = {"well": np.array(names), "verdict": np.array([verdict] * 3)}
        cells = {"well": np.array(names), "dose": np.array([1, np.nan, 3])}
        tables = {"cells": Table(cells), "wells": Table(wells)}
        save_tables(replace(context, run_id=run_id), tables)
    well, (_, plate) = context.wells["B03"], context.anchors[0]

    # What the right panel lists for a well, and what parade takes the first of.
    shown = ask(f"webgateway/annotations/Plate.wells/{well}/")["data"]
    assert [table["name"] for table in shown] == [f"omero-hcs-wells-{context.run_id}.h5"]
    assert ask(f"webgateway/annotations/Plate/{plate}/")["data"] == shown
    assert ask(f"webgateway/annotations/Screen.plateLinks.child/{plate}/")["data"] == []

    # What viewers and the right panel ask for the row of a well.
    found = ask(f"webgateway/table/Plate.wells/{well}/query/?query=Well-{well}")["data"]
    assert found["columns"] == ["Well", "Well_Name", "verdict"]
    assert found["rows"] == [[well, "B03", "warn"]]
    assert found["column_types"][0].startswith("WellColumn")
