from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from omero_hcs.model import well_name
from omero_hcs.report.data import (
    FailedField,
    GalleryItem,
    MetricsBeside,
    PlateVerdict,
    ReportData,
    Thumbnail,
)
from omero_hcs.report.gallery import field_thumbnail
from omero_hcs.report.measures import WellMeasure
from omero_hcs.report.page import MAX_GALLERY, render_report
from omero_hcs.report.places import PlaceEffect
from omero_hcs.results import Table

EVIL = "<script>alert('x')</script> & \"quoted\" {{ 7 * 7 }}"


class _Page(HTMLParser):
    """Tags with their attributes, as a browser would see them."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html.decode("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def sections(self) -> set[str | None]:
        return {attrs.get("id") for attrs in self.named("section")}


def _thumbnail(label: str, cells: int = 20, abnormal: int = 3) -> Thumbnail:
    rng = np.random.default_rng(len(label))
    picture = field_thumbnail(rng.random((2, 200, 300)), width=320)
    boxes = tuple((10 * i, 10, 10 * i + 8, 18, i < abnormal) for i in range(cells))
    return Thumbnail(label, picture, boxes, (200, 300), f"{cells} cells")


def _wells(rows: int, columns: int) -> Table:
    names = [well_name(row, column) for row in range(rows) for column in range(columns)]
    fraction = np.linspace(0.0, 0.4, len(names))
    verdict = np.where(fraction < 0.2, "pass", "review")
    return Table({
        "well": np.array(names),
        "treatment": np.array(["Wortmannin"] * len(names)),
        "dose": np.full(len(names), 15.625),
        "dose_unit": np.array(["nM"] * len(names)),
        "role": np.array(["negative_control"] + ["treatment"] * (len(names) - 1)),
        "cells": np.full(len(names), 200),
        "abnormal_fraction": fraction,
        "n_debris": np.arange(len(names)),
        "verdict": verdict,
    })  # fmt: skip


def _data(**changes: Any) -> ReportData:
    crop = np.full((96, 96, 3), 90, np.uint8)
    data = ReportData(
        title="Quality of P1",
        run_id="20261121T063000-3fa9c1d2",
        task="apply_qc",
        plate_name="P1",
        created="2026-11-21 06:30 UTC",
        summary=(("wells judged", "24"),),
        rows=4,
        columns=6,
        wells=_wells(4, 6),
        fields=Table({
            "well": np.array(["A01", "A02"]),
            "cells": np.array([100, 100]),
            "abnormal_fraction": np.array([0.1, 0.0]),
        }),
        class_counts={"normal": 4000, "debris": 800},
        abnormal_gallery=(GalleryItem(crop, "A01 field 1, debris", 0.97),),
        normal_gallery=(GalleryItem(crop, "A02 field 1, normal", 0.02),),
        thumbnails=(_thumbnail("A01 field 1"),),
        fields_without_nuclei=(FailedField("B01 field 1", "no nuclei, focus 0.03"),),
        failed=(FailedField("B02 field 1", "file truncated"),),
        model_card={"name": "m", "classes": ["normal", "debris"], "metrics": {"f1": 0.961}},
        warnings=("The nuclear channel was chosen by its name: DNA.",),
        params={"channels": ["GFP", "DNA"], "seed": 1},
        versions={"omero-hcs": "0.1.0"},
        color_note="GFP cyan, DNA magenta",
    )  # fmt: skip
    return dataclasses.replace(data, **changes)


def test_names_from_users_are_text_and_never_markup():
    wells = _wells(4, 6).with_columns(
        treatment=np.array([EVIL] * 24), verdict=np.array([EVIL] * 24)
    )
    page = _Page(
        render_report(
            _data(
                title=EVIL,
                plate_name=EVIL,
                run_id=EVIL,
                wells=wells,
                summary=((EVIL, EVIL),),
                class_counts={EVIL: 4},
                abnormal_gallery=(GalleryItem(np.zeros((8, 8, 3), np.uint8), EVIL, 0.9),),
                thumbnails=(dataclasses.replace(_thumbnail("A01"), label=EVIL, caption=EVIL),),
                failed=(FailedField(EVIL, EVIL),),
                fields_without_nuclei=(FailedField(EVIL, EVIL),),
                model_card={EVIL: {EVIL: [EVIL]}},
                warnings=(EVIL,),
                params={EVIL: EVIL},
                color_note=EVIL,
                plate=PlateVerdict(EVIL, EVIL),
                kept=EVIL,
                thresholds=EVIL,
                effects=(PlaceEffect("cells", "edge", EVIL), PlaceEffect(EVIL, EVIL, EVIL)),
                place_notes=(EVIL,),
                beside=MetricsBeside(1, 2, (FailedField(EVIL, EVIL),), (FailedField(EVIL, EVIL),)),
                measures=(WellMeasure(EVIL, "", {(0, 0): 1.0}, about=EVIL, key="cells"),),
            )
        )
    )
    assert len(page.named("script")) == 1
    assert page.named("title")  # the heading, and one a well
    assert EVIL in page.text
    assert "49" not in page.text.replace(EVIL, "").split()


def test_the_page_needs_nothing_from_outside():
    html = render_report(_data())
    page = _Page(html)
    links = [
        a[k] or "" for _, a in page.tags for k in ("src", "href", "srcset", "action") if k in a
    ]
    assert links
    assert all(link.startswith(("#", "data:image/")) for link in links)
    assert b"@import" not in html
    assert b"url(" not in html


def test_every_link_inside_the_page_has_its_target():
    page = _Page(render_report(_data()))
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {(a["href"] or "").removeprefix("#") for a in page.named("a")} <= set(ids)


def test_policy_allows_the_one_script_and_nothing_else():
    html = render_report(_data()).decode("utf-8")
    policy = next(
        a["content"] or ""
        for a in _Page(html.encode()).named("meta")
        if a.get("http-equiv") == "Content-Security-Policy"
    )
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy


@pytest.mark.parametrize(
    ("section", "without"),
    [
        ("plate", {"wells": None, "rows": 0, "columns": 0}),
        ("wells", {"wells": None, "rows": 0, "columns": 0}),
        ("classes", {"class_counts": {}}),
        ("thumbnails", {"thumbnails": ()}),
        ("no-nuclei", {"fields_without_nuclei": ()}),
        ("failed", {"failed": ()}),
        ("fields", {"fields": Table({})}),
        ("model", {"model_card": None}),
    ],
)
def test_a_section_is_there_only_with_content(section, without):
    assert section in _Page(render_report(_data())).sections
    page = _Page(render_report(_data(**without)))
    assert section not in page.sections
    assert f"#{section}" not in {a.get("href") for a in page.named("a")}


def test_the_page_says_what_was_run_and_how_to_undo_it():
    text = _Page(render_report(_data())).text
    assert "omero-hcs undo 20261121T063000-3fa9c1d2" in text
    for expected in ("apply_qc", "GFP, DNA", "omero-hcs 0.1.0", "F1", "0.961"):
        assert expected in text
    assert "file truncated" in text
    assert "chosen by its name: DNA" in text


def test_no_abnormal_cells_is_said_in_words():
    page = _Page(render_report(_data(abnormal_gallery=())))
    assert "No abnormal cells." in page.text


def test_an_empty_run_still_makes_a_page():
    bare = ReportData("T", "r", "apply_qc", "folder", "now", failed=(FailedField("a.tif", "bad"),))
    page = _Page(render_report(bare))
    assert "No field could be judged" in page.text
    assert page.sections == {"failed", "run"}


def test_every_picture_has_an_alternative_text_and_every_header_a_scope():
    page = _Page(render_report(_data()))
    assert all(a.get("alt") for a in page.named("img"))
    assert all(a.get("scope") in ("col", "row") for a in page.named("th"))


def test_same_data_gives_the_same_bytes():
    assert render_report(_data()) == render_report(_data())


def test_galleries_are_limited_and_say_so():
    item = GalleryItem(np.zeros((96, 96, 3), np.uint8), "A01", 0.9)
    page = _Page(render_report(_data(abnormal_gallery=(item,) * (MAX_GALLERY + 5))))
    assert (
        sum((a["alt"] or "").startswith("Abnormal cell") for a in page.named("img")) == MAX_GALLERY
    )
    assert f"The first {MAX_GALLERY} of {MAX_GALLERY + 5}." in page.text


@pytest.mark.parametrize(("rows", "columns", "limit"), [(8, 12, 5e6), (32, 48, 15e6)])
def test_a_whole_plate_stays_small(rows, columns, limit):
    rng = np.random.default_rng(0)
    noise = rng.random((96, 96, 3)) * 255  # the worst that JPEG can meet
    items = tuple(GalleryItem(noise.astype(np.uint8), f"A01 {i}", 0.9) for i in range(60))
    picture = field_thumbnail(rng.random((3, 320, 320)))
    boxes = tuple((y, x, y + 128, x + 128, x % 3 == 0) for y in range(20) for x in range(15))
    wells = _wells(rows, columns)
    thumbnails = tuple(Thumbnail(name, picture, boxes, (2160, 2160), "") for name in wells["well"])
    html = render_report(
        _data(
            rows=rows,
            columns=columns,
            wells=wells,
            fields=wells,
            abnormal_gallery=items,
            normal_gallery=items,
            thumbnails=thumbnails,
        )
    )
    assert len(html) < limit


WEB = "https://omero.example.org/webclient/?show="


def test_pages_of_the_web_are_led_to_where_they_are_known():
    crop = np.full((96, 96, 3), 90, np.uint8)
    known = _data(
        href=f"{WEB}plate-1",
        well_pages={"A01": f"{WEB}well-2"},
        abnormal_gallery=(GalleryItem(crop, "A01 field 1, debris", 0.9, f"{WEB}image-3"),),
        thumbnails=(dataclasses.replace(_thumbnail("A01 field 1"), href=f"{WEB}image-4"),),
        failed=(FailedField("B02 field 1", "file truncated", f'{WEB}image-5"><script>'),),
    )
    links = [a for a in _Page(render_report(known)).named("a") if a["href"].startswith("http")]
    ends = ["plate-1", "image-3", "well-2", "image-4", 'image-5"><script>', "well-2"]
    assert [link["href"] for link in links] == [f"{WEB}{end}" for end in ends]
    assert all(link["rel"] == "noopener noreferrer" for link in links)
    none = _Page(render_report(_data())).named("a")
    assert all(link["href"].startswith("#") for link in none)


def test_other_measures_are_drawn_by_the_page_itself():
    values = {(0, 0): 12.0, (0, 1): None}
    page = _Page(render_report(_data(measures=(WellMeasure("Cells", "", values),))))
    assert "measures" in page.sections
    assert "A01: 12" in page.text
    assert "A02: no value" in page.text


def test_the_plate_has_its_verdict_and_effects_of_places_stand_by_its_picture():
    effect = PlaceEffect("cells", "edge", "Wells at the edge have 20 % fewer cells.")
    measure = WellMeasure("Cells", "", {(0, 0): 1.0}, key="cells")
    page = _Page(
        render_report(
            _data(
                plate=PlateVerdict("fail", "9 of 24 wells failed (38 %)"),
                effects=(effect,),
                place_notes=("Columns carry treatments of their own.",),
                measures=(measure,),
            )
        )
    )
    assert "This plate: fail 9 of 24 wells failed (38 %)" in page.text
    assert "Places on the plate have an effect on: cells (edge)." in page.text
    assert page.text.count(effect.text) == 2  # below the plate, and below the picture of cells
    assert "Columns carry treatments of their own." in page.text
    assert [a for a in page.named("rect") if a.get("class") == "edge"]


def test_where_model_and_metrics_differ_fields_are_listed():
    beside = MetricsBeside(
        3, 90, (FailedField("B03 field 1", "fail: 80 % abnormal"),),
        (FailedField("C04 field 2", "out of focus (DNA)"),) * 2,
    )  # fmt: skip
    page = _Page(render_report(_data(beside=beside)))
    assert "metrics" in page.sections
    assert "Model: warns or fails 3 1 Model: passes 2 90" in page.text
    assert "Only the model finds these bad" in page.text
    assert "out of focus (DNA)" in page.text
    assert "metrics" not in _Page(render_report(_data())).sections


def test_a_report_of_a_run_before_there_were_plate_verdicts_has_none():
    assert "This plate" not in _Page(render_report(_data())).text
