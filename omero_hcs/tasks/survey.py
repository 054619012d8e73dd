"""A first look at a plate: which channel shows nuclei, how large cells are, how bright.

A sample of fields, spread over the plate, is read once, in the driver, before any unit is made.
What it finds out travels to the workers in the run's context.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from omero_hcs.errors import DataError, InputError, InputErrors
from omero_hcs.imaging.channels import nuclear_channel
from omero_hcs.imaging.crop import CropScale, choose_scale, neighbours_in_crop
from omero_hcs.imaging.normalize import MIN_FIELDS, IntensitySurvey, Normalization
from omero_hcs.imaging.segment import Nuclei, median_diameter, segment_nuclei
from omero_hcs.model import Image, Site, Unit
from omero_hcs.stores.base import PlateStore
from omero_hcs.tasks.base import CellParams, Progress

SAMPLE_FIELDS = 24
"""Fields that are looked at; more hardly move a plate's percentiles or its median diameter."""

CROWDED = 3.0
"""A crop that shows more cells than this (in the median) is no longer a single cell's."""

FEW_NUCLEI = 0.1
"""A field with fewer than this share of the plate's usual number has implausibly few nuclei."""

MIXED_SCALES = 1.1
"""Pixel sizes that differ by more than this are another magnification."""

FEW_FIELDS = f"Intensities rest on less than {MIN_FIELDS} fields, and are not very reliable."

PROJECTED = (
    "Cells are looked at in maximum projections, where every pixel is of its brightest plane: how "
    "sharp they are says little there. To judge focus, take one plane, such as the middle one, for "
    "training and for judging."
)

Sampled = Sequence[tuple[Unit, Site]]


class PlateSurvey(BaseModel):
    """What a run knows about its plate; part of the run's context, as JSON.

    `nuclear_diameter` is in pixels; `nuclei_per_field` the median over sampled fields that have
    any; both are None where no nuclei were looked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: tuple[str, ...]
    nuclear: str | None
    nuclear_why: str
    scale: dict[str, Any]
    normalization: dict[str, Any]
    nuclear_diameter: float | None
    nuclei_per_field: float | None
    pixel_size_um: float | None
    fields: int
    warnings: tuple[str, ...] = ()

    def crop_scale(self) -> CropScale:
        """Scale of the run's crops."""
        return CropScale.from_dict(self.scale)

    def intensities(self) -> Normalization:
        """Black and white points of the run."""
        return Normalization.from_dict(self.normalization)

    @property
    def few_nuclei(self) -> float:
        """A field with fewer nuclei than this has implausibly few."""
        return max(1.0, FEW_NUCLEI * (self.nuclei_per_field or 0.0))


def survey_plate(
    store: PlateStore,
    units: Sampled,
    params: CellParams,
    *,
    name: str,
    progress: Progress,
    scaling: Literal["qc", "simsearch"] = "qc",
) -> PlateSurvey:
    """Look at a sample of the fields that a run is about.

    Parameters
    ----------
    store : PlateStore
        Where the fields are.
    units : sequence of (Unit, Site)
        What the run will work on.
    params : CellParams
        Which channels, centres and crop size are asked for.
    name : str
        The plate's name, for messages.
    progress : callable
        Told after every field.
    scaling : {"qc", "simsearch"}
        How black and white are found; see `imaging.normalize`.

    Raises
    ------
    InputError
        If there is nothing to look at, or not a single nucleus in the sample.
    ChannelNotFoundError
        If a channel that was asked for is not there, or none shows nuclei.
    DataError
        If not one of the sampled fields can be read.
    """
    if not units:
        msg = f"{name} has no images, so there is nothing to look at. Check that it was converted."
        raise InputError(msg)
    channels = _same_channels(units, params, name)
    choice = None
    if params.centres == "nuclei":
        choice = nuclear_channel(units[0][1].image.channel_names, params.nuclei)
    wanted = (*channels, choice.name) if choice else channels
    intensities = IntensitySurvey(channels)
    found: list[Nuclei] = []
    sample = _sample(units)
    for number, pixels in enumerate(_planes(store, sample, wanted), 1):
        if choice:
            found.append(segment_nuclei(pixels[-1]))
        foreground = found[-1].labels > 0 if found and len(found[-1].centers) else None
        intensities.add(pixels[: len(channels)], foreground)
        progress("looking at the plate", number, len(sample))
    if choice and not any(len(nuclei.centers) for nuclei in found):
        raise InputError(_nothing_found(name, choice.name, len(sample)))
    survey = _summarise(units[0][1].image, params, channels, choice, found, intensities)
    if scaling == "simsearch":
        survey = survey.model_copy(update={"normalization": intensities.simsearch().to_dict()})
    mixed = _mixed_scales([site.image for _, site in units])
    projected = (PROJECTED,) if any(unit.z == "max" for unit, _ in units) else ()
    return survey.model_copy(update={"warnings": (*survey.warnings, *mixed, *projected)})


def _mixed_scales(images: Sequence[Image]) -> tuple[str, ...]:
    """Warn of images of several magnifications: crops are as many pixels in all of them."""
    sizes = [float(np.mean(image.pixel_size_um)) for image in images if image.pixel_size_um]
    if not sizes or max(sizes) <= MIXED_SCALES * min(sizes):
        return ()
    text = (
        f"Pixels are {min(sizes):.3g} to {max(sizes):.3g} um wide: cells of one size differ in "
        f"pixels, and crops do not. Better run images of one magnification at a time."
    )
    return (text,)


def _planes(
    store: PlateStore, sample: Sampled, channels: Sequence[str]
) -> Iterator[NDArray[np.generic]]:
    """Read the sampled fields; one that cannot be read is left out, and told when its unit fails.

    Raises
    ------
    DataError
        If not one can be read.
    """
    unread: list[DataError] = []
    for unit, site in sample:
        indices = [site.image.channel(channel).index for channel in channels]
        try:
            yield store.read(site.image, channels=indices, z=unit.z, t=unit.t)
        except DataError as error:
            unread.append(error)
    if len(unread) == len(sample):
        raise unread[0]


def _same_channels(units: Sampled, params: CellParams, name: str) -> tuple[str, ...]:
    """Names of the channels to use, after checking that every image has them."""
    first = units[0][1].image
    channels = tuple(
        first.channel(channel).name for channel in params.channels or first.channel_names
    )
    faults = {
        f"{site.label} of {name} has channels {', '.join(site.image.channel_names)}, where "
        f"{units[0][1].label} has {', '.join(first.channel_names)}. Pass --channels with those "
        f"that all images have."
        for _, site in units
        if not set(channels) <= set(site.image.channel_names)
    }
    if faults:
        raise InputErrors(sorted(faults)[:20])
    return channels


def _sample(units: Sampled) -> Sampled:
    """Take fields spread evenly over the plate, the same ones in every run."""
    if len(units) <= SAMPLE_FIELDS:
        return units
    # The middles of equal stretches: neither only first columns nor only the plate's edge.
    places = (np.arange(SAMPLE_FIELDS) + 0.5) * len(units) / SAMPLE_FIELDS
    return [units[int(place)] for place in places]


def _nothing_found(name: str, channel: str, fields: int) -> str:
    return (
        f"No nuclei were found in any of {fields} sampled fields of {name} (channel {channel}). "
        f"Pass --nuclei with the channel of the nuclear stain, or --centres grid to judge tiles "
        f"instead of cells."
    )


def _summarise(
    image: Image,
    params: CellParams,
    channels: tuple[str, ...],
    choice: Any,
    found: Sequence[Nuclei],
    intensities: IntensitySurvey,
) -> PlateSurvey:
    diameter = median_diameter(found)
    pixel_size = float(np.mean(image.pixel_size_um)) if image.pixel_size_um else None
    scale = choose_scale(
        nuclear_diameter=diameter, pixel_size_um=pixel_size, size=_size(params, diameter)
    )
    counts = [len(nuclei.centers) for nuclei in found if len(nuclei.centers)]
    return PlateSurvey(
        channels=channels,
        nuclear=choice.name if choice else None,
        nuclear_why=choice.why if choice else f"crops are centred on {params.centres}",
        scale=scale.to_dict(),
        normalization=intensities.qc().to_dict(),
        nuclear_diameter=diameter,
        nuclei_per_field=float(np.median(counts)) if counts else None,
        pixel_size_um=pixel_size,
        fields=intensities.fields,
        warnings=tuple(_warnings(scale, found, intensities.fields)),
    )


def _size(params: CellParams, diameter: float | None) -> str:
    """Fall back to the paper's 128 px where no nuclei say how large cells are."""
    return "128px" if params.crop_size == "auto" and diameter is None else params.crop_size


def _warnings(scale: CropScale, found: Sequence[Nuclei], fields: int) -> list[str]:
    warnings = []
    shown = [neighbours_in_crop(item.centers, size=scale.side_px) for item in found]
    crowd = float(np.median(np.concatenate(shown))) if any(map(len, shown)) else 0.0
    if crowd > CROWDED:
        warnings.append(
            f"The median crop ({scale.side_px} px) shows {crowd:.0f} cells: verdicts are about "
            f"small groups, not single cells. Pass a smaller --crop-size, such as 3nuclei."
        )
    if fields < MIN_FIELDS:
        warnings.append(FEW_FIELDS)
    return warnings
