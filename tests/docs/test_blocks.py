"""The shell and Python blocks of README and docs: all are checked, the marked ones are run.

A block under a line ``<!-- run -->`` is run; the blocks of one page run in order, in one folder.
``<!-- run: slow -->`` makes the page's run a slow test.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

import omero_hcs
from omero_hcs.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r"(?:^<!-- run(?P<run>[^>]*) -->\n)?^(?P<indent> *)```(?P<language>\w+)[^\n]*\n"
    r"(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
SHELLS = {"bash", "sh", "shell", "console"}


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    code: str
    run: str | None  # None: checked only; "": run; ": slow": run in a slow test

    def __str__(self):
        return f"{self.page}:{self.line}"


def blocks_of(page):
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start("code")) + 1
        code = re.sub(f"^{match['indent']}", "", match["code"], flags=re.MULTILINE)
        name = str(page.relative_to(ROOT))
        yield Block(name, line, match["language"], code, match["run"])


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
SHELL = [block for block in BLOCKS if block.language in SHELLS]
PYTHON = [block for block in BLOCKS if block.language == "python"]
RUN = {
    block.page: [b for b in BLOCKS if b.page == block.page and b.run is not None]
    for block in BLOCKS
    if block.run is not None
}


def pages_to_run():
    for page, blocks in RUN.items():
        slow = any("slow" in block.run for block in blocks)
        yield pytest.param(page, marks=[pytest.mark.slow] if slow else [], id=page)


def commands(code):
    """Every `omero-hcs ...` of a shell block, as words."""
    for line in code.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = None
        for word in lexer:
            if word == "omero-hcs":
                words = []
            elif words is not None and not set(word) <= set("();<>|&"):
                words.append(word)
            elif words is not None:
                yield words
                words = None
        if words is not None:
            yield words


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_shell_is_well_formed_and_names_commands_and_options_that_exist(block):
    done = subprocess.run(["bash", "-n"], input=block.code, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    for words in commands(block.code):
        command, rest = command_at(words)
        names = {"--help", "-h"}
        for parameter in command.params:
            names |= {*parameter.opts, *parameter.secondary_opts}
        given = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert given - names == set(), f"{command.name} has no such option"


def command_at(words):
    """Walk down from `omero-hcs`: (the command that the words name, the words after it)."""
    command = cli
    for index, word in enumerate(words):
        if not isinstance(command, click.Group) or word.startswith("-"):
            return command, words[index:]
        child = command.get_command(click.Context(command), word)
        assert child, f"{command.name} has no command {word!r}"
        command = child
    return command, []


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_is_well_formed_and_imports_what_exists(block):
    for node in ast.walk(ast.parse(block.code)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("omero_hcs"):
            module = importlib.import_module(node.module)
            missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
            assert missing == [], f"{node.module} has no {missing}"
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "omero_hcs":
            assert hasattr(omero_hcs, node.attr)


@pytest.mark.parametrize("page", list(pages_to_run()))
def test_marked_blocks_run(page, tmp_path):
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OMERO_HCS_STATE_DIR": str(tmp_path / "state"),
        "OMERO_HCS_MODELS_DIR": str(tmp_path / "models"),
    }
    folder = tmp_path / "here"
    folder.mkdir()
    for block in RUN[page]:
        python = block.language == "python"
        command = [sys.executable, "-c"] if python else ["bash", "-euo", "pipefail", "-c"]
        done = subprocess.run(
            [*command, block.code],
            cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        said = f"{block}\n{block.code}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == 0, said
