"""What a dialog loads: somebody waits for it each time that he opens one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from omero_hcs.scripting.catalog import SCRIPTS
from omero_hcs.scripting.parsing import HEAVY, parse_scripts
from omero_hcs.tasks.base import TASKS

LOADS = """
import sys
from omero_hcs import lazy, scripting
from omero_hcs.scripting.dialog import shown_fields
for entry in sys.argv[2:]:
    lazy.load(entry)
print(*sorted(set(sys.argv[1].split(",")) & set(sys.modules)))
"""


def test_scripting_and_every_parameter_leave_what_is_heavy_unloaded():
    entries = {script.params for script in SCRIPTS.values()}
    entries |= {f"{module}:Params" for module in TASKS.values()}
    done = subprocess.run(
        [sys.executable, "-c", LOADS, ",".join((*HEAVY, "tables", "PIL.Image")), *sorted(entries)],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr


@pytest.fixture(scope="module")
def parsed():
    return {item.name: item for item in parse_scripts()}


def test_every_script_is_read_as_the_server_does_and_loads_nothing_heavy(parsed):
    assert set(parsed) == {script.name for script in SCRIPTS.values()}
    assert {name: item.fault for name, item in parsed.items() if item.fault} == {}
    assert {name: item.heavy for name, item in parsed.items() if item.heavy} == {}


def test_each_has_a_dialog(parsed):
    assert {name for name, item in parsed.items() if item.inputs < 2} == set()
