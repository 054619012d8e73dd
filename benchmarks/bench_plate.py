"""The real plate BBBC013, from image files to verdicts, through the command line.

Each command is a process of its own: seconds by the clock, peak memory of the process and its
children. The labels were given by eye (tests/real/bbbc013_labels.csv).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from omero_hcs.learning.device import describe_device, pick_device
from omero_hcs.results import Table

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "bbbc013"
LABELS = ROOT / "tests" / "real" / "bbbc013_labels.csv"
PATTERN = "BBBC013_{well}_s{field}_w{channel}.tif"


def measure() -> dict[str, Any]:
    """Convert, crop, train, apply in fp32 and bf16; compare the verdicts."""
    with tempfile.TemporaryDirectory() as folder:
        return _measure(Path(folder))


def _measure(folder: Path) -> dict[str, Any]:
    plate = str(folder / "bbbc013.zarr")
    images, platemap = str(DATA / "images"), str(DATA / "platemap.csv")
    options = ["--pattern", PATTERN, "--platemap", platemap, "--channels", "GFP,DNA"]
    model = str(folder / "model.safetensors")
    steps = {
        "convert": ["convert", images, plate, *options],
        "crop": ["crop", plate, "--crops", "none"],
        "train": ["train-qc", plate, "--labels", str(LABELS), "--output", model],
        "apply, bf16": ["apply-qc", plate, "--model", model, "--precision", "bf16"],
        "apply, fp32": ["apply-qc", plate, "--model", model, "--precision", "fp32"],
    }
    said, cost = {}, {}
    for name, command in steps.items():
        said[name], cost[name] = _run(folder, command)
    summary = said["apply, bf16"]["summary"]
    cells = {name: _cells(said[name]) for name in ("apply, bf16", "apply, fp32")}
    same = cells["apply, bf16"]["class"] == cells["apply, fp32"]["class"]
    return {
        "device": describe_device(pick_device()),
        "wells": summary["wells"],
        "cells": summary["cells"],
        "cells a well": summary["cells a well"],
        "crop": summary["crop"],
        "passes a cell": 1,
        "held-out F1 on 25 + 25 labels by eye": said["train"]["summary"]["f1"],
        "abnormal": summary["abnormal"],
        "verdicts that agree, bf16 and fp32": round(float(np.mean(same)), 5),
        "largest difference of P(abnormal)": _gap(cells),
        "steps": cost,
        "target": "apply in < 180 s with bf16 instructions (360 s without), < 1.5 GB, 99.5 % agree",
    }


def _run(folder: Path, command: list[str]) -> tuple[dict[str, Any], dict[str, float]]:
    """Run one command; what it printed, its seconds, and its peak memory in MB."""
    environment = {**os.environ, "OMERO_HCS_STATE_DIR": str(folder / "state")}
    program = Path(sys.executable).with_name("omero-hcs")
    started = time.monotonic()
    process = subprocess.Popen(
        [program, *command, "--json"], stdout=subprocess.PIPE, env=environment, text=True
    )
    text = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"omero-hcs {' '.join(command)} failed:\n{text}")
    cpu = usage.ru_utime + usage.ru_stime
    numbers = {
        "seconds": round(seconds, 1),
        "CPU seconds": round(cpu, 1),
        "peak MB": usage.ru_maxrss / 1024,
    }
    return json.loads(text), {**numbers, "peak MB": round(numbers["peak MB"])}


def _cells(said: dict[str, Any]) -> Table:
    return Table.from_parquet(next(p for p in said["places"] if p.endswith("cells.parquet")))


def _gap(cells: dict[str, Table]) -> float:
    one, other = (table["abnormal"] for table in cells.values())
    return round(float(np.abs(one - other).max()), 4)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
