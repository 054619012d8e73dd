from __future__ import annotations

import pytest

from omero_hcs.errors import ParamsError
from omero_hcs.settings import Settings, Thresholds
from omero_hcs.tasks.apply_qc import Params
from omero_hcs.tasks.base import Fingerprint, Request
from omero_hcs.tasks.driver import request_key
from omero_hcs.tasks.thresholds import described, thresholds_for, thresholds_used, with_artefacts

SETTINGS = Settings(assays={"neurons": {"warn": 0.1, "fail": 0.4, "artefacts": ["debris"]}})
CLASSES = ("normal", "debris", "mitotic")


def test_what_is_asked_for_goes_before_the_assay_and_that_before_the_usual():
    found = thresholds_for(Params(assay="neurons", fail=0.3), SETTINGS)
    assert (found.warn, found.fail, found.well_fail) == (0.1, 0.3, 0.5)
    assert thresholds_for(Params(), SETTINGS) == Thresholds()


def test_an_assay_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ParamsError, match=r"no assay 'liver'\. There are: neurons"):
        thresholds_for(Params(assay="liver"), SETTINGS)


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(ParamsError, match=r"warn \(0.45\) must not be above fail \(0.4\)"):
        thresholds_for(Params(assay="neurons", warn=0.45), SETTINGS)


def test_a_class_that_the_model_does_not_have_is_refused():
    with pytest.raises(ParamsError, match=r"names debri\. .* are: debris, mitotic"):
        with_artefacts(Thresholds(artefacts=("debri",)), CLASSES)
    with pytest.raises(ParamsError, match="names normal"):
        with_artefacts(Thresholds(artefacts=("normal",)), CLASSES)


def test_all_classes_but_the_normal_one_are_artefacts_unless_told():
    assert with_artefacts(Thresholds(), CLASSES).artefacts == ("debris", "mitotic")


def test_a_run_from_before_there_were_assays_is_read():
    record = {"classes": list(CLASSES), "params": {"warn": 0.3, "fail": 0.6, "model": "m"}}
    found = thresholds_used(record)
    assert (found.warn, found.fail, found.artefacts) == (0.3, 0.6, ("debris", "mitotic"))


def test_a_run_keeps_those_that_it_used():
    used = with_artefacts(thresholds_for(Params(assay="neurons"), SETTINGS), CLASSES)
    record = {"classes": list(CLASSES), "thresholds": used.model_dump(mode="json")}
    assert thresholds_used(record) == used


def test_they_are_told_in_a_line():
    text = described(Thresholds(min_cells=20), assay="neurons")
    assert text.startswith("assay neurons: field warns from 20 %, fails from 50 % abnormal cells;")
    assert "a field needs 20 nuclei" in text


def test_another_threshold_of_the_assay_is_another_run(memory):
    """Else a run would be answered from the record of one that judged by other thresholds."""
    store = memory(1).store

    def key(fail):
        settings = Settings(assays={"neurons": {"fail": fail}})
        params = Params(assay="neurons")
        limits = thresholds_for(params, settings).model_dump(mode="json")
        request = Request(store.refs(), settings)
        return request_key("apply_qc", params, store, request, Fingerprint(more={"limits": limits}))

    assert key(0.4) == key(0.4) != key(0.3)
