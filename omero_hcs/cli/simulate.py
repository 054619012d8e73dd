"""`omero-hcs simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from omero_hcs.cli.terminal import echo, echo_json, progress_bar


@click.command("simulate")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--wells", type=click.Choice(["6", "24", "96", "384", "1536"]), default="96",
              show_default=True, help="Format of each plate.")  # fmt: skip
@click.option("--fields", type=int, default=2, show_default=True, help="Fields a well.")
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same pixels.")
@click.option("--z", type=int, default=1, show_default=True, help="Planes of a z-stack.")
@click.option("--t", type=int, default=1, show_default=True, help="Time points.")
@click.option("--acquisitions", type=int, default=1, show_default=True, help="Runs of the scope.")
@click.option("--plates", type=int, default=1, show_default=True, help="How many plates.")
@click.option("--artefacts", "artefact_fraction", type=float, default=0.25, show_default=True,
              help="Expected share of fields with an artefact; 0 is a clean plate.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace a plate that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print what was made as JSON.")
def command(out: Path, *, overwrite: bool, as_json: bool, **given: Any) -> int:
    """Make a simulated plate OUT.zarr, with its truth in OUT.hcs/truth.csv."""
    from pydantic import ValidationError

    from omero_hcs.simulate.design import SimulationSettings
    from omero_hcs.tasks.given import flag_of, params_error
    from omero_hcs.tasks.simulate import simulate

    try:
        settings = SimulationSettings(**{**given, "wells": int(given["wells"])})
    except ValidationError as error:
        flags = {"artefact_fraction": "--artefacts"}
        raise params_error(
            SimulationSettings, error, naming=lambda name: flags.get(name, flag_of(name))
        ) from None
    with progress_bar(quiet=as_json) as progress:
        made = simulate(out, settings, overwrite=overwrite, progress=progress)
    rows = [
        {
            "plate": str(item.path),
            "truth": str(item.truth),
            "wells": len(item.plate.wells),
            "fields": sum(len(well.fields) for well in item.plate.wells),
        }
        for item in made
    ]
    if as_json:
        echo_json(rows)
        return 0
    for row in rows:
        echo(f"{row['plate']}: {row['wells']} wells, {row['fields']} fields")
        echo(f"  truth: {row['truth']}")
    return 0
