"""`omero-hcs doctor`."""

from __future__ import annotations

from dataclasses import asdict

import click

from omero_hcs.cli.terminal import DONE, FAILED, echo, echo_json


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(*, as_json: bool) -> int:
    """Say what is installed, which device and weights, what is missing and what mends it.

    The exit code is 1 if anything is missing or broken.
    """
    from omero_hcs.settings import load_settings
    from omero_hcs.tasks.doctor import examine

    findings = examine(load_settings().values)
    if as_json:
        echo_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            echo(f"{finding.level:8} {finding.name:16} {finding.text}")
            if finding.mend:
                echo(f"{'':8} {'':16} mend: {finding.mend}")
    return DONE if all(finding.level == "ok" for finding in findings) else FAILED
