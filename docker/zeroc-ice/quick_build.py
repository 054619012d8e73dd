"""Compile zeroc-ice's extension on all cores, in fewer compilations, without debug information.

ZeroC's setup.py stays as it is: build_wheel.py puts this file beside it and names `QuickBuild` in
its setup.cfg. Setuptools by itself compiles the 224 files one after the other, at -O3 with -g, and
parses Ice's headers anew for each, which is half of the work. Here

- what many files begin with is precompiled,
- files that keep no names to themselves are compiled together,
- what a client hardly runs, the Slice parser and what Slice generated, is not optimised,
- what nothing calls is left out of the library, and so are the names of what is not exported.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from setuptools import Extension
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

HERE = Path(__file__).resolve().parent
FAST, PLAIN = "-O2", "-O0"
PLAIN_FOLDERS = {"mcpp", "Slice", "IceDiscovery", "IceLocatorDiscovery"}
PLAIN_FILES = {"InstrumentationI.cpp", "LoggerAdminI.cpp", "MetricsAdminI.cpp"}  # for IceGrid
SMALL = ("-g0", "-fvisibility=hidden", "-ffunction-sections", "-fdata-sections")
GENERATED = "// Generated from file"
# An anonymous namespace, or a static: names of which each file may have its own.
PRIVATE = re.compile(r"^(?:namespace\s*$|namespace\s*{|static\b)", re.MULTILINE)
# What each kind of source begins with. The shim is for those that talk to Python.
BEGINNINGS = {
    "bindings": '#include "python_shim.hpp"\n#include <Ice/Ice.h>\n',
    "core": "#include <Ice/Ice.h>\n",
    "c": "",
}
TOGETHER = 14  # files in one compilation: more makes the last one long, fewer is more work
MOST_JOBS = 8  # one takes up to 0.5 GB of memory


class Group(NamedTuple):
    """Sources that begin alike and are compiled alike, so that they share a precompiled header."""

    level: str  # the optimisation: FAST or PLAIN
    kind: str  # a key of BEGINNINGS


class Unit(NamedTuple):
    """What one call of the compiler is given."""

    group: Group
    sources: list[Path]


class QuickBuild(build_ext):
    """Build an extension of many C++ files quickly."""

    def build_extension(self, ext: Extension) -> None:
        """Compile the sources in parallel; setuptools then only links."""
        self.folder = Path(self.build_temp)
        ext.include_dirs += [".", str(HERE), str(HERE / "include")]
        units = list(split(map(Path, ext.sources)))
        groups = sorted({unit.group for unit in units})
        with ThreadPoolExecutor(jobs()) as pool:
            begun = pool.map(partial(self.precompile, ext), groups)
            flags = dict(zip(groups, begun, strict=True))
            futures = [pool.submit(self.make, ext, unit, flags[unit.group]) for unit in units]
            try:
                objects = [path for future in futures for path in future.result()]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        ext.sources, ext.extra_objects, ext.language = [], objects, "c++"
        if sys.platform == "linux":
            ext.extra_link_args.append("-Wl,--strip-all,--gc-sections")
        super().build_extension(ext)

    def precompile(self, ext: Extension, group: Group) -> list[str]:
        """Compile what a group begins with; return the flags with which it is used."""
        flags = [group.level, *SMALL]
        if not BEGINNINGS[group.kind]:
            return flags
        header = self.write(f"{group.kind}{group.level}/beginning.hpp", BEGINNINGS[group.kind])
        source = self.write(f"{group.kind}{group.level}/beginning.cpp", BEGINNINGS[group.kind])
        made = self.compile(ext, source, flags, "-x", "c++-header")
        Path(made).replace(header.with_name("beginning.hpp.gch"))
        return [*flags, "-include", str(header)]

    def make(self, ext: Extension, unit: Unit, flags: list[str]) -> list[str]:
        """Compile a unit, at once where that goes; return the objects."""
        if len(unit.sources) > 1:
            first = unit.sources[0]
            name = f"together/{first.parent.name}{unit.group.level}/{first.stem}.cpp"
            text = "".join(f'#include "{source}"\n' for source in unit.sources)
            try:
                return [self.compile(ext, self.write(name, text), flags)]
            except CompileError:
                print(f"{name} does not compile as one; its files are compiled one by one")
        return [self.compile(ext, source, flags) for source in unit.sources]

    def write(self, name: str, text: str) -> Path:
        """Write a file of the build's own."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def compile(self, ext: Extension, source: Path, flags: list[str], *first: str) -> str:
        """Compile one file and return the object's path; `flags` override those of Python."""
        made = self.compiler.compile(
            [str(source)],
            output_dir=self.build_temp,
            macros=ext.define_macros,
            include_dirs=ext.include_dirs,
            extra_preargs=list(first),
            extra_postargs=[*ext.extra_compile_args, *flags],
        )
        return made[0]


def split(sources: Iterator[Path]) -> Iterator[Unit]:
    """Share the sources out to the compiler's calls, those to optimise first, the longest first.

    Of two copies of an inline function the linker takes the first: that has to be an optimised one.
    """
    shared: dict[tuple[Group, Path], list[Path]] = {}
    units = []
    for source in sorted(sources):
        group = group_of(source)
        if PRIVATE.search(source.read_text("latin-1")):
            units.append(Unit(group, [source]))
        else:
            shared.setdefault((group, source.parent), []).append(source)
    for (group, _), files in shared.items():
        units += [Unit(group, files[i : i + TOGETHER]) for i in range(0, len(files), TOGETHER)]
    return iter(sorted(units, key=lambda unit: (unit.group.level != FAST, -size(unit))))


def size(unit: Unit) -> int:
    """Return a unit's bytes, from which its time is guessed."""
    return sum(source.stat().st_size for source in unit.sources)


def group_of(source: Path) -> Group:
    """Say how a source is compiled."""
    if source.suffix == ".c":
        return Group(PLAIN, "c")
    if source.parent.name == "src":
        return Group(FAST, "bindings")
    plain = source.parent.name in PLAIN_FOLDERS or source.name in PLAIN_FILES
    return Group(PLAIN if plain or GENERATED in source.read_text("latin-1") else FAST, "core")


def jobs() -> int:
    """How many files to compile at once."""
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(usable, MOST_JOBS)
