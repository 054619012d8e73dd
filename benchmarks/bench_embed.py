"""Embedding: crops a second against a plain PyTorch loop, and verdicts in bf16 against fp32."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from real_images import DATA
from scipy.ndimage import gaussian_filter
from tifffile import imread

from omero_hcs.imaging.crop import choose_scale, crop_cells, crop_recipe, to_rgb
from omero_hcs.imaging.normalize import IntensitySurvey, normalize
from omero_hcs.imaging.segment import median_diameter, segment_nuclei
from omero_hcs.learning.device import autocast_dtype, describe_device, pick_device
from omero_hcs.learning.embed import Embedder
from omero_hcs.learning.encoders import load_encoder
from omero_hcs.learning.heads import make_head

ENCODER = "tf_efficientnet_lite0"
BLUR_SIGMA = 2.0
LABELS_A_CLASS = 25
REPEATS = 20

Crops = NDArray[np.float32]


def measure(fields: int = 16, device: str = "cpu", seed: int = 0) -> dict[str, Any]:
    """Measure all of it; a minute on two free cores."""
    place = pick_device(device)
    items = bbbc013_crops(fields)
    recipe = crop_recipe(2)
    count = sum(len(crops) for crops in items)
    encoder = load_encoder(ENCODER, device=place)
    found: dict[str, Any] = {
        "device": describe_device(place),
        "threads": torch.get_num_threads(),
        "crops": count,
        "side_px": items[0].shape[-1],
        "input_px": encoder.input_size,
    }
    loop = plain_loop(encoder.input_size, place)
    seconds = {"plain_loop": best(lambda: [loop(to_rgb(crops, recipe)[:, 0]) for crops in items])}
    for precision in ("fp32", "bf16"):
        embedder = Embedder(encoder, recipe=recipe, precision=precision)
        seconds[precision] = best(lambda: list(embedder.stream(enumerate(items))))  # noqa: B023
    found["auto_precision"] = "fp32" if autocast_dtype(place) is None else "bf16"
    for name, value in seconds.items():
        found[f"{name}_crops_a_second"] = round(count / value, 1)
    found["fp32_speedup"] = round(seconds["plain_loop"] / seconds["fp32"], 2)
    found["bf16_speedup"] = round(seconds["plain_loop"] / seconds["bf16"], 2)
    embedders = {
        name: Embedder(encoder, recipe=recipe, precision=name) for name in ("fp32", "bf16")
    }
    return found | agreement(embedders, items, np.random.default_rng(seed))


def bbbc013_crops(fields: int) -> list[Crops]:
    """Normalised crops, (N, 2, S, S) a field, of wells spread over BBBC013."""
    paths = sorted((DATA / "bbbc013").rglob("*_w1.tif"))
    chosen = [paths[index] for index in np.linspace(0, len(paths) - 1, fields).astype(int)]
    images = [
        np.stack([imread(path), imread(path.with_name(path.name.replace("_w1", "_w2")))])
        for path in chosen
    ]
    nuclei = [segment_nuclei(image[1]) for image in images]
    side = choose_scale(nuclear_diameter=median_diameter(nuclei), pixel_size_um=None).side_px
    survey = IntensitySurvey(["GFP", "DNA"])
    for image, found in zip(images, nuclei, strict=True):
        survey.add(image, found.labels > 0)
    points = survey.qc()
    return [
        crop_cells(normalize(image, points), found.centers, size=side)
        for image, found in zip(images, nuclei, strict=True)
    ]


def plain_loop(side: int, device: torch.device) -> Callable[[Crops], NDArray[np.float32]]:
    """Write what one would write first: timm, 64 crops a batch, float32, field by field."""
    network = timm.create_model(ENCODER, num_classes=0).eval().to(device)

    def encode(rgb: Crops) -> NDArray[np.float32]:
        parts = []
        with torch.no_grad():
            for batch in torch.from_numpy(np.ascontiguousarray(rgb)).split(64):
                x = torch.nn.functional.interpolate(batch.to(device), (side, side), mode="bilinear")
                parts.append(network((x - 0.5) / 0.5).cpu())
        return np.asarray(torch.cat(parts))

    return encode


def best(work: Callable[[], object], times: int = 2) -> float:
    """Seconds of the fastest run, after one to warm up."""
    durations = []
    for _ in range(times + 1):
        started = time.perf_counter()
        work()
        durations.append(time.perf_counter() - started)
    return min(durations[1:])


def agreement(
    embedders: dict[str, Embedder], items: list[Crops], rng: np.random.Generator
) -> dict[str, float]:
    """Share of crops, half of them blurred, that both precisions judge alike, over `REPEATS`."""
    sharp = np.concatenate(items)
    blurred = gaussian_filter(sharp, (0, 0, BLUR_SIGMA, BLUR_SIGMA))
    crops = np.concatenate([sharp[::2], blurred[1::2]])
    truth = np.repeat([0, 1], [len(sharp[::2]), len(blurred[1::2])])
    features = {name: embedder.embed(crops) for name, embedder in embedders.items()}
    found: dict[str, float] = {}
    for head in ("knn", "linear"):
        alike, right = zip(*_verdicts(head, features, truth, rng), strict=True)
        found[f"{head}_verdicts_alike"] = round(float(np.mean(alike)), 4)
        found[f"{head}_verdicts_alike_worst"] = round(float(np.min(alike)), 4)
        found[f"{head}_accuracy"] = round(float(np.mean(right)), 4)
    return found


def _verdicts(
    kind: str,
    features: dict[str, NDArray[np.float32]],
    truth: NDArray[np.int64],
    rng: np.random.Generator,
) -> Iterator[tuple[float, float]]:
    for _ in range(REPEATS if kind == "knn" else 3):
        rows = np.concatenate(
            [rng.choice(np.flatnonzero(truth == one), LABELS_A_CLASS, False) for one in (0, 1)]
        )
        said = {
            name: make_head(kind)
            .fit(values[rows], truth[rows])
            .predict_proba(values)
            .argmax(axis=1)
            for name, values in features.items()
        }
        yield float((said["fp32"] == said["bf16"]).mean()), float((said["fp32"] == truth).mean())


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
