"""Groups of commands that are imported when they are called, not when they are listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import click

from omero_hcs import lazy


@dataclass(frozen=True)
class Verb:
    """Where a verb's command is, its line in the help, and the extras that it needs.

    All of this is known without loading the command.
    """

    entry: str
    help: str
    extras: str = ""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, not when it is listed.

    Parameters
    ----------
    verbs : mapping of str to Verb
        The commands by their names, in the order in which a new user meets them.
    """

    def __init__(self, *args: Any, verbs: Mapping[str, Verb], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's)
        """Names of the verbs, in their order."""
        return list(self.verbs)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002  (click's)
        cmd_name: str,
    ) -> click.Command | None:
        """Load one verb."""
        verb = self.verbs.get(cmd_name)
        if verb is None:
            return None
        command: click.Command = lazy.load(verb.entry)
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002  (click's)
        formatter: click.HelpFormatter,
    ) -> None:
        """List the verbs without loading them."""
        if self.verbs:
            with formatter.section("Commands"):
                formatter.write_dl([(name, verb.help) for name, verb in self.verbs.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, and suggest near ones for an unknown name."""
        if args and args[0] not in self.verbs:
            near = get_close_matches(args[0], self.verbs, n=3, cutoff=0.5)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            ctx.fail(f"There is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)
