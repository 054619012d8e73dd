"""Folders of labelled crops, as published sets come."""

from __future__ import annotations

import numpy as np
import tifffile
from PIL import Image

SIDE = 24


def draw(rng, *, sharp, stains=3, top=255):
    """One cell, shape (stains, SIDE, SIDE): a plateau, or one that falls off gently."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    distance = (y**2 + x**2) / 36
    cell = np.exp(-(distance**2)) if sharp else 0.6 * np.exp(-distance)
    return np.clip(top * (0.1 + 0.8 * cell + rng.normal(0, 0.02, (stains, SIDE, SIDE))), 0, top)


def save(path, pixels):
    """Write a crop as its extension and data type ask for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels, photometric="minisblack")
    else:
        Image.fromarray(np.moveaxis(pixels, 0, 2).astype(np.uint8).squeeze()).save(path)


def write_folder(folder, *, wells=6, each=4, suffix=".png", dtype="uint8", stains=3):
    """A subfolder a class; half of the wells' cells are sharp, half are not."""
    rng = np.random.default_rng(1)
    top = 255 if dtype == "uint8" else 40000
    for number in range(wells * each):
        well, sharp = f"{'AB'[number % 2]}{number % wells // 2 + 1:02d}", number // wells % 2 == 0
        pixels = draw(rng, sharp=sharp, stains=stains, top=top).astype(dtype)
        name = f"{well}_{number % 3}_{number}{suffix}"
        save(folder / ("normal" if sharp else "abnormal") / name, pixels)
    return folder
