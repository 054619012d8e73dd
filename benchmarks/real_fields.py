"""Real fields with their camera's noise taken off and nuclei of one width: to photograph anew.

Artefacts have sizes in pixels, and a blur that is gross for a nucleus of 15 px can hardly be seen
on one of 58. So all fields are brought to nuclei as wide as the simulated plate's, and to as many
electrons a nucleus, so that the same camera gives them noise and a ceiling again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from real_images import DATA, bbbc006_focus, bbbc013_dna, camera_noise, nuclei_masks, without_noise
from scipy import ndimage
from skimage.transform import rescale
from tifffile import imread

from omero_hcs.imaging.levels import background_level
from omero_hcs.imaging.segment import median_diameter, segment_nuclei
from omero_hcs.simulate.cells import NUCLEUS_PX
from omero_hcs.simulate.scene import SIGNAL

BACKGROUND = 50.0
"""Electrons a pixel where there is no cell, as in the simulated plate's optics."""

KNOWN_BAD = {"C03": (246, 420, 465, 615)}
"""Rows and columns, in camera pixels, of the clump above the focus in the Cell Painting field."""

_GRAIN = 0.7  # Gaussian in pixels against what grain is left, as in `real_images.blur_series`


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One real field without noise.

    Attributes
    ----------
    source, name : str
        Image set, and field; a field's name is never on both sides of a test.
    light : array, shape (C, Y, X), float32
        Electrons, `BACKGROUND` where there is no cell; the nuclear stain first.
    labels : array, shape (Y, X), int32
        Nuclei, about `NUCLEUS_PX` wide.
    centers : array, shape (N, 2)
        Their centres, (y, x).
    signal : array, shape (C,)
        Electrons above the background of a usual nucleus, or of the bright parts of a usual cell.
    """

    source: str
    name: str
    light: NDArray[np.float32]
    labels: NDArray[np.int32]
    centers: NDArray[np.float64]
    signal: NDArray[np.float64]


Raw = tuple[str, list[NDArray[Any]]]
"""Name of a field, and its planes."""


def scenes_of(source: str, *, fields: int | None = None, stains: int = 1) -> list[Scene]:
    """Read an image set.

    Parameters
    ----------
    source : str
        One of `SOURCES`.
    fields : int, optional
        How many fields at most, spread over the set.
    stains : {1, 2, 3}
        The nuclear stain alone, or with stains of the cell's body where the set has them.
    """
    found = SOURCES[source](stains)
    if fields is not None and fields < len(found):
        found = [found[int(place)] for place in np.linspace(0, len(found) - 1, fields)]
    width = median_diameter([segment_nuclei(planes[0]) for _, planes in found])
    zoom = NUCLEUS_PX / (width or NUCLEUS_PX)
    clean = [_clean([planes[stain] for _, planes in found], zoom) for stain in range(stains)]
    nuclei = [segment_nuclei(plane) for plane in clean[0]]
    signal = [
        _usual(planes, [item.labels for item in nuclei], wide=stain > 0)
        for stain, planes in enumerate(clean)
    ]
    return [
        Scene(
            source,
            f"{source} {name}",
            np.stack(
                [
                    BACKGROUND + planes[place] * np.float32(count / level)
                    for planes, count, level in zip(clean, SIGNAL, signal, strict=False)
                ]
            ),
            nuclei[place].labels,
            _sound(name, nuclei[place].centers, zoom),
            np.array(SIGNAL[:stains]),
        )
        for place, (name, _) in enumerate(found)
    ]


def _sound(name: str, centers: NDArray[np.float64], zoom: float) -> NDArray[np.float64]:
    """Leave out nuclei of regions that are known to be bad."""
    top, bottom, left, right = np.array(KNOWN_BAD.get(name, (0, 0, 0, 0))) * zoom
    y, x = centers[:, 0], centers[:, 1]
    return centers[~((y >= top) & (y < bottom) & (x >= left) & (x < right))]


def _zoomed(plane: NDArray[Any], zoom: float) -> NDArray[np.float32]:
    changed = rescale(plane.astype(np.float32), zoom, order=1, anti_aliasing=zoom < 1)
    return np.asarray(changed, dtype=np.float32)


def _clean(planes: Sequence[NDArray[Any]], zoom: float) -> list[NDArray[np.float32]]:
    """Bring planes to size, and take noise and background off."""
    # Fewer pixels first: they are quicker, and their noise is what the eye sees.
    seen = [_zoomed(plane, min(zoom, 1.0)) for plane in planes]
    noise = camera_noise(seen)
    smooth = [ndimage.gaussian_filter(without_noise(plane, noise), _GRAIN) for plane in seen]
    wide = [_zoomed(plane, zoom) if zoom > 1 else plane for plane in smooth]
    return [plane - np.float32(background_level(plane)[0]) for plane in wide]


def _usual(
    planes: Sequence[NDArray[np.float32]], labels: Sequence[NDArray[np.int32]], *, wide: bool
) -> float:
    """Median nuclear brightness; for other stains that of the brighter tenth around nuclei."""
    levels: list[float] = []
    for plane, nuclei in zip(planes, labels, strict=True):
        for number, box in enumerate(ndimage.find_objects(nuclei), 1):
            if wide:
                reach = round(NUCLEUS_PX / 2)
                around = tuple(slice(max(0, part.start - reach), part.stop + reach) for part in box)
                levels.append(float(np.percentile(plane[around], 90)))
            else:
                levels.append(float(plane[box][nuclei[box] == number].mean()))
    return float(np.median(levels))


def _bbbc006(stains: int) -> list[Raw]:
    del stains
    return [(field.well, [field.plane]) for field in bbbc006_focus() if field.in_focus]


def _bbbc013(stains: int) -> list[Raw]:
    del stains
    return [(well, [plane]) for well, plane in bbbc013_dna()]


def _nuclei(cells: str) -> Callable[[int], list[Raw]]:
    return lambda _: [(item.name, [item.plane]) for item in nuclei_masks() if cells in item.name]


def _nf1(stains: int) -> list[Raw]:
    folder = DATA / "nf1_cellpainting" / "images"
    wells = sorted(path.name.partition("_01_1")[0] for path in folder.glob("*_DAPI_*.tif"))
    return [
        (well, [imread(next(folder.glob(f"{well}_01_?_?_{s}_*"))) for s in NF1[:stains]])
        for well in wells
    ]


def _pca(stains: int) -> list[Raw]:
    folder = DATA / "cellpainting_pca" / "images"
    return [("C03", [imread(next(folder.glob(f"*-{s}sk1*"))) for s in PCA[:stains]])]


def _human(stains: int) -> list[Raw]:
    folder = DATA / "example_human_cc0" / "images"
    return [("D03", [imread(next(folder.glob(f"*{s}.tif"))) for s in ("d0", "d2")[:stains]])]


NF1 = ("DAPI", "RFP", "GFP")
"""Nuclei, F-actin, ER: what the simulated plate's stains are nearest to, in their order."""

PCA = ("ch5", "ch3", "ch2")
"""DNA, actin and Golgi, ER."""

SOURCES: dict[str, Callable[[int], list[Raw]]] = {
    "BBBC006": _bbbc006,
    "BBBC013": _bbbc013,
    "RPE1": _nuclei("RPE1"),
    "U2OS": _nuclei("U2OS"),
    "NF1": _nf1,
    "Cell Painting": _pca,
    "ExampleHuman": _human,
}
"""Readers of the image sets, by name."""


def pieces_of(scenes: Sequence[Scene]) -> list[NDArray[np.float32]]:
    """Cut out what has no business under a nucleus: bright, ragged bits of the cells' bodies.

    Parameters
    ----------
    scenes : sequence of Scene
        With stains of the cells' bodies.

    Returns
    -------
    list of array, shape (Y, X), float32, 0 outside, 1 at most
        By size.
    """
    found = []
    for scene in scenes:
        for plane in scene.light[1:]:
            detail = plane - ndimage.gaussian_filter(plane, NUCLEUS_PX / 2)
            labels, _ = ndimage.label(detail > np.percentile(detail, 95))
            for number, box in enumerate(ndimage.find_objects(labels), 1):
                own = labels[box] == number
                if _is_ragged(own):
                    bit = np.where(own, detail[box], 0.0)
                    found.append(np.pad(bit / bit.max(), 1).astype(np.float32))
    return sorted(found, key=lambda bit: float(np.sqrt((bit > 0).sum())))


def _is_ragged(own: NDArray[np.bool_]) -> bool:
    return bool(20 <= own.sum() <= 3000 and own.mean() < 0.6)


def shares_of(
    pieces: Sequence[NDArray[np.float32]], names: Sequence[str]
) -> dict[str, list[NDArray[np.float32]]]:
    """Deal pieces to fields, each to one of them only, small and large ones to all."""
    owners = list(dict.fromkeys(names))
    return {name: list(pieces[place :: len(owners)]) for place, name in enumerate(owners)}
