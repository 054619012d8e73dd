"""`omero-hcs models`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import click

from omero_hcs.cli.terminal import echo, echo_json, echo_pairs


@click.group("models")
def command() -> None:
    """List the models of this installation or of an OMERO server, show and copy them."""


@command.command("list")
@click.argument("server", required=False, metavar="[omero://HOST]")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def list_models(server: str | None, *, as_json: bool) -> int:
    """List the models in the models folder, or those on an OMERO server with their cards."""
    return _list_server(server, as_json=as_json) if server else _list_folder(as_json=as_json)


def _list_folder(*, as_json: bool) -> int:
    from omero_hcs.settings import load_settings
    from omero_hcs.tasks.models import model_names

    settings = load_settings().values
    names = model_names(settings)
    if as_json:
        echo_json(names)
        return 0
    for name in names:
        echo(name)
    if not names:
        echo(f"No models in {settings.models_dir} yet. Train one with: omero-hcs train-qc PLATE")
    return 0


def _list_server(server: str, *, as_json: bool) -> int:
    from omero_hcs.tasks.model_home import server_models

    found = server_models(server)
    if as_json:
        echo_json([dataclasses.asdict(kept) | {"card": _card(kept.card)} for kept in found])
        return 0
    for kept in found:
        echo(f"omero:{kept.id}  {kept.name}")
        card = _card(kept.card)
        echo_pairs(
            {
                "by": f"{kept.owner}, {kept.created}",
                "labels": card.get("labels", {}).get("counts"),
                "channels": card.get("channels"),
                "encoder": card.get("encoder", {}).get("name"),
                "accuracy": card.get("metrics", {}).get("accuracy"),
                "trained on": card.get("training", {}).get("name"),
                "size": f"{kept.size / 1e6:.1f} MB",
            }
        )
    if not found:
        echo(f"No models on {server} that you can read. Attach one: train-qc ... --upload")
    return 0


def _card(text: str) -> dict[str, Any]:
    """Read a card for show; one that is damaged shows nothing, and says so when it is used."""
    try:
        card = json.loads(text)
    except ValueError:
        return {}
    return card if isinstance(card, dict) else {}


@command.command("show", short_help="Show what a model is: its card.")
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Print the whole card as JSON.")
def show(model: str, *, as_json: bool) -> int:
    """Show a model's card: classes, channels, crop scale, encoder, labels, metrics."""
    from omero_hcs.settings import load_settings
    from omero_hcs.tasks.card_lines import shown_card
    from omero_hcs.tasks.models import find_model, load

    found = find_model(model, load_settings().values)
    card = load(found).card.model_dump(mode="json")
    if as_json:
        echo_json({"path": found.path, "sha256": found.sha256, **card})
        return 0
    echo(f"{found.name}  ({found.path})")
    for name, value in shown_card(card).items():
        if isinstance(value, dict):
            echo(f"  {name}")
            echo_pairs({f"  {key}": item for key, item in value.items() if item != {}})
        else:
            echo_pairs({name: value})
    return 0


@command.command("fetch", short_help="Copy a model of an OMERO server to this machine.")
@click.argument("server", metavar="omero://HOST")
@click.argument("model", metavar="ID")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write it to; the models folder by default.",
)
def fetch(server: str, model: str, *, output: Path | None) -> int:
    """Copy a model of an OMERO server to this machine, to use it for plates anywhere."""
    from omero_hcs.settings import load_settings
    from omero_hcs.tasks.model_home import fetch_model

    echo(str(fetch_model(server, model, output, load_settings().values)))
    return 0


@command.command("attach", short_help="Attach a model to a plate or dataset in OMERO.")
@click.argument("model")
@click.argument("place", metavar="omero://HOST/plate/ID")
def attach(model: str, place: str) -> int:
    """Attach a model to a plate or dataset in OMERO, for all who can read that."""
    from omero_hcs.settings import load_settings
    from omero_hcs.tasks.model_home import attach_model

    kept = attach_model(model, place, load_settings().values)
    echo(f"omero:{kept.id}  {kept.name}")
    return 0
