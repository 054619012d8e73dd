"""Square crops around cells: cutting them, their scale, and how stains become RGB."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from omero_hcs.errors import InputError
from omero_hcs.imaging.arrays import CenterArray, CropArray, FloatArray, ImageArray, MaskArray

AUTO_SIDE_NUCLEI = 3.0
"""Side of a crop as a multiple of the median nuclear diameter, where the user names none.

Three diameters show the nucleus, its cytoplasm and what touches it (debris, a clump), and in
cultures of usual density hold one to three nuclei. The paper's 128 px crops are `size="128px"`.
"""

MIN_SIDE_PX, MAX_SIDE_PX = 8, 2048
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(px|um|µm|nuclei)")


@dataclass(frozen=True, slots=True)
class CropScale:
    """How much of the specimen a crop shows.

    `side_px` is what is cut from the image; `side_um` and `side_nuclei` (multiples of the median
    nuclear diameter) say what that means, each None where it is not known.
    """

    side_px: int
    side_um: float | None = None
    side_nuclei: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> CropScale:
        """Read what `to_dict` gave."""
        return cls(**values)

    def ratio(self, other: CropScale) -> float:
        """Largest factor, at least 1, by which two scales differ.

        Taken over the measures that both have, micrometres and nuclear diameters; pixels
        are compared only where they share neither.
        """
        pairs = [(self.side_um, other.side_um), (self.side_nuclei, other.side_nuclei)]
        known = [(mine, theirs) for mine, theirs in pairs if mine and theirs]
        known = known or [(float(self.side_px), float(other.side_px))]
        return max(max(mine / theirs, theirs / mine) for mine, theirs in known)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the stains of a crop become the three inputs of an encoder; `passes` a cell."""

    kind: Literal["composite", "concat"]
    channels: int

    @property
    def passes(self) -> int:
        """How often a cell goes through the encoder."""
        return 1 if self.kind == "composite" else self.channels


def crop_cells(image: ImageArray, centers: CenterArray, *, size: int) -> CropArray:
    """Cut a square crop around each cell.

    Parameters
    ----------
    image : array, shape (C, Y, X)
        One field, in the camera's own dtype.
    centers : array, shape (N, 2)
        Cell centres as (y, x), in pixels, within the image. The nearest pixel comes to lie at
        ``(size // 2, size // 2)`` of its crop.
    size : int
        Side of each crop, in pixels. Crops past the border are zero-padded.

    Returns
    -------
    array, shape (N, C, size, size), dtype of `image`

    Raises
    ------
    InputError
        If shapes do not fit, or a centre lies outside the image.

    References
    ----------
    The 128-pixel crop follows "Comparison of semi-supervised learning methods for HCS quality
    control", section 3.1.
    """
    if image.ndim != 3:
        msg = f"A field has shape (C, Y, X), not {image.shape}."
        raise InputError(msg)
    corners = _corners(image.shape[1:], centers, size)
    before, after = size // 2, size - size // 2
    padded = np.pad(image, ((0, 0), (before, after), (before, after)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
    crops = windows[:, corners[:, 0] + before, corners[:, 1] + before]
    return np.ascontiguousarray(crops.swapaxes(0, 1))


def at_border(shape: tuple[int, int], centers: CenterArray, *, size: int) -> MaskArray:
    """Which crops reach past the border of an image of `shape` (Y, X): shape (N,), bool."""
    corners = _corners(shape, centers, size)
    limits = np.array(shape) - size
    return np.asarray(((corners < 0) | (corners > limits)).any(axis=1))


def neighbours_in_crop(centers: CenterArray, *, size: int) -> NDArray[np.intp]:
    """How many cells each crop shows, itself included.

    Parameters
    ----------
    centers : array, shape (N, 2)
        All centres of one field.
    size : int
        Side of the crops, in pixels.

    Returns
    -------
    array, shape (N,), int
        Centres within half a side in y and in x.
    """
    if len(centers) == 0:
        return np.zeros(0, dtype=np.intp)
    tree = cKDTree(centers)
    counts = tree.query_ball_point(centers, size / 2, p=np.inf, return_length=True)
    return np.asarray(counts, dtype=np.intp)


def _corners(shape: tuple[int, ...], centers: CenterArray, size: int) -> NDArray[np.intp]:
    points = np.asarray(centers, dtype=np.float64).reshape(-1, 2)
    if size < 1:
        msg = f"A crop cannot be {size} px wide. Pass a size of at least 1 px."
        raise InputError(msg)
    nearest = np.floor(points + 0.5)
    bad = ~((nearest >= 0) & (nearest < np.array(shape))).all(axis=1)
    if bad.any():
        y, x = points[bad][0]
        msg = (
            f"{int(bad.sum())} of {len(points)} centres lie outside the image of {shape[0]} x "
            f"{shape[1]} px, the first at y={y:g}, x={x:g}. Check that they belong to this image."
        )
        raise InputError(msg)
    return nearest.astype(np.intp) - size // 2


def choose_scale(
    *, nuclear_diameter: float | None, pixel_size_um: float | None, size: str = "auto"
) -> CropScale:
    """Decide how large the crops of a plate are.

    Parameters
    ----------
    nuclear_diameter : float, optional
        Median diameter of the plate's nuclei, in pixels.
    pixel_size_um : float, optional
        Side of a pixel, in micrometres.
    size : str
        "auto" (`AUTO_SIDE_NUCLEI` nuclear diameters), or "128px", "60um", "3.0nuclei".

    Raises
    ------
    InputError
        If `size` cannot be read, needs what is not known, or makes crops of a useless size.
    """
    text = f"{AUTO_SIDE_NUCLEI}nuclei" if size.strip().lower() == "auto" else size.strip().lower()
    match = _SIZE.fullmatch(text)
    if match is None:
        msg = f"Crop size {size!r} cannot be read. Pass 'auto', '128px', '60um' or '3.0nuclei'."
        raise InputError(msg)
    side = round(float(match[1]) * _unit_px(match[2], nuclear_diameter, pixel_size_um, size))
    if not MIN_SIDE_PX <= side <= MAX_SIDE_PX:
        msg = (
            f"Crop size {size!r} is {side} px on this plate; crops are {MIN_SIDE_PX} to "
            f"{MAX_SIDE_PX} px. Pass another --crop-size, for example '128px'."
        )
        raise InputError(msg)
    return CropScale(
        side_px=side,
        side_um=side * pixel_size_um if pixel_size_um else None,
        side_nuclei=side / nuclear_diameter if nuclear_diameter else None,
    )


def _unit_px(
    unit: str, nuclear_diameter: float | None, pixel_size_um: float | None, size: str
) -> float:
    if unit == "px":
        return 1.0
    if unit == "nuclei":
        if nuclear_diameter:
            return nuclear_diameter
        msg = (
            f"Crop size {size!r} needs the nuclei's diameter, and no nuclei were found on this "
            "plate. Pass --crop-size in px or um, for example '128px'."
        )
        raise InputError(msg)
    if pixel_size_um:
        return 1.0 / pixel_size_um
    msg = (
        f"Crop size {size!r} needs the pixel size, and the images have none. Pass --crop-size in "
        "px or nuclei, for example '128px' or '3.0nuclei'."
    )
    raise InputError(msg)


def crop_recipe(channels: int, recipe: str = "auto") -> Recipe:
    """How crops of that many stains are shown to an encoder that takes RGB.

    Parameters
    ----------
    channels : int
        Number of stains.
    recipe : {"auto", "composite", "concat"}
        "composite": one pass; three stains are R, G, B, two are A, B and their mean, one is
        replicated. "concat": each stain replicated and encoded alone, the features concatenated.
        "auto": composite up to three stains, concat above.

    Raises
    ------
    InputError
        If the recipe is unknown or does not fit.
    """
    if recipe not in ("auto", "composite", "concat"):
        msg = f"There is no crop recipe {recipe!r}. Pass 'auto', 'composite' or 'concat'."
        raise InputError(msg)
    if channels < 1:
        msg = "Crops need at least one channel. Pass --channels with one of the image's."
        raise InputError(msg)
    if recipe == "composite" and channels > 3:
        msg = f"{channels} stains do not fit one RGB picture. Pass 'concat', or choose 3 channels."
        raise InputError(msg)
    if recipe == "composite" or (recipe == "auto" and channels <= 3):
        return Recipe("composite", channels)
    return Recipe("concat", channels)


def to_rgb(crops: FloatArray, recipe: Recipe) -> FloatArray:
    """Arrange stains as RGB pictures.

    Parameters
    ----------
    crops : array, shape (N, C, S, S), float
        Normalised crops. What lies above 1 (see `normalize`'s headroom) is shown as 1.
    recipe : Recipe
        For C channels.

    Returns
    -------
    array, shape (N, passes, 3, S, S), dtype of `crops`
    """
    if crops.ndim != 4 or crops.shape[1] != recipe.channels:
        msg = f"The recipe is for {recipe.channels} channels; the crops have shape {crops.shape}."
        raise InputError(msg)
    crops = np.minimum(crops, crops.dtype.type(1))
    if recipe.kind == "concat":
        return np.repeat(crops[:, :, None], 3, axis=2)
    if recipe.channels == 1:
        return np.repeat(crops[:, None], 3, axis=2)
    if recipe.channels == 2:
        mean = crops.mean(axis=1, keepdims=True, dtype=crops.dtype)
        return np.concatenate([crops, mean], axis=1)[:, None]
    return crops[:, None]
