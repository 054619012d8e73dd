"""Tags and key-values of a quality run: what gets them, with which words, and what does not."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from omero_hcs.model import ObjectRef
from omero_hcs.results import Table
from omero_hcs.settings import Thresholds
from omero_hcs.tasks.apply_qc import Params
from omero_hcs.tasks.qc_notes import NAMESPACE, image_rows, qc_key_values, qc_tags
from omero_hcs.tasks.thresholds import described

PLATE = ObjectRef(kind="plate", id="51")
SET = ObjectRef(kind="images", id="dataset:7")


def field(image, verdict, cells=10, fraction=0.1, status="done"):
    return {
        "image": image, "verdict": verdict, "cells": cells, "abnormal_fraction": fraction,
        "status": status,
    }  # fmt: skip


TABLES = {
    "cells": Table({"class": np.array(["normal", "normal", "blurred", "normal"])}),
    "fields": Table.from_rows(
        [field("1", "pass"), field("2", "fail", 3, 0.6), field("3", "", 0, np.nan, "failed")]
    ),
    "wells": Table.from_rows(
        [
            {"well": "A01", "verdict": "pass", "cells": 10, "abnormal_fraction": 0.1},
            {"well": "A02", "verdict": "fail", "cells": 3, "abnormal_fraction": 0.6},
            {"well": "A03", "verdict": "unknown", "cells": 0, "abnormal_fraction": np.nan},
        ]
    ),
}
NO_PLATE = {name: table for name, table in TABLES.items() if name != "wells"}


def run(**params):
    return {
        "run_id": "r1",
        "model": {"name": "m"},
        "classes": ["normal", "blurred"],
        "params": Params(**params).model_dump(mode="json"),
    }


def tags(target=PLATE, tables=TABLES, **params):
    found = qc_tags(run(**params), target, tables)
    return [(tag.object_kind, tag.object_id, tag.text) for tag in found]


def notes(target=PLATE, tables=TABLES, **params):
    found = qc_key_values(run(**params), target, tables)
    return {(item.object_kind, item.object_id): dict(item.pairs) for item in found}


class TestTags:
    def test_wells_that_need_a_look_are_tagged(self):
        assert tags() == [("well", "51/A02", "QC: fail")]

    def test_so_are_images_where_that_is_asked_for(self):
        assert tags(tag_images=True) == [
            ("well", "51/A02", "QC: fail"),
            ("image", "2", "QC: fail"),
        ]
        assert tags(SET, NO_PLATE, tag_images=True) == [("image", "2", "QC: fail")]

    def test_their_text_is_the_users(self):
        assert tags(tag="look at me") == [("well", "51/A02", "look at me")]
        assert tags(tag="<b>{verdict}</b>") == [("well", "51/A02", "<b>fail</b>")]
        assert tags(tag="", tag_images=True) == []

    @pytest.mark.parametrize("text", ["{well}", "{verdict", "{}", "{verdict} {0}", "x" * 201])
    def test_a_text_that_cannot_be_filled_in_is_refused(self, text):
        with pytest.raises(ValidationError, match="no other placeholder"):
            Params(tag=text)


class TestKeyValues:
    def test_plate_and_wells_say_what_the_run_came_to(self):
        found = notes()
        assert found["plate", "51"] == {
            "run": "r1",
            "model": "m",
            "cells": "4",
            "abnormal fraction": "0.2500",
            "wells: fail": "1",
            "wells: pass": "1",
            "wells: unknown": "1",
            "thresholds": described(Thresholds()),
        }
        assert found["well", "51/A02"] == {
            "run": "r1",
            "verdict": "fail",
            "abnormal fraction": "0.6000",
            "cells": "3",
        }
        assert "abnormal fraction" not in found["well", "51/A03"]

    def test_verdicts_say_why_and_effects_of_places_only_where_they_were_found(self):
        wells = TABLES["wells"].with_columns(why=np.array(["", "60 % abnormal", "unread"]))
        cells = TABLES["cells"].with_columns(kept=np.array([True, True, False, True]))
        effects = [{"text": "Wells at the edge have 20 % fewer cells."}]
        plate = {"verdict": "fail", "why": "1 of 2 wells failed", "positions": {"effects": effects}}
        tables = {**TABLES, "wells": wells, "cells": cells}
        items = qc_key_values(run() | {"plate": plate}, PLATE, tables)
        on_plate, *on_wells = (dict(item.pairs) for item in items)
        assert (on_plate["verdict"], on_plate["why"]) == ("fail", "1 of 2 wells failed")
        assert on_plate["cells kept"] == "3"
        assert on_plate["position effects"] == "Wells at the edge have 20 % fewer cells."
        assert [well.get("why") for well in on_wells] == [None, "60 % abnormal", "unread"]
        plate["positions"] = {"effects": []}
        (quiet, *_) = qc_key_values(run() | {"plate": plate}, PLATE, tables)
        assert "position effects" not in dict(quiet.pairs)

    def test_classes_that_are_no_artefacts_are_not_abnormal(self):
        limits = Thresholds(artefacts=("dead",)).model_dump(mode="json")
        found = qc_key_values(run() | {"thresholds": limits}, PLATE, TABLES)
        assert dict(found[0].pairs)["abnormal fraction"] == "0.0000"

    @pytest.mark.parametrize(
        ("wanted", "kinds"),
        [
            ("none", []),
            ("plate", ["plate"]),
            ("wells", ["plate", *["well"] * 3]),
            ("all", ["plate", *["well"] * 3, *["image"] * 2]),
        ],
    )
    def test_they_go_as_far_down_as_was_asked_for(self, wanted, kinds):
        assert [kind for kind, _ in notes(key_values=wanted)] == kinds

    def test_images_that_are_no_plate_have_them_on_images_alone(self):
        assert notes(SET, NO_PLATE) == {}
        assert list(notes(SET, NO_PLATE, key_values="all")) == [("image", "1"), ("image", "2")]

    def test_their_namespace_is_ours(self):
        found = qc_key_values(run(key_values="all"), PLATE, TABLES)
        assert {item.namespace for item in found} == {NAMESPACE}

    def test_a_run_from_before_there_was_a_choice_is_noted_as_it_was(self):
        old = run() | {"params": {"warn": 0.2}}
        assert len(qc_key_values(old, PLATE, TABLES)) == 1
        assert qc_tags(old, PLATE, TABLES)[0].text == "QC: fail"


def test_an_image_of_several_planes_is_as_bad_as_its_worst_one():
    planes = [field("1", "pass", 30, 0.0), field("1", "fail", 10, 0.8), field("2", "unknown", 0)]
    planes[2]["abnormal_fraction"] = np.nan
    first, second = image_rows(Table.from_rows(planes))
    assert (first["verdict"], first["cells"]) == ("fail", 40)
    assert first["abnormal_fraction"] == pytest.approx(0.2)
    assert (second["verdict"], np.isnan(second["abnormal_fraction"])) == ("unknown", True)
