from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "benchmarks" / "run.py"
BENCHMARK = '''"""How fast it is.

Measured twice.
"""
import numpy as np


def measure():
    return {"seconds": np.float32(1.5), "by_size": {"small": {"f1": 0.91234}, "large": {"f1": 1.0}}}
'''


@pytest.fixture
def project(tmp_path):
    """A project with one benchmark."""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "docs").mkdir()
    shutil.copy(TOOL, tmp_path / "benchmarks")
    (tmp_path / "benchmarks" / "bench_speed.py").write_text(BENCHMARK)
    return tmp_path


def run(project, *words):
    command = [sys.executable, "benchmarks/run.py", *words]
    return subprocess.run(command, cwd=project, capture_output=True, text=True)


def test_numbers_are_kept_with_machine_command_and_date_and_reach_the_page(project):
    assert run(project).returncode == 0
    record = json.loads((project / "benchmarks/results/speed.json").read_text())
    assert record["measured"]["seconds"] == 1.5
    assert {"machine", "command", "date", "commit", "versions", "peak_memory_gb"} <= set(record)
    page = (project / "docs/benchmarks.md").read_text()
    assert "## How fast it is\n\nMeasured twice." in page
    assert "| small | 0.912 |" in page
    assert record["command"] in page
    assert "Not measured" not in page


def test_the_page_says_so_where_nothing_was_measured(project):
    assert run(project, "--page").returncode == 0
    assert "Not measured yet" in (project / "docs/benchmarks.md").read_text()


def test_a_benchmark_that_fails_is_named_and_the_others_are_kept(project):
    (project / "benchmarks" / "bench_bad.py").write_text('"""Bad."""\ndef measure():\n    1 / 0\n')
    done = run(project)
    assert done.returncode == 1
    assert "failed: bad" in done.stdout
    assert (project / "benchmarks/results/speed.json").exists()


def test_an_unknown_benchmark_is_refused_with_those_there_are(project):
    done = run(project, "sped")
    assert done.returncode == 2
    assert "there are: speed" in done.stderr


def test_a_list_of_rows_is_a_table():
    spec = importlib.util.spec_from_file_location("benchmarks_run", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.render([{"a": 1, "b": 2.0}]).splitlines()[0] == "| a | b |"


def test_a_package_that_a_gpu_machine_lacks_is_said_to_be_missing():
    spec = importlib.util.spec_from_file_location("benchmarks_run", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.installed("no-such-package") == "not installed"
    assert module.installed("omero-hcs")[0].isdigit()
