"""Measure: run the benchmarks, keep their numbers, and write docs/benchmarks.md from them.

    make bench                                  every benchmarks/bench_*.py
    .venv/bin/python benchmarks/run.py focus    bench_focus.py alone
    .venv/bin/python benchmarks/run.py --page   the page again, from the numbers there are

A benchmark is a module with `measure() -> dict`: numbers, texts, and dicts or lists of them. Each
runs in a process of its own, so that time and peak memory are its own.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RESULTS = HERE / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
VERSIONS = ("omero-hcs", "numpy", "scikit-image", "torch", "timm", "omero-py")
INTRODUCTION = """# Benchmarks

Written by `make bench` (`benchmarks/run.py`); nothing here is typed in by hand. Every number was
measured by the command beside it, on the machine and at the commit named with it.
"""
NOTHING = """
**Not measured yet.** Run `make bench` in a checkout; it takes a while and needs the test images
where a benchmark uses real ones.
"""


def main() -> int:
    """Run what was asked for and write the page; 1 if a benchmark failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="benchmarks to run: focus is bench_focus.py")
    parser.add_argument("--page", action="store_true", help="only write the page again")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        measure_here(arguments.one)
        return 0
    names = [] if arguments.page else arguments.names or found_names()
    unknown = set(names) - set(found_names())
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are: {', '.join(found_names())}")
    failed = [name for name in names if not measure_apart(name)]
    write_page()
    print(f"Wrote {PAGE.relative_to(ROOT)}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def found_names() -> list[str]:
    """Return the names of the benchmarks there are."""
    return sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def measure_apart(name: str) -> bool:
    """Run one benchmark in a process of its own; False if it failed."""
    print(f"bench_{name} ...", flush=True)
    command = [sys.executable, __file__, "--one", str(HERE / f"bench_{name}.py")]
    done = subprocess.run(command, cwd=ROOT, check=False)
    return done.returncode == 0


def measure_here(path: Path) -> None:
    """Run one benchmark in this process and keep what it measured as JSON."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        sys.exit(f"{path} is no Python file.")
    sys.path.insert(0, str(HERE))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    started = time.perf_counter()
    measured = module.measure()
    record = {
        "title": (module.__doc__ or path.stem).strip(),
        "command": f".venv/bin/python benchmarks/run.py {path.stem.removeprefix('bench_')}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": commit(),
        "machine": machine(),
        "versions": {name: installed(name) for name in VERSIONS},
        "seconds": round(time.perf_counter() - started, 1),
        "peak_memory_gb": round(peak_memory_gb(), 2),
        "measured": measured,
    }
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / f"{path.stem.removeprefix('bench_')}.json"
    target.write_text(json.dumps(record, indent=1, default=plain) + "\n", encoding="utf-8")


def plain(value: Any) -> Any:
    """Turn numpy's numbers and arrays into Python's."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def installed(name: str) -> str:
    """Return the version of a package; a machine with a GPU may do without some."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def peak_memory_gb() -> float:
    """Return the most memory that this process, or one it started, has held."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(item).ru_maxrss for item in who) / 1e6


def commit() -> str:
    """Return the commit that is checked out, with a + where files were changed since."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def machine() -> str:
    """Describe this machine: processor, cores, what bf16 instructions it has, system."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    facts = dict(line.replace("\t", "").split(":", 1) for line in lines if ":" in line)
    name = facts.get("model name", platform.processor() or "unknown processor").strip()
    flags = set(facts.get("flags", "").split()) & {"amx_bf16", "avx512_bf16"}
    bf16 = ", ".join(sorted(flags)) or "no bf16 instructions"
    return f"{name}, {len(os.sched_getaffinity(0))} cores, {bf16}, {platform.system()}"


def write_page() -> None:
    """Write docs/benchmarks.md from every result there is."""
    paths = sorted(RESULTS.glob("*.json")) if RESULTS.exists() else []
    sections = [section(json.loads(path.read_text(encoding="utf-8"))) for path in paths]
    PAGE.write_text(INTRODUCTION + ("".join(sections) or NOTHING), encoding="utf-8")


def section(record: dict[str, Any]) -> str:
    """Render one benchmark: what it is, where it was measured, its numbers."""
    title, _, rest = record["title"].partition("\n")
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    return (
        f"\n## {title.rstrip('.')}\n\n{rest.strip()}\n\n{render(record['measured'])}\n"
        f"`{record['command']}` · {record['date']} · commit {record['commit']} · "
        f"{record['seconds']} s, {record['peak_memory_gb']} GB at most · {record['machine']} · "
        f"{versions}\n"
    )


def render(value: Any, level: int = 3) -> str:
    """Render numbers as Markdown tables; what is nested gets a heading of its own."""
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return table(value)
    if not isinstance(value, dict):
        return f"{shown(value)}\n"
    flat = {name: item for name, item in value.items() if not is_nested(item)}
    nested = {name: item for name, item in value.items() if is_nested(item)}
    text = table([{"measure": spoken(name), "value": item} for name, item in flat.items()])
    rows = [{"": spoken(name), **item} for name, item in nested.items() if is_row(item)]
    if len(rows) == len(nested) and len({tuple(row) for row in rows}) == 1:
        return text + table(rows)
    for name, item in nested.items():
        text += f"\n{'#' * level} {spoken(name)}\n\n{render(item, min(level + 1, 6))}"
    return text


def is_nested(value: Any) -> bool:
    """Whether a value needs a table of its own."""
    return isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(item, dict) for item in value)
    )


def is_row(value: Any) -> bool:
    """Whether a value is a dict of plain values."""
    return isinstance(value, dict) and not any(is_nested(item) for item in value.values())


def table(rows: list[dict[str, Any]]) -> str:
    """Render rows with the same keys as a Markdown table."""
    if not rows:
        return ""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [
        f"| {' | '.join(map(spoken, names))} |",
        f"|{'---|' * len(names)}",
        *(f"| {' | '.join(shown(row.get(name, '')) for name in names)} |" for row in rows),
    ]
    return "\n".join(lines) + "\n\n"


def spoken(name: str) -> str:
    """Turn a key into words."""
    return name.replace("_", " ")


def shown(value: Any) -> str:
    """Show a value with no more digits than it deserves."""
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    return str(value).replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main())
