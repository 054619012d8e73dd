"""Which pixels a shape covers, and statistics of their values.

As OMERO does it, one point is looked at for each pixel, counted from the corner of the shape's
bounding box; a mask counts with its whole rectangle, whatever its bits say; shapes without an area
count with the pixels that they run through.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from omero_hcs.sandbox.objects.row import Row

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Test = Callable[[FloatArray, FloatArray], BoolArray]
# OMERO asks whether the shape meets a square of 0.001 pixels at the point.
INSIDE = 0.0005
COUNTER_CLOCKWISE = ("a00", "a01", "a02", "a10", "a11", "a12")


@dataclass(frozen=True)
class Area:
    """An area: its bounding box, and a test of points.

    Attributes
    ----------
    corners : array, shape (N, 2)
        Points (x, y) whose bounding box is that of the area.
    contains : callable
        Of x and y, arrays of one shape: which points are inside.
    """

    corners: FloatArray
    contains: Test


def covered(shape: Row) -> tuple[IntArray, IntArray]:
    """Return the pixels that a shape covers: x and y, each of shape (N,)."""
    name = shape.entity.name
    if name in ("Rectangle", "Mask", "Ellipse", "Polygon"):
        area = _area(shape)
        return _inside(area if area is None else _transformed(area, shape))
    points = _line_points(shape)
    return _along(points) if len(points) else _nothing()


def _nothing() -> tuple[IntArray, IntArray]:
    empty = np.zeros(0, np.int64)
    return empty, empty


def _area(shape: Row) -> Area | None:
    if shape.entity.name == "Polygon":
        corners = parse_points(shape.values.get("points", ""))
        return Area(corners, _in_polygon(corners)) if len(corners) > 2 else None
    names = (
        ("x", "y", "radiusX", "radiusY")
        if shape.entity.name == "Ellipse"
        else ("x", "y", "width", "height")
    )
    if any(name not in shape.values for name in names):
        return None
    x, y, width, height = (shape.values[name] for name in names)
    if shape.entity.name == "Ellipse":
        return Area(
            _box(x - width, y - height, 2 * width, 2 * height), _in_ellipse(x, y, width, height)
        )
    return Area(_box(x, y, width, height), _in_box(x, y, width, height))


def _box(x: float, y: float, width: float, height: float) -> FloatArray:
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], float)


def _in_box(x: float, y: float, width: float, height: float) -> Test:
    def contains(xs: FloatArray, ys: FloatArray) -> BoolArray:
        inside: BoolArray = (xs >= x) & (xs < x + width) & (ys >= y) & (ys < y + height)
        return inside

    return contains


def _in_ellipse(x: float, y: float, radius_x: float, radius_y: float) -> Test:
    def contains(xs: FloatArray, ys: FloatArray) -> BoolArray:
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = ((xs - x) / radius_x) ** 2 + ((ys - y) / radius_y) ** 2
        inside: BoolArray = distance < 1
        return inside

    return contains


def _in_polygon(
    corners: FloatArray,
) -> Test:
    def contains(xs: FloatArray, ys: FloatArray) -> BoolArray:
        inside = np.zeros(xs.shape, bool)
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            if y0 != y1:
                crosses = (y0 > ys) != (y1 > ys)
                inside ^= crosses & (xs < (x1 - x0) * (ys - y0) / (y1 - y0) + x0)
        return inside

    return contains


def _transformed(area: Area, shape: Row) -> Area:
    transform = shape.values.get("transform")
    if transform is None:
        return area
    values = [transform.values.get(name, 0.0) for name in COUNTER_CLOCKWISE]
    matrix = np.array(values).reshape(2, 3)
    forward, shift = matrix[:, :2], matrix[:, 2]
    if not np.linalg.det(forward):
        return area
    back = np.linalg.inv(forward)

    def contains(xs: FloatArray, ys: FloatArray) -> BoolArray:
        points = back @ (np.stack([xs.ravel(), ys.ravel()]) - shift[:, None])
        return area.contains(points[0], points[1]).reshape(xs.shape)

    return Area(area.corners @ forward.T + shift, contains)


def _inside(area: Area | None) -> tuple[IntArray, IntArray]:
    if area is None:
        return _nothing()
    (left, top), (right, bottom) = area.corners.min(axis=0), area.corners.max(axis=0)
    xs, ys = np.meshgrid(np.arange(left, right), np.arange(top, bottom))
    inside = area.contains(xs + INSIDE, ys + INSIDE)
    return xs[inside].astype(np.int64), ys[inside].astype(np.int64)


def _line_points(shape: Row) -> FloatArray:
    values = shape.values
    if shape.entity.name == "Polyline":
        return parse_points(values.get("points", ""))
    names = ("x1", "y1", "x2", "y2") if shape.entity.name == "Line" else ("x", "y")
    if any(name not in values for name in names):
        return np.zeros((0, 2))
    return np.array([values[name] for name in names], float).reshape(-1, 2)


def _along(points: FloatArray) -> tuple[IntArray, IntArray]:
    pieces = [points[:1]]
    for start, end in itertools.pairwise(points):
        steps = int(np.ceil(np.abs(end - start).max())) + 1
        pieces.append(np.linspace(start, end, steps))
    pixels = np.floor(np.concatenate(pieces)).astype(np.int64)
    unique = np.unique(pixels, axis=0)
    return unique[:, 0], unique[:, 1]


def parse_points(text: str) -> FloatArray:
    """Read the points of a polygon: `"1,2 3,4"`, or the longer form of old versions of OMERO.

    Returns
    -------
    array, shape (N, 2)
        As (x, y).
    """
    if "points[" in text:
        text = text.partition("points[")[2].partition("]")[0]
    numbers = [float(one) for one in text.replace(",", " ").split()]
    return np.array(numbers[: len(numbers) // 2 * 2]).reshape(-1, 2)


@dataclass(frozen=True)
class Statistics:
    """Of the values of one channel in one shape."""

    count: int
    minimum: float
    maximum: float
    total: float
    mean: float
    deviation: float


def statistics(planes: Sequence[npt.NDArray[np.generic]], xs: IntArray, ys: IntArray) -> Statistics:
    """Measure the values of planes, each of shape (Y, X), at pixels that are inside of them."""
    height, width = planes[0].shape
    seen = (xs >= 0) & (xs < width) & (ys >= 0) & (ys < height)
    values = np.concatenate([plane[ys[seen], xs[seen]] for plane in planes]).astype(float)
    if not len(values):
        return Statistics(0, np.finfo(float).max, 0.0, 0.0, float("nan"), 0.0)
    deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return Statistics(
        len(values),
        float(values.min()),
        float(values.max()),
        float(values.sum()),
        float(values.mean()),
        deviation,
    )
