"""Rules of the house that ruff, mypy and import-linter cannot see."""

from __future__ import annotations

import ast
import configparser
import importlib
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from omero_hcs.tasks.base import TASKS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "omero_hcs"
MODULES = sorted(PACKAGE.rglob("*.py"))
ENTRY = re.compile(r"omero_hcs(\.\w+)+(:\w+)?")
TOP = "the package itself"  # it offers what is below, by name
WORKER_ENTRY = "omero_hcs.worker:run_units"  # the one that engines call from below
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}
HEAVY = {
    "torch", "torchvision", "timm", "safetensors", "dask", "zarr", "ngio", "sklearn", "scipy",
    "skimage", "pandas", "pyarrow", "matplotlib", "jinja2", "PIL", "tifffile", "imagecodecs",
    "omero", "ezomero", "Ice", "Glacier2", "tables", "lark", "cryptography", "omeroweb", "django",
}  # fmt: skip
DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
INERT = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.If, *DEFINITION)
LIGHT = (
    "errors", "lazy", "logs", "model", "results", "settings", "stores.base", "stores.open",
    "tasks.base", "tasks.driver",
)  # fmt: skip


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def each_module(rule):
    return pytest.mark.parametrize("path", MODULES, ids=module_name)(rule)


def functions(path):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree(path)) if isinstance(node, kinds)]


@each_module
def test_a_module_has_one_idea_a_docstring_and_a_name_that_says_something(path):
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= 400, f"{path} has {lines} lines"
    assert path.stem not in EMPTY_NAMES
    assert ast.get_docstring(tree(path))


@each_module
def test_no_function_is_longer_than_a_screen(path):
    lengths = {node.name: node.end_lineno - node.lineno + 1 for node in functions(path)}
    assert {name: lines for name, lines in lengths.items() if lines > 60} == {}


@each_module
def test_public_functions_and_classes_are_documented(path):
    public = [node for node in public_definitions(tree(path)) if not ast.get_docstring(node)]
    assert [f"{node.name} (line {node.lineno})" for node in public] == []


def public_definitions(parent):
    """Definitions that a reader can reach: those of the module, and those of its public classes."""
    for node in parent.body:
        if not isinstance(node, DEFINITION) or node.name.startswith("_"):
            continue
        overloaded = "overload" in [ast.unparse(decorator) for decorator in node.decorator_list]
        if not overloaded and not is_operation(node):
            yield node
        if isinstance(node, ast.ClassDef):
            yield from public_definitions(node)


def is_operation(node):
    """Whether it is an operation of OMERO's API: those are documented in OMERO's Slice files."""
    arguments = [] if isinstance(node, ast.ClassDef) else node.args.args
    return bool(arguments) and arguments[-1].arg == "current"


@each_module
def test_nothing_happens_at_import(path):
    statements = [node for node in tree(path).body if not is_text(node)]
    assert [ast.unparse(node) for node in statements if not isinstance(node, INERT)] == []


def is_text(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


@each_module
def test_no_forbidden_calls_even_where_a_linter_was_silenced(path):
    found = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            shell = [word for word in node.keywords if word.arg == "shell"]
            if name in {"print", "eval", "exec", "os.system", "os.popen"} or shell:
                found.append(f"line {node.lineno}: {name}")
        found += [
            f"line {node.lineno}: {module}"
            for module in imported(node)
            if module.partition(".")[0] in {"pickle", "cloudpickle", "dill", "shelve", "marshal"}
        ]
    assert found == []


def imported(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


@each_module
def test_only_learning_imports_torch(path):
    modules = {name.partition(".")[0] for node in ast.walk(tree(path)) for name in imported(node)}
    if "learning" not in path.relative_to(PACKAGE).parts:
        assert modules & {"torch", "torchvision", "timm"} == set()


@each_module
def test_no_work_is_left_for_later(path):
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"\b(?:TODO|FIXME|XXX|NotImplementedError|MagicMock)\b", text) == []


@cache
def layers():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = config["tool"]["importlinter"]["contracts"][0]
    ranks = {
        name.strip(): rank
        for rank, layer in enumerate(reversed(contract["layers"]))
        for name in layer.split("|")
    }
    return ranks | {TOP: len(ranks)}


def layer(name):
    return name.split(".")[1] if "." in name else TOP


def entry_strings():
    """Every (module, string) whose string names a module of ours, or something in one."""
    for path in MODULES:
        for node in ast.walk(tree(path)):
            value = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
            if isinstance(value, str) and ENTRY.fullmatch(value):
                yield module_name(path), value


@pytest.mark.parametrize(("module", "entry"), sorted(set(entry_strings())))
def test_an_entry_string_resolves_and_points_down(module, entry):
    name, _, attribute = entry.partition(":")
    target = importlib.import_module(name)
    assert not attribute or hasattr(target, attribute)
    if entry != WORKER_ENTRY and layer(module) != layer(name):
        assert layers()[layer(name)] < layers()[layer(module)], f"{module} names {entry}"


def lazy_loads():
    """Every (module, entry, extra) of a `lazy.load` of something that is not ours."""
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"lazy.load", "load"}:
                entry = node.args[0]
                assert not isinstance(entry, ast.JoinedStr), f"{path}: an entry nobody can check"
                if isinstance(entry, ast.Constant) and not entry.value.startswith("omero_hcs"):
                    extras = [word.value.value for word in node.keywords if word.arg == "extra"]
                    yield module_name(path), entry.value, (extras or [None])[0]


@cache
def setup_cfg():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


def requirements(extra):
    """What an extra asks for, itself or by another extra of ours."""
    names = set()
    for line in setup_cfg()["options.extras_require"][extra].strip().splitlines():
        asked = Requirement(line)
        within = [requirements(other) for other in asked.extras if asked.name == "omero-hcs"]
        names |= set().union(*within) if within else {canonicalize_name(asked.name)}
    return names


@cache
def distributions():
    """Distributions by module; the list that zeroc-ice keeps of its own lacks Ice and Glacier2."""
    owners = dict(importlib.metadata.packages_distributions())
    for file in importlib.metadata.files("zeroc-ice"):
        if len(file.parts) == 1 and file.suffix == ".py":
            owners.setdefault(file.stem, ["zeroc-ice"])
    return owners


@pytest.mark.parametrize(("module", "entry", "extra"), sorted(set(lazy_loads()), key=str))
def test_a_lazy_load_resolves_and_names_an_extra_that_installs_it(module, entry, extra):
    name, _, attribute = entry.partition(":")
    target = importlib.import_module(name)
    assert not attribute or hasattr(target, attribute)
    owners = distributions()[name.partition(".")[0]]
    assert extra, f"{module} loads {entry} without naming the extra that installs it"
    assert {canonicalize_name(owner) for owner in owners} & requirements(extra)


def base_modules():
    """Modules that a script dialog, `--help` or a spec needs: every Params among them."""
    yield from TASKS.values()
    for path in MODULES:
        name = module_name(path).removeprefix("omero_hcs").removeprefix(".")
        if name in LIGHT or name.partition(".")[0] in {"", "cli", "jobs"}:
            yield module_name(path)


BLOCK = """
import importlib, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {heavy}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
for name in {names}:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        print(name, "needs", error.name)
"""


def test_what_the_command_line_starts_with_needs_the_base_dependencies_alone():
    code = BLOCK.format(heavy=HEAVY, names=sorted(base_modules()))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_every_third_party_module_is_installed_by_an_extra_that_is_declared():
    declared = set().union(
        *(requirements(extra) for extra in setup_cfg()["options.extras_require"]),
        {
            canonicalize_name(Requirement(line).name)
            for line in setup_cfg()["options"]["install_requires"].strip().splitlines()
        },
    )
    owners = distributions()
    names = {
        name.partition(".")[0]
        for path in MODULES
        for node in ast.walk(tree(path))
        for name in imported(node)
    } - set(sys.stdlib_module_names) - {"omero_hcs"}  # fmt: skip
    undeclared = {
        name
        for name in names
        if not {canonicalize_name(owner) for owner in owners.get(name, [])} & declared
    }
    assert undeclared == set()


def test_every_pinned_or_declared_package_is_on_the_licences_page():
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8").lower().replace("_", "-")
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {canonicalize_name(line.partition("==")[0]) for line in lines if line[:1] != "#"}
    for extra in setup_cfg()["options.extras_require"]:
        pinned |= requirements(extra)
    listed = set(re.findall(r"[a-z0-9][a-z0-9.-]*", page))
    listed |= {canonicalize_name(name) for name in listed}
    assert pinned - listed == set()


def test_the_version_is_the_changelogs_latest():
    latest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert latest
    assert setup_cfg()["metadata"]["version"] == latest[1]
    assert importlib.metadata.version("omero-hcs") == latest[1]
