"""Nuclei segmentation against masks: ours, and Otsu + distance watershed in the same run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from real_images import Annotated, bbbc006_focus, bbbc013_dna, halves, nf1_nuclei, nuclei_masks
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

from omero_hcs.imaging.segment import median_diameter, segment_nuclei

Segmenter = Callable[[NDArray[Any]], NDArray[np.int32]]


def ours(plane: NDArray[Any]) -> NDArray[np.int32]:
    """Label nuclei as the product does."""
    return segment_nuclei(plane).labels


def otsu_watershed(plane: NDArray[Any]) -> NDArray[np.int32]:
    """Label nuclei the plain way: Otsu's threshold, watershed of the distance transform."""
    smooth = ndimage.gaussian_filter(plane.astype(np.float32), 1.0)
    mask = ndimage.binary_fill_holes(smooth > threshold_otsu(smooth))
    distance = ndimage.distance_transform_edt(mask)
    pieces, _ = ndimage.label(mask)
    peaks = peak_local_max(distance, min_distance=8, labels=pieces)
    markers = np.zeros(plane.shape, dtype=np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels = watershed(-distance, markers, mask=mask)
    small = np.bincount(labels.ravel()) < 50
    small[0] = False
    return np.where(small[labels], 0, labels).astype(np.int32)


def matches(found: NDArray[np.int32], truth: NDArray[np.int32]) -> tuple[int, int, int]:
    """Count objects matched at an IoU above 0.5, objects found, and true objects."""
    width = int(truth.max()) + 1
    pairs = found.astype(np.int64).ravel() * width + truth.ravel()
    shape = (int(found.max()) + 1, width)
    overlap = np.bincount(pairs, minlength=shape[0] * width).reshape(shape)
    areas, true_areas = overlap.sum(axis=1), overlap.sum(axis=0)
    union = areas[:, None] + true_areas[None, :] - overlap
    hits = (overlap / np.maximum(union, 1))[1:, 1:] > 0.5
    return int(hits.sum()), int((areas[1:] > 0).sum()), int((true_areas[1:] > 0).sum())


def scores(images: Sequence[Annotated], segmenter: Segmenter) -> dict[str, Any]:
    """F1 at IoU 0.5 per image, its mean, and pooled over all objects; seconds an image."""
    started = time.process_time()
    labels = [segmenter(image.plane) for image in images]
    seconds = (time.process_time() - started) / len(images)
    counts = [matches(found, image.masks) for found, image in zip(labels, images, strict=True)]
    single = [2 * hit / max(1, found + true) for hit, found, true in counts]
    hit, found, true = np.sum(counts, axis=0).tolist()
    return {
        "f1_mean": round(float(np.mean(single)), 4),
        "f1_pooled": round(2 * hit / (found + true), 4),
        "matched_found_true": [hit, found, true],
        "f1_by_image": {i.name: round(f1, 3) for i, f1 in zip(images, single, strict=True)},
        "cpu_seconds_an_image": round(seconds, 3),
    }


def measure() -> dict[str, Any]:
    """Measure all of it; a minute on one core."""
    images = nuclei_masks()
    tuned, held_out = halves(images)
    methods: dict[str, Segmenter] = {"ours": ours, "otsu_watershed": otsu_watershed}
    parts = {"all": images, "tuned_on": tuned, "held_out": held_out}
    f1 = {
        name: {part: scores(some, method) for part, some in parts.items()}
        for name, method in methods.items()
    }
    seconds = [f1[name]["all"]["cpu_seconds_an_image"] for name in methods]
    return {
        "nuclei_masks": f1,
        "cpu_seconds_ratio_ours_to_otsu": round(seconds[0] / seconds[1], 2),
        "nf1": {name: _nf1(method) for name, method in methods.items()},
        "bbbc013": _bbbc013(),
        "bbbc006": _bbbc006(),
    }


def _nf1(segmenter: Segmenter) -> dict[str, Any]:
    """Compare with masks that leave out nuclei at the border: those of ours are left out too."""
    counts = {}
    for image in nf1_nuclei():
        labels = segmenter(image.plane)
        rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        inner = np.where(np.isin(labels, rim), 0, labels)
        hit, found, true = matches(inner, image.masks)
        counts[image.name] = {"matched": hit, "found_inside": found, "masks": true}
    return counts


def _bbbc013() -> dict[str, Any]:
    planes = bbbc013_dna()
    started = time.process_time()
    fields = [segment_nuclei(plane) for _, plane in planes]
    seconds = (time.process_time() - started) / len(planes)
    counts = [len(nuclei) for nuclei in fields]
    return {
        "fields": len(planes),
        "nuclei_a_field_min_median_max": np.percentile(counts, (0, 50, 100)).tolist(),
        "median_diameter_px": round(median_diameter(fields) or 0.0, 1),
        "cpu_seconds_a_field": round(seconds, 3),
    }


def _bbbc006() -> dict[str, Any]:
    found: dict[str, Any] = {"in_focus": {}, "out_of_focus": {}}
    for field in bbbc006_focus():
        nuclei = segment_nuclei(field.plane)
        diameter = median_diameter([nuclei])
        part = found["in_focus" if field.in_focus else "out_of_focus"]
        part[field.name] = [len(nuclei), round(diameter, 1) if diameter else None]
    return found


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
