"""`omero-hcs convert`."""

from __future__ import annotations

from pathlib import Path

import click

from omero_hcs.cli.terminal import echo, echo_json, progress_bar


@click.command("convert")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--pattern",
    required=True,
    help='How files are named, such as "BBBC013_{well}_s{field}_w{channel}.tif"; '
    "also {z} {t} {acquisition} {row} {column}.",
)
@click.option(
    "--platemap",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV with a line a well: well, treatment, dose, dose_unit, role.",
)
@click.option("--channels", help="Names of the channels, in the order of {channel}: GFP,DNA.")
@click.option("--pixel-size", type=float, help="Side of a pixel in micrometres.")
@click.option("--overwrite", is_flag=True, help="Replace a plate that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print what was made as JSON.")
def command(  # noqa: PLR0913  (click's: one argument an option)
    folder: Path,
    out: Path,
    *,
    pattern: str,
    platemap: Path | None,
    channels: str | None,
    pixel_size: float | None,
    overwrite: bool,
    as_json: bool,
) -> int:
    """Make the OME-Zarr plate OUT of the images in FOLDER; everything is checked first."""
    from omero_hcs.stores.ome_zarr.convert import check_target, convert_folder, plan_conversion

    check_target(out, overwrite=overwrite)
    names = [name.strip() for name in channels.split(",")] if channels else None
    with progress_bar(quiet=as_json) as progress:
        conversion = plan_conversion(
            folder,
            pattern,
            platemap=platemap,
            channels=names,
            pixel_size_um=pixel_size,
            progress=lambda done, total: progress("checking files", done, total),
        )
        plate = convert_folder(
            conversion,
            out,
            overwrite=overwrite,
            progress=lambda done, total: progress("writing fields", done, total),
        )
    sites = list(plate.sites())
    if as_json:
        echo_json(
            {
                "plate": str(out),
                "wells": len(plate.wells),
                "fields": len(sites),
                "channels": sites[0].image.channel_names,
                "missing_wells": conversion.missing_wells,
                "warnings": conversion.warnings,
            }
        )
        return 0
    image = sites[0].image
    echo(f"{out}: {len(plate.wells)} wells, {len(sites)} fields of {image.size_y} x {image.size_x}")
    echo(f"  channels: {', '.join(image.channel_names)}; {image.dtype}")
    for warning in conversion.warnings:
        echo(f"  warning: {warning}", error=True)
    return 0
