from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image

from omero_hcs.model import well_name
from omero_hcs.report.columns import NO_VALUE
from omero_hcs.report.overview import (
    OverviewData,
    PlateLine,
    overview_headline,
    plate_caption,
    render_overview,
)
from omero_hcs.report.overview_picture import WIDTH, overview_picture
from omero_hcs.results import Table

EVIL = "<script>alert('x')</script> & \"quoted\" {{ 7 * 7 }} 細胞"
RUN = "20261121T063000Z-3fa9c1d2"
WEB = "https://omero.example.org/webclient/?show=plate-5"


def plate(name="P1", share=0.1, rows=2, columns=3, **more):
    names = [well_name(row, column) for row in range(rows) for column in range(columns)]
    shares = np.full(len(names), share)
    shares[0] = np.nan
    verdict = np.where(np.isnan(shares), "unknown", np.where(shares > 0.2, "warn", "pass"))
    cells = np.where(np.isnan(shares), 0, 10)
    wells = Table({
        "well": np.array(names), "cells": cells, "abnormal_fraction": shares, "verdict": verdict
    })  # fmt: skip
    given = {"fields": 12, "run_id": RUN} | more
    return PlateLine(name, rows, columns, wells, **given)


def overview(*plates, **more):
    return OverviewData(more.pop("screen", "S"), "2026-11-21 06:30 UTC", plates, **more)


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.decode().partition("<body>")[2]))


def test_the_first_lines_say_what_came_out():
    data = overview(plate(), plate(share=0.3), PlateLine("P3", note="no quality check yet"))
    assert overview_headline(data) == (
        "20.0 % of 100 cells on 2 plates look abnormal.",
        "Wells: 5 warn, 5 pass, 2 unknown.",
        "1 plate has no results.",
    )


def test_nothing_judged_is_not_said_to_be_good():
    data = overview(plate(share=float("nan")))
    assert overview_headline(data)[0] == "No cell could be judged on 1 plate."
    assert plate_caption(data.plates[0]) == "no cell judged"


def test_each_plate_has_a_row_and_those_without_results_a_reason():
    lines = [plate("A", failed=2, without_nuclei=1), PlateLine("B", note="it has no images")]
    text = text_of(render_overview(overview(*lines)))
    assert "A 6 12 50 10.0 5 0 0 1 2 1" in text
    assert f"B {NO_VALUE} {NO_VALUE}" in text
    assert "Why B it has no images" in text


def test_a_plate_has_its_verdict_where_its_run_has_one():
    lines = [plate("A", verdict="fail"), plate("B", verdict="pass"), plate("C")]
    page = render_overview(overview(*lines))
    assert "Plates: 1 fail, 1 pass. Wells: 15 pass, 3 unknown." in text_of(page)
    assert '<span class="badge bad">fail</span>' in page.decode()
    assert f"C {NO_VALUE} 6" in text_of(page)
    assert "Verdict" not in text_of(render_overview(overview(plate("C"))))


def test_names_are_text_and_never_markup():
    page = render_overview(
        overview(plate(EVIL, verdict=EVIL), PlateLine(EVIL, note=EVIL), screen=EVIL)
    ).decode()
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert") >= 6
    assert page.count("<script") == 1


def test_it_leads_to_pages_only_where_they_are_known():
    known = render_overview(overview(plate(href=WEB, report=f"{WEB}&r"), href=WEB)).decode()
    assert known.count(f'href="{WEB}"') == 3
    assert 'rel="noopener noreferrer"' in known
    assert f'href="{WEB}&amp;r"' in known
    unknown = render_overview(overview(plate())).decode()
    assert "href=" not in unknown
    assert ">Report<" not in unknown


def test_the_runs_are_told_where_there_are_several():
    one, two = overview(plate(), plate()), overview(plate(), plate(run_id="another run"))
    assert ">Run<" not in render_overview(one).decode()
    assert text_of(render_overview(two)).count("another run") == 2


def test_all_plates_share_one_scale_of_colours():
    pale, dark = plate("A", share=0.02), plate("B", share=0.78)
    colors = re.findall(r'<path fill="(#\w+)"', render_overview(overview(pale, dark)).decode())
    alone = re.findall(r'<path fill="(#\w+)"', render_overview(overview(pale)).decode())
    assert len(set(colors)) == 3  # pale, dark, and the wells without a value
    assert set(alone) - set(colors)


@pytest.mark.parametrize("count", [0, 1, 12, 40])
def test_the_picture_has_all_plates_and_one_width(count):
    sizes = [(8, 12), (16, 24)]
    plates = [plate(f"{EVIL} {n}" * 3, 0.1, *sizes[n % 2]) for n in range(count)]
    data = overview(*plates, screen="very long name " * 20)
    picture = Image.open(io.BytesIO(overview_picture(data)))
    assert picture.width == WIDTH
    assert picture.height < 200 + 230 * max(count, 3)
    assert overview_picture(data) == overview_picture(data)
