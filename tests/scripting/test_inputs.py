"""What a dialog gives, as a task takes it."""

from __future__ import annotations

import pytest

pytest.importorskip("omero.gateway", reason="the extra 'omero' is not installed")

from omero.rtypes import unwrap

from omero_hcs.errors import InputErrors, ParamsError
from omero_hcs.scripting.catalog import SCRIPTS
from omero_hcs.scripting.dialog import inputs_of
from omero_hcs.scripting.inputs import read_inputs

PLATE = {"Data_Type": "Plate", "IDs": [51]}
CROP, TRAIN = SCRIPTS["crop_cells"], SCRIPTS["train_qc"]


def test_objects_are_a_place_each_id_once():
    asked = read_inputs(CROP, {"Data_Type": "Well", "IDs": [7, 9, 7]})
    assert (asked.kind, asked.ids, asked.place) == ("Well", (7, 9), "well/7,9")
    assert not asked.dry_run
    assert not asked.again


def test_boxes_are_kept():
    asked = read_inputs(CROP, {**PLATE, "Dry_Run": True, "Again": True})
    assert asked.dry_run
    assert asked.again


def test_planes_and_times_count_from_1_in_a_dialog():
    box = {"Choose_Channels_And_Planes": True}
    params = read_inputs(CROP, {**PLATE, **box, "Z": " 3 ", "T": "2"}).params
    assert (params.z, params.t) == (2, 1)
    assert read_inputs(CROP, {**PLATE, **box, "Z": "max", "T": "all"}).params.z == "max"


def test_what_is_under_a_box_counts_if_the_box_is_ticked_and_is_refused_if_not():
    given = {**PLATE, "Z": "3", "Channels": "DNA, GFP"}
    with pytest.raises(InputErrors, match="Tick Choose_Channels_And_Planes") as refused:
        read_inputs(CROP, given)
    assert all(name in str(refused.value) for name in ("Z is filled in", "Channels is filled in"))
    ticked = read_inputs(CROP, {**given, "Choose_Channels_And_Planes": True}).params
    assert (ticked.z, ticked.channels) == (2, ("DNA", "GFP"))


@pytest.mark.parametrize("task", sorted(set(SCRIPTS) - {"apply_qc"}))  # that one needs a model
def test_a_dialog_is_taken_as_it_was_opened(task):
    opened = inputs_of(SCRIPTS[task], None)
    given = {one._name: unwrap(one.prototype) for one in opened if one.useDefault}
    assert read_inputs(SCRIPTS[task], {**given, **PLATE}).place == "plate/51"


def test_a_script_has_parameters_that_its_dialog_does_not_offer():
    params = read_inputs(TRAIN, {**PLATE, "Labels": "roi,tags", "Upload": False}).params
    assert params.upload
    assert params.labels == "roi,tags"


def test_no_file_of_the_server_can_be_named():
    given = {**PLATE, "Output": "/etc/model", "Weights": "/etc/passwd", "weights": "/etc/passwd"}
    params = read_inputs(TRAIN, given).params
    assert params.output is None
    assert params.weights is None


def test_one_fault_is_told_alone():
    with pytest.raises(ParamsError, match=r"^Seed '-1' must"):
        read_inputs(CROP, {**PLATE, "More_Settings": True, "Seed": -1})


def test_all_faults_are_told_at_once():
    with pytest.raises(InputErrors) as caught:
        read_inputs(
            TRAIN,
            {
                "Data_Type": "Plate", "IDs": [], "Labels": "labels.csv", "More_Settings": True,
                "Encoder": "vgg16", "Seed": -1,
            },
        )  # fmt: skip
    starts = [fault.split()[0] for fault in caught.value.faults]
    assert starts == ["Nothing", "Labels", "There", "Seed"]
