from __future__ import annotations

import logging

import pytest

from omero_hcs.errors import CancelledError, DataError, LoginError, ServerLostError, WriteError
from omero_hcs.model import ObjectRef, Unit
from omero_hcs.tasks.failures import describe_failure

UNIT = Unit(id="p/A01/f0/z0/t0", target=ObjectRef(kind="plate", id="p"))


def test_an_error_of_ours_is_told_in_its_own_words():
    result = describe_failure(UNIT, DataError("a.tif is truncated."))
    assert (result.unit, result.status, result.reason) == (UNIT.id, "failed", "a.tif is truncated.")


def test_another_error_is_told_with_its_kind():
    assert describe_failure(UNIT, ValueError("bad shape")).reason == "ValueError: bad shape"


def test_its_trace_is_in_the_log_with_the_unit(caplog):
    with caplog.at_level(logging.WARNING, logger="omero_hcs"):
        describe_failure(UNIT, DataError("truncated"))
    (record,) = caplog.records
    assert record.unit == UNIT.id
    assert record.exc_info[0] is DataError


@pytest.mark.parametrize(
    "error",
    [
        WriteError("the disk is full"),
        CancelledError("stopped"),
        ServerLostError("lab:4064 does not answer"),
        LoginError("the session ended"),
    ],
)
def test_what_every_other_unit_would_meet_too_stops_the_run(error):
    with pytest.raises(type(error)) as caught:
        describe_failure(UNIT, error)
    assert caught.value is error
