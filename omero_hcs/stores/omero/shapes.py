"""Shapes of regions: what they show, where their middle is, and whether somebody changed them.

OMERO counts pixels from the corner of the first one. A transform is (a00, a10, a01, a11, a02, a12):
x' = a00 x + a01 y + a02 and y' = a10 x + a11 y + a12.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omero.rtypes import unwrap

from omero_hcs.stores.omero.record import digest

Transform = tuple[float, float, float, float, float, float]
Middle = tuple[float, float]
"""As (x, y), which is OMERO's order."""

TRANSFORM = ("a00", "a10", "a01", "a11", "a02", "a12")
"""Properties of an AffineTransform, in the order of `ShapeFacts.transform`."""

GEOMETRY = {
    "Point": ("x", "y"),
    "Label": ("x", "y"),
    "Line": ("x1", "y1", "x2", "y2"),
    "Rectangle": ("x", "y", "width", "height"),
    "Ellipse": ("x", "y", "radiusX", "radiusY"),
    "Mask": ("x", "y", "width", "height"),
    "Polygon": ("points",),
    "Polyline": ("points",),
}
"""Properties that say where a shape is, by its OMERO class."""

_IDENTITY: Transform = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_MARK = "mark="
_AREAS = ("Rectangle", "Ellipse", "Polygon", "Mask")
_DECIMALS = 2  # of a pixel: a viewer may write a number back with fewer digits than it read


@dataclass(frozen=True, slots=True)
class ShapeFacts:
    """What a person sees of a shape.

    Parameters
    ----------
    kind : str
        OMERO class: a key of `GEOMETRY`, or another one, of which no middle is known.
    text : str
        Its text, without spaces around it.
    z, t, c : int or None
        Its plane; None means every one.
    geometry : tuple of float
        Values of the properties in `GEOMETRY`; of polygons and polylines x, y, x, y, ... Empty
        where one is missing.
    transform : tuple of float, optional
        None where it changes nothing.
    bits : bytes
        Of a mask, row by row, the first pixel in the highest bit.
    """

    kind: str
    text: str = ""
    z: int | None = None
    t: int | None = None
    c: int | None = None
    geometry: tuple[float, ...] = ()
    transform: Transform | None = None
    bits: bytes = b""


def shape_facts(shape: Any) -> ShapeFacts:
    """Facts of a loaded ``omero.model.Shape``; its transform must be loaded, too."""
    kind = type(shape).__name__.removesuffix("I")
    matrix = shape.transform
    values = None if matrix is None else [unwrap(getattr(matrix, name)) for name in TRANSFORM]
    return ShapeFacts(
        kind=kind,
        text=(unwrap(shape.textValue) or "").strip(),
        z=unwrap(shape.theZ),
        t=unwrap(shape.theT),
        c=unwrap(shape.theC),
        geometry=geometry_of([unwrap(getattr(shape, name)) for name in GEOMETRY.get(kind, ())]),
        transform=transform_of(values),
        bits=bytes(shape.bytes or b"") if kind == "Mask" else b"",
    )


def geometry_of(values: Sequence[float | str | None]) -> tuple[float, ...]:
    """Geometry from the values of the properties in `GEOMETRY`; empty where one is missing."""
    if len(values) == 1 and isinstance(values[0], str):
        return _points(values[0])
    if any(value is None for value in values):
        return ()
    return tuple(float(value) for value in values if value is not None)


def transform_of(values: Sequence[float | None] | None) -> Transform | None:
    """Transform from the values of the properties in `TRANSFORM`; None where it changes nothing."""
    if values is None or any(value is None for value in values):
        return None
    a00, a10, a01, a11, a02, a12 = (float(value) for value in values if value is not None)
    found = (a00, a10, a01, a11, a02, a12)
    return None if found == _IDENTITY else found


def centre(facts: ShapeFacts) -> tuple[float, float] | None:
    """Middle of a shape as (y, x); None where it has no place.

    Of an area it is the centre of mass, of a line that of its length.
    """
    find = _MIDDLES.get(facts.kind)
    if find is None or not facts.geometry:
        return None
    x, y = find(facts)
    if not (np.isfinite(x) and np.isfinite(y)):
        return None
    return y, x


def reach(facts: ShapeFacts) -> tuple[float, float] | None:
    """How far an area goes from its middle, as (y, x); None of a point or a line, which is none."""
    middle = centre(facts)
    if middle is None or facts.kind not in _AREAS:
        return None
    x, y = (np.abs(_outline(facts) - middle[::-1]).max(axis=0)).tolist()
    return y, x


def _outline(facts: ShapeFacts) -> NDArray[np.float64]:
    """Points (x, y) on the outline of an area, shape (N, 2); of a mask, of its rectangle."""
    if facts.kind == "Polygon":
        return _moved(facts, np.array(facts.geometry).reshape(-1, 2))
    x, y, width, height = facts.geometry
    if facts.kind == "Ellipse":
        angles = np.linspace(0, 2 * np.pi, 32, endpoint=False)
        around = np.stack([x + np.cos(angles) * width, y + np.sin(angles) * height], axis=1)
        return _moved(facts, around)
    corners = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
    return _moved(facts, corners * (width, height) + (x, y))


def shape_mark(facts: ShapeFacts) -> str:
    """Digest of a shape: those of one mark are the same to a person.

    Colours and line widths are no part of it, nor are differences below 0.01 pixels.
    """
    return digest(
        [
            facts.kind,
            facts.text,
            [facts.z, facts.t],
            _rounded(facts.geometry),
            _rounded(facts.transform or ()),
            facts.bits.hex(),
        ]
    )


def roi_mark(shapes: Iterable[ShapeFacts]) -> str:
    """Digest of all shapes of a region, in whatever order."""
    return digest(sorted(shape_mark(facts) for facts in shapes))


def mark_line(mark: str) -> str:
    """Line of a machine region's description that keeps its mark."""
    return f"{_MARK}{mark}"


def written_mark(description: str | None) -> str | None:
    """Mark that a region's description keeps, or None."""
    for line in (description or "").splitlines():
        if line.startswith(_MARK):
            return line.removeprefix(_MARK).strip()
    return None


def is_untouched(roi: Any) -> bool:
    """Whether a machine region, loaded with its shapes and their transforms, is as we wrote it."""
    # Where somebody deleted a shape by itself, OMERO gives the others with a hole between them.
    facts = [shape_facts(shape) for shape in roi.copyShapes() if shape is not None]
    return written_mark(unwrap(roi.description)) == roi_mark(facts)


def _rounded(values: Sequence[float]) -> list[float]:
    # Adding zero turns -0.0 into 0.0, which are two texts but one place.
    return [round(value, _DECIMALS) + 0.0 for value in values]


def _points(text: str) -> tuple[float, ...]:
    """Read "1,2 3,4", or the older "points[1,2, 3,4] points1[...] mask[...]"."""
    if "points[" in text:
        text = text.partition("points[")[2].partition("]")[0]
    numbers = [float(number) for number in _NUMBER.findall(text)]
    return tuple(numbers[: len(numbers) // 2 * 2])


def _moved(facts: ShapeFacts, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apply a shape's transform to points (x, y), shape (N, 2)."""
    if facts.transform is None:
        return points
    matrix = np.array(facts.transform).reshape(3, 2)
    moved: NDArray[np.float64] = points @ matrix[:2] + matrix[2]
    return moved


def _pair(point: NDArray[np.float64]) -> Middle:
    return float(point[0]), float(point[1])


def _at(facts: ShapeFacts, x: float, y: float) -> Middle:
    return _pair(_moved(facts, np.array([(x, y)]))[0])


def _of_point(facts: ShapeFacts) -> Middle:
    x, y = facts.geometry[:2]
    return _at(facts, x, y)


def _of_rectangle(facts: ShapeFacts) -> Middle:
    x, y, width, height = facts.geometry
    return _at(facts, x + width / 2, y + height / 2)


def _of_mask(facts: ShapeFacts) -> Middle:
    """Centre of mass of the bits that are set; of the whole rectangle where there are none."""
    x, y, width, height = facts.geometry
    columns, rows = round(width), round(height)
    bits = np.frombuffer(facts.bits, np.uint8)
    # Some writers give each pixel a byte, where the model asks for a bit.
    pixels = bits[: rows * columns] if len(bits) >= rows * columns else np.unpackbits(bits)
    if columns < 1 or rows < 1 or len(pixels) < rows * columns or not pixels.any():
        return _of_rectangle(facts)
    ys, xs = np.nonzero(pixels[: rows * columns].reshape(rows, columns))
    return _at(facts, x + float(xs.mean()) + 0.5, y + float(ys.mean()) + 0.5)


def _of_line(facts: ShapeFacts) -> Middle:
    """Centre of mass of a line of one piece or more."""
    points = _moved(facts, np.array(facts.geometry).reshape(-1, 2))
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    if not lengths.sum():
        return _pair(points[0])
    middles = (points[1:] + points[:-1]) / 2
    return _pair((middles * lengths[:, None]).sum(axis=0) / lengths.sum())


def _of_polygon(facts: ShapeFacts) -> Middle:
    """Centre of mass of an area, by the shoelace formula; of its outline where it has none."""
    points = _moved(facts, np.array(facts.geometry).reshape(-1, 2))
    # About its own first point: large coordinates would cost digits.
    near = points - points[0]
    after = np.roll(near, -1, axis=0)
    crosses = near[:, 0] * after[:, 1] - after[:, 0] * near[:, 1]
    area = crosses.sum() / 2
    if abs(area) < 1e-9 * max(1.0, float(np.abs(near).max()) ** 2):
        return _of_line(facts)
    middle = ((near + after) * crosses[:, None]).sum(axis=0) / (6 * area)
    return _pair(points[0] + middle)


_MIDDLES: dict[str, Callable[[ShapeFacts], Middle]] = {
    "Point": _of_point,
    "Label": _of_point,
    "Ellipse": _of_point,
    "Rectangle": _of_rectangle,
    "Mask": _of_mask,
    "Line": _of_line,
    "Polyline": _of_line,
    "Polygon": _of_polygon,
}
