"""How zeroc-ice is compiled, on a source of the same shape that has a handful of lines.

The build of zeroc-ice itself takes a minute and PyPI: `make setup` does it where it finds no wheel.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "docker" / "zeroc-ice"
ICE = "src/ice/cpp/src/Ice"
SOURCES = {
    "src/Module.cpp": """
        int one(); int two(); int three(); int four(); int five();
        // Asks for what Python 3.11 hides, as ZeroC's Util.cpp does.
        static PyObject* total(PyObject*, PyObject*) {
            PyFrameObject* frame = PyThreadState_GET()->frame;
            PyObject* code = PyObject_GetAttrString((PyObject*)frame, "f_code");
            PyObject* name = PyObject_GetAttrString(code, "co_name");
            int sum = one() + two() + three() + four() + five();
            PyObject* result = Py_BuildValue("(iO)", sum, name);
            Py_DECREF(name); Py_DECREF(code);
            return result;
        }
        static PyMethodDef methods[] = {{"total", total, METH_NOARGS, ""}, {0, 0, 0, 0}};
        static PyModuleDef module = {PyModuleDef_HEAD_INIT, "toy", "", -1, methods};
        PyMODINIT_FUNC PyInit_toy() { return PyModule_Create(&module); }
    """,
    "src/ice/cpp/include/Ice/Ice.h": "#pragma once\n#include <string>\n",
    f"{ICE}/One.cpp": "int one() { return std::string(1, 'x').size(); }\n",
    f"{ICE}/Two.cpp": "int two() { return 2; }\n",
    # Each has a name of its own: these cannot be compiled together.
    f"{ICE}/Three.cpp": "namespace\n{\nint number = 3;\n}\nint three() { return number; }\n",
    f"{ICE}/Four.cpp": "static int number = 4;\nint four() { return number; }\n",
    f"{ICE}/Five.cpp": "// Generated from file `Five.ice'\nint five() { return 5; }\n",
}
COLLISION = "enum { collision };\n"
SETUP = """
from setuptools import Extension, setup
sources = [name for name in {sources!r} if name.endswith(".cpp")]
setup(name="toy", version="1", ext_modules=[
    Extension("toy", sources, include_dirs=["src", "src/ice/cpp/include", "src/ice/cpp/src"])
])
"""


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def source(tmp_path):
    """A source as ZeroC's, with our part of the build in it."""
    for name, text in SOURCES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "setup.py").write_text(SETUP.format(sources=list(SOURCES)))
    (tmp_path / "setup.cfg").write_text(load("build_wheel").SETUP_CFG)
    for name in ("quick_build.py", "python_shim.hpp"):
        shutil.copy(FOLDER / name, tmp_path)
    return tmp_path


def build(source):
    environment = {**os.environ, "PYTHONPATH": str(source)}
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    done = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def answer(source):
    code = "import toy\ndef asker():\n    return toy.total()\nprint(*asker())"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=source, capture_output=True, text=True).stdout.strip()


needs_compiler = pytest.mark.skipif(
    not shutil.which("g++") or not Path(sysconfig.get_paths()["include"], "Python.h").exists(),
    reason="needs g++ and Python's headers",
)


@needs_compiler
def test_what_is_compiled_in_parts_and_together_is_one_module(source):
    assert "one by one" not in build(source)
    assert answer(source) == "15 asker"


@needs_compiler
def test_files_that_do_not_go_together_are_compiled_one_by_one(source):
    for name in ("One", "Two"):
        with (source / ICE / f"{name}.cpp").open("a") as file:
            file.write(COLLISION)
    assert "One.cpp does not compile as one" in build(source)
    assert answer(source) == "15 asker"


def test_what_matters_is_optimised_and_comes_first(source, monkeypatch):
    monkeypatch.chdir(source)
    quick = load("quick_build")
    sources = sorted(Path(name) for name in SOURCES if name.endswith(".cpp"))
    units = list(quick.split([*sources, *map(Path, others(source))]))
    compiled = [(unit.group.level, [path.stem for path in unit.sources]) for unit in units]
    assert compiled == [
        ("-O2", ["Module"]),
        ("-O2", ["One", "Two"]),
        ("-O2", ["Three"]),
        ("-O2", ["Four"]),
        ("-O0", ["Five"]),
        ("-O0", ["Parser"]),
        ("-O0", ["mcpp"]),
    ]


def others(source):
    for name in ("src/ice/cpp/src/Slice/Parser.cpp", "src/ice/mcpp/mcpp.c"):
        (source / name).parent.mkdir(parents=True)
        (source / name).write_text("int n;\n" if name.endswith(".c") else "int parse();\n")
        yield name


def test_the_module_that_is_gone_is_replaced_and_the_change_is_said(tmp_path):
    module = tmp_path / "Ice.py"
    module.write_text(
        "import sys, string, imp, os, time\n\ndef new(curr):\n    return imp.new_module(curr)\n"
    )
    load("build_wheel").mend(module)
    text = module.read_text()
    assert text.startswith("# Changed by omero-hcs")
    space = {}
    exec(text, space)  # noqa: S102
    assert space["new"]("omero").__name__ == "omero"


def test_another_ice_is_not_mended_blindly(tmp_path):
    (tmp_path / "Ice.py").write_text("import sys, types\n")
    with pytest.raises(SystemExit, match=r"Ice\.py is not as expected"):
        load("build_wheel").mend(tmp_path / "Ice.py")


def test_a_source_that_zeroc_did_not_release_is_refused(tmp_path):
    archive = tmp_path / "zeroc-ice-3.6.5.tar.gz"
    archive.write_bytes(b"something else")
    command = [sys.executable, FOLDER / "build_wheel.py", tmp_path / "out", "--source", archive]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert hashlib.sha256(b"something else").hexdigest() in done.stderr
    assert not (tmp_path / "out").exists()
