"""HCS_Runs: the runs over what is selected are listed, told of, cancelled or undone."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from omero_hcs.scripting.answers import Answer
from omero_hcs.scripting.call import Call


class Params(BaseModel):
    """What is to be done about which run."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def run(call: Call) -> Answer:
    """List the runs over what is selected, or tell of, cancel or undo one of them."""
    return Answer(f"{call.script.name} does nothing yet.", failed=True)
