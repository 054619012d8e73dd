"""Options of a command are those of the task's parameters: names, defaults, help, checks."""

from __future__ import annotations

from typing import Literal

import click
import pytest
from click.testing import CliRunner
from pydantic import Field

from omero_hcs.cli.options import options_of
from omero_hcs.errors import InputErrors, ParamsError
from omero_hcs.tasks.base import CellParams, TaskParams
from omero_hcs.tasks.given import params_of


class Params(CellParams):
    """Parameters of a made-up task."""

    share: float = Field(default=0.5, ge=0, le=1, description="How much.")
    keep_all: bool = Field(default=True, description="Whether all is kept.")
    kind: Literal["near", "far"] = Field(default="near", description="Which kind.")


@pytest.fixture
def command():
    @click.command()
    @options_of(Params)
    def show(**given):
        params = params_of(Params, given)
        click.echo(params.model_dump_json())

    return lambda *arguments: CliRunner().invoke(show, arguments)


def test_without_options_every_default_is_the_model_s(command):
    assert Params.model_validate_json(command().output) == Params()


def test_every_field_can_be_given(command):
    said = command(
        "--share", "0.25", "--no-keep-all", "--kind", "far", "--channels", "DAPI, GFP",
        "--nuclei", "DAPI", "--z", "3", "--t", "all", "--crop-size", "3nuclei", "--seed", "7",
    )  # fmt: skip
    params = Params.model_validate_json(said.output)
    assert params.channels == ("DAPI", "GFP")
    assert (params.share, params.keep_all, params.kind) == (0.25, False, "far")
    assert (params.z, params.t, params.seed) == (3, "all", 7)


def test_help_shows_own_options_first_with_defaults_and_what_they_take(command):
    said = command("--help").output
    assert said.index("--share FRACTION") < said.index("--nuclei CHANNEL")
    assert "[default: 0.5]" in said
    assert "--kind [near|far]" in said
    assert "--keep-all / --no-keep-all" in said
    assert "--z NUMBER|middle|focus|max|all" in said
    assert "--channels NAME,NAME" in said


def test_one_fault_is_a_sentence_and_several_a_list():
    with pytest.raises(ParamsError, match=r"^--share '2' must be less than or equal to 1\.$"):
        params_of(Params, {"share": "2"})
    with pytest.raises(InputErrors) as raised:
        params_of(Params, {"share": "x", "seed": "1.5"})
    assert raised.value.faults == (
        "--seed '1.5' must be a whole number.",
        "--share 'x' must be a valid number.",
    )


def test_what_was_not_given_is_left_to_the_model():
    assert params_of(TaskParams, {"seed": None}) == TaskParams()
