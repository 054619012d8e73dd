"""`omero-hcs train-qc`."""

from __future__ import annotations

from typing import Any

import click

from omero_hcs.cli.options import task_command
from omero_hcs.errors import ParamsError
from omero_hcs.tasks.train_qc import Params


def _command() -> click.Command:
    """Make the command of any task take several sources, too."""
    made = task_command("train-qc", "train_qc", Params)
    plate = next(item for item in made.params if item.name == "plate")
    plate.required = False
    made.params.insert(
        1,
        click.Option(
            ["--from", "sources"],
            multiple=True,
            metavar="PLATE",
            help="A further plate, dataset or folder to learn from; may be given several times.",
        ),
    )
    run = made.callback

    def train(plate: str | None, sources: tuple[str, ...], **given: Any) -> Any:
        from omero_hcs.tasks.sources import joined

        named = (*([plate] if plate else []), *sources)
        if not named:
            msg = "Name what to learn from: omero-hcs train-qc PLATE, or --from PLATE --from PLATE."
            raise ParamsError(msg)
        return run(joined(named), **given) if run else None

    made.callback = train
    return made


command = _command()
