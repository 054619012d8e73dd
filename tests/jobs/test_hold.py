from __future__ import annotations

import subprocess
import sys

import pytest

from omero_hcs.errors import RunBusyError, WriteError
from omero_hcs.jobs.hold import held

HOLD = """
import sys
from pathlib import Path
from omero_hcs.jobs.hold import held
with held(Path(sys.argv[1]), "k" * 64, what="Run 1"):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_key_that_another_process_holds_is_refused_until_that_process_dies(tmp_path):
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(RunBusyError, match=r"Run 1 is being worked on.*Wait for it"),
            held(tmp_path, "k" * 64, what="Run 1"),
        ):
            pass
        with held(tmp_path, "another key", what="Run 2"):
            pass
    finally:
        other.kill()
        other.communicate(timeout=60)
    with held(tmp_path, "k" * 64, what="Run 1"):
        pass


def test_it_is_let_go_of_when_the_work_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), held(tmp_path, "k", what="Run 1"):
        _ = 1 / 0
    with held(tmp_path, "k", what="Run 1"):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "locks").write_text("a file")
    with pytest.raises(WriteError, match="OMERO_HCS_STATE_DIR"), held(tmp_path, "k", what="R"):
        pass
