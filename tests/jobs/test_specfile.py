from __future__ import annotations

import json

import pytest

from omero_hcs.errors import FormatVersionError, InputError, WriteError
from omero_hcs.jobs.specfile import read_spec, write_spec


def test_a_worker_reads_what_the_driver_wrote(spec_of, units):
    path = write_spec(spec_of(), units)
    assert read_spec(path) == (spec_of(), tuple(units))


def test_it_is_small_and_holds_no_secret(spec_of, units):
    path = write_spec(spec_of(), units)
    assert path.stat().st_size < 4_000
    assert json.loads(path.read_text())["store"] == {"uri": "memory:tiny", "secret": None}


def test_one_of_a_newer_release_is_refused_by_its_version(spec_of, units):
    path = write_spec(spec_of(), units)
    path.write_text(json.dumps({"schema_version": 2, "shape": "unknown"}))
    with pytest.raises(FormatVersionError, match=r"version 2; this release reads 1. Update"):
        read_spec(path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '"spec"', "\x00", '{"schema_version": 1}'])
def test_what_is_no_spec_is_refused_by_its_name(spec_of, units, content):
    path = write_spec(spec_of(), units)
    path.write_text(content)
    with pytest.raises(InputError, match=r"spec\.json is no run spec"):
        read_spec(path)


def test_a_missing_spec_or_missing_units_are_told(spec_of, units, tmp_path):
    with pytest.raises(InputError, match="no run spec"):
        read_spec(tmp_path / "spec.json")
    path = write_spec(spec_of(), units)
    path.with_name("units.json").unlink()
    with pytest.raises(InputError, match=r"units.json"):
        read_spec(path)


def test_a_folder_that_cannot_be_written_is_told_with_the_mend(spec_of, units, tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(WriteError, match="OMERO_HCS_STATE_DIR"):
        write_spec(spec_of(), units)
