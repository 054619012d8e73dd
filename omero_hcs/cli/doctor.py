"""`omero-hcs doctor`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from omero_hcs.cli.terminal import DONE, FAILED, echo, echo_json, progress_bar

if TYPE_CHECKING:
    from omero_hcs.tasks.doctor import Finding


@click.command("doctor")
@click.argument("server", required=False, metavar="[omero://[USER@]HOST]")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(server: str | None, *, as_json: bool) -> int:
    """Say what is installed, which device and weights, what is missing and what mends it.

    With the address of an OMERO server also: whether our scripts are there, and which processors
    answer and can read them. The exit code is 1 if anything is missing or broken.
    """
    from omero_hcs.settings import load_settings
    from omero_hcs.tasks.doctor import examine

    findings = examine(load_settings().values)
    if server:
        findings = (*findings, *_of_server(server, quiet=as_json))
    if as_json:
        echo_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            echo(f"{finding.level:8} {finding.name:16} {finding.text}")
            if finding.mend:
                echo(f"{'':8} {'':16} mend: {finding.mend}")
    return FAILED if {finding.level for finding in findings} & {"missing", "broken"} else DONE


def _of_server(server: str, *, quiet: bool) -> tuple[Finding, ...]:
    from omero_hcs import lazy

    examine = lazy.load("omero_hcs.scripting.processors:examine_server", extra="omero")
    open_server = lazy.load("omero_hcs.scripting.deploy:open_server", extra="omero")
    with closing(open_server(server)) as session, progress_bar(quiet=quiet) as progress:
        findings: tuple[Finding, ...] = examine(session, progress=progress)
    return findings
