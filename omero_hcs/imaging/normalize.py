"""Intensities of a plate brought to [0, 1]: for quality control, and for SimSearch.

The two differ on purpose. SimSearch's rescale (papers/simsearch) clips what quality control
must see: on BBBC013 13 % of the DNA foreground and 27 % of the GFP foreground.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from omero_hcs.errors import FormatVersionError, InputError
from omero_hcs.imaging.arrays import ImageArray, MaskArray
from omero_hcs.imaging.histogram import Histogram
from omero_hcs.imaging.levels import as_float, background_level, camera_ceiling

SCHEMA_VERSION = 1
MIN_FIELDS = 8
"""A plate of fewer fields has no statistics of its own to speak of."""

RICH_FRACTION = 0.005
"""Share of foreground that makes an image foreground-rich: 23 nuclei of 11 px in 640 x 640 px."""

SATURATED = 2.0
"""What a pixel at the camera's ceiling is where images are normalised with headroom."""

_FOREGROUND_SIGMAS = 6.0
_WHITE_PERCENTILE = 99.9


@dataclass(frozen=True, slots=True)
class Normalization:
    """Black and white points of a plate, one a channel, in grey values.

    `ceiling` is the camera's largest value, for counting saturation on raw pixels; `fields`
    says on how many images the points rest.
    """

    method: Literal["qc", "simsearch"]
    channels: tuple[str, ...]
    black: tuple[float, ...]
    white: tuple[float, ...]
    ceiling: float | None
    fields: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, with `schema_version`."""
        values = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }
        return {"schema_version": SCHEMA_VERSION, **values}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Normalization:
        """Read what `to_dict` gave.

        Raises
        ------
        FormatVersionError
            If it was written by a newer release.
        """
        version = values.get("schema_version")
        if version != SCHEMA_VERSION:
            msg = (
                f"This normalisation has schema version {version}; this release reads version "
                f"{SCHEMA_VERSION}. Upgrade omero-hcs."
            )
            raise FormatVersionError(msg)
        return cls(
            method=values["method"],
            channels=tuple(values["channels"]),
            black=tuple(float(value) for value in values["black"]),
            white=tuple(float(value) for value in values["white"]),
            ceiling=values["ceiling"],
            fields=int(values["fields"]),
        )


class IntensitySurvey:
    """Intensities of a set of images, gathered in one pass.

    Holds one histogram a channel and five numbers an image and channel, whatever the
    images' size, so a plate of thousands of fields fits.

    Parameters
    ----------
    channels : sequence of str
        Names of the channels that every image has.
    """

    def __init__(self, channels: Sequence[str]) -> None:
        self.channels = tuple(channels)
        self._all = [Histogram() for _ in self.channels]
        self._tops: list[list[float]] = []
        self._is_rich: list[bool] = []
        self._background: list[list[float]] = []
        self._ends: list[list[tuple[float, float]]] = []
        self._dtype: np.dtype[Any] | None = None

    @property
    def fields(self) -> int:
        """How many images were added."""
        return len(self._ends)

    def add(self, image: ImageArray, foreground: MaskArray | None = None) -> None:
        """Count one image in.

        Parameters
        ----------
        image : array, shape (C, Y, X)
            Raw pixels. NaN and infinite pixels are left out.
        foreground : array, shape (Y, X), bool, optional
            Where nuclei are. Without it, a pixel is foreground where any channel is 6 spreads
            above its background.

        Raises
        ------
        InputError
            If the image has another number of channels.
        """
        if image.ndim != 3 or len(image) != len(self.channels):
            msg = f"The survey has {len(self.channels)} channels; the image is {image.shape}."
            raise InputError(msg)
        self._dtype = self._dtype or image.dtype
        counts = [Histogram.of(plane) for plane in image]
        levels = [background_level(as_float(plane)) for plane in image]
        rich = _foreground_share(image, foreground, levels) >= RICH_FRACTION
        for index, histogram in enumerate(counts):
            self._all[index].merge(histogram)
        self._is_rich.append(rich)
        self._tops.append([histogram.percentile(_WHITE_PERCENTILE) for histogram in counts])
        self._background.append([level for level, _ in levels])
        self._ends.append([(h.percentile(5), h.percentile(95)) for h in counts])

    def qc(self) -> Normalization:
        """Black = median background; white = median 99.9th percentile of the images with cells.

        The median over images, not the percentile of all their pixels: one over-exposed field in
        24 would set that, and leave good cells in the dark (simulated plate: twice as dark in
        two of three channels). Where no image has 0.5 % of foreground, all are taken.
        """
        self._check()
        black = np.median(np.array(self._background), axis=0)
        rich = np.array(self._is_rich)
        tops = np.array(self._tops)[rich if rich.any() else ~rich]
        return self._made("qc", black, np.median(tops, axis=0))

    def simsearch(self) -> Normalization:
        """5th and 95th percentile of each image, then 0.5th and 99.5th percentile of those.

        References
        ----------
        papers/simsearch, "normalisation".
        """
        self._check()
        ends = np.array(self._ends)
        black = np.percentile(ends[:, :, 0], 0.5, axis=0)
        return self._made("simsearch", black, np.percentile(ends[:, :, 1], 99.5, axis=0))

    def ceiling(self) -> float:
        """Tell the camera's largest value, from the data type and what was seen in all channels."""
        self._check()
        dtype = self._dtype or np.dtype(np.uint16)
        step = 257 if all(histogram.stretched for histogram in self._all) else 1
        return camera_ceiling(dtype, max(h.maximum for h in self._all), step=step)

    def _check(self) -> None:
        if not self._ends:
            msg = "No image was surveyed, so there is nothing to normalise by. Add one first."
            raise InputError(msg)

    def _made(
        self,
        method: Literal["qc", "simsearch"],
        black: Sequence[float] | NDArray[np.float64],
        white: Sequence[float] | NDArray[np.float64],
    ) -> Normalization:
        return Normalization(
            method=method,
            channels=self.channels,
            black=tuple(float(value) for value in black),
            white=tuple(float(value) for value in white),
            ceiling=self.ceiling(),
            fields=self.fields,
        )


def _foreground_share(
    image: ImageArray, foreground: MaskArray | None, levels: Sequence[tuple[float, float]]
) -> float:
    if foreground is None:
        foreground = np.zeros(image.shape[1:], dtype=np.bool_)
        for plane, (level, spread) in zip(image, levels, strict=True):
            foreground |= plane > level + max(_FOREGROUND_SIGMAS * spread, 1e-12)
    return float(foreground.mean()) if foreground.size else 0.0


def normalize(
    image: ImageArray, normalization: Normalization, *, headroom: bool = False
) -> NDArray[np.float32]:
    """Bring an image to [0, 1] by a plate's black and white points.

    Parameters
    ----------
    image : array, shape (C, Y, X), or crops, shape (N, C, S, S)
        Raw pixels, channels as in `normalization`. NaN becomes 0, infinities 0 and 1.
    normalization : Normalization
        A channel whose white point is not above its black point (a constant one) counts
        one grey value as full scale.
    headroom : bool
        Keep what lies above the white point: it goes, by its logarithm, from 1 to `SATURATED` at
        the camera's ceiling, so that a bright cell and a saturated one stay two things. Where no
        ceiling is known, it ends at 1.

    Returns
    -------
    array, shape of `image`, float32, within [0, 1], or [0, `SATURATED`]

    Raises
    ------
    InputError
        If the image has another number of channels.
    """
    if image.ndim not in (3, 4) or image.shape[-3] != len(normalization.channels):
        msg = (
            f"The normalisation is for {len(normalization.channels)} channels "
            f"({', '.join(normalization.channels)}); the image has shape {image.shape}."
        )
        raise InputError(msg)
    black = np.array(normalization.black, dtype=np.float32)[:, None, None]
    white = np.array(normalization.white, dtype=np.float32)[:, None, None]
    scale = np.where(white > black, white - black, np.float32(1.0))
    scaled = (image.astype(np.float32) - black) / scale
    shown = np.nan_to_num(np.clip(scaled, 0.0, 1.0), nan=0.0).astype(np.float32, copy=False)
    if not headroom or normalization.ceiling is None:
        return shown
    top = np.maximum((np.float32(normalization.ceiling) - black) / scale, np.float32(1.0))
    above = np.log(np.clip(np.nan_to_num(scaled, nan=0.0), 1.0, top))
    above /= np.where(top > 1, np.log(top), np.float32(1.0))
    return np.where(image >= normalization.ceiling, np.float32(SATURATED), shown + above)
