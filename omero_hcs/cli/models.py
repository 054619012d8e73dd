"""`omero-hcs models`."""

from __future__ import annotations

import click

from omero_hcs.cli.terminal import echo, echo_json, echo_pairs


@click.group("models")
def command() -> None:
    """List the models of this installation, or show what one is."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print their names as JSON.")
def list_models(*, as_json: bool) -> int:
    """List the names of the models in the models folder."""
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


@command.command("show", short_help="Show what a model is: its card.")
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Print the whole card as JSON.")
def show(model: str, *, as_json: bool) -> int:
    """Show a model's card: classes, channels, crop scale, encoder, labels, metrics."""
    from omero_hcs.settings import load_settings
    from omero_hcs.tasks.models import find_model, load

    found = find_model(model, load_settings().values)
    card = load(found).card.model_dump(mode="json")
    if as_json:
        echo_json({"path": found.path, "sha256": found.sha256, **card})
        return 0
    echo(f"{found.name}  ({found.path})")
    for name, value in card.items():
        if isinstance(value, dict):
            echo(f"  {name}")
            echo_pairs({f"  {key}": item for key, item in value.items()})
        else:
            echo_pairs({name: value})
    return 0
