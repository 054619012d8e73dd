"""Fill in what the documentation takes from the code, when mkdocs builds it.

A page asks with a line ``<!-- generated: KIND ARGUMENT -->``; the kinds are in `GENERATORS`.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 80
MARKER = re.compile(r"^<!-- generated: (\w+) ?(\S*) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace each marker of a page; mkdocs calls this for every page."""
    return MARKER.sub(lambda match: GENERATORS[match[1]](match[2]), markdown)


def load(entry: str) -> Any:
    """Import ``module:name``."""
    module, _, name = entry.partition(":")
    return getattr(importlib.import_module(module), name)


def command_line(entry: str) -> str:
    """Return the help of every command, as click prints it."""
    parts = []
    for path, context in contexts(load(entry), "omero-hcs"):
        level = "##" if path.count(" ") < 2 else "###"
        parts.append(f"{level} `{path}`\n\n```text\n{context.get_help()}\n```\n")
    return "\n".join(parts)


def contexts(command: click.Command, path: str, parent: Any = None) -> Iterator[tuple[str, Any]]:
    """Walk a command and its subcommands: (name on the command line, click's context)."""
    name = path.rsplit(maxsplit=1)[-1]
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(command, info_name=name, parent=parent, **settings)
    yield path, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield from contexts(child, f"{path} {name}", context)


def model_table(entry: str) -> str:
    """Return the fields of a pydantic model as a table: name, type, default, meaning."""
    model: type[BaseModel] = load(entry)
    properties = model.model_json_schema()["properties"]
    columns = ["name", "type", "default", "meaning"]
    if not any("description" in schema for schema in properties.values()):
        columns.remove("meaning")
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for name, schema in properties.items():
        given = schema.get("default")
        default = "" if given is None else f"`{json.dumps(given)}`"
        cells = [f"`{name}`", type_name(schema), default, schema.get("description", "")]
        lines.append(f"| {' | '.join(cells[: len(columns)])} |")
    return "\n".join(lines) + "\n"


def type_name(schema: dict[str, Any]) -> str:
    """Say in words what a JSON schema allows."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(type_name(choice) for choice in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return ", ".join(f"`{value}`" for value in values)
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if schema.get("type") == "array":
        items = schema.get("items") or (schema.get("prefixItems") or [{}])[0]
        return f"list of {type_name(items)}"
    return {"null": "none", "object": "mapping"}.get(
        schema.get("type", ""), schema.get("type", "any")
    )


def json_schema(entry: str) -> str:
    """Return a stored format: what it is, its fields, and its JSON schema folded away."""
    model: type[BaseModel] = load(entry)
    schema = json.dumps(model.model_json_schema(), indent=2)
    indented = "\n".join(f"    {line}" for line in ["```json", *schema.splitlines(), "```"])
    return (
        f"{inspect.getdoc(model)}\n\n{model_table(entry)}\n"
        f'??? note "JSON schema of {model.__name__}"\n\n{indented}\n'
    )


def every_task(_: str) -> str:
    """Return the parameters of every task."""
    parts = []
    for name, module in load("omero_hcs.tasks.base:TASKS").items():
        about = inspect.getdoc(load(f"{module}:Params"))
        parts.append(f"## `{name}`\n\n{about}\n\n{model_table(f'{module}:Params')}")
    return "\n".join(parts)


def export_columns(_: str) -> str:
    """Return the columns of every table that an export has."""
    name_of = load("omero_hcs.tasks.export_columns:file_name")
    parts = []
    for (form, _level), (name, meanings) in load("omero_hcs.tasks.export_columns:FILES").items():
        rows = [f"| `{column}` | {meaning} |" for column, meaning in meanings.items()]
        lines = ["| column | meaning |", "|---|---|", *rows]
        parts.append("\n".join([f"### {name_of(form, name)}", "", *lines, ""]))
    return "\n".join(parts)


def changelog(_: str) -> str:
    """Return CHANGELOG.md without its title."""
    return (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("\n")[2]


GENERATORS = {
    "cli": command_line,
    "fields": model_table,
    "schema": json_schema,
    "tasks": every_task,
    "export": export_columns,
    "changelog": changelog,
}
