"""Other views of the same cells: turned, mirrored, shifted and scaled, on the device they are on.

Intensities are never changed: how bright, sharp and noisy a cell is says how good it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from omero_hcs.errors import InputError

SHIFT, SCALE = 0.1, 0.1
"""How far the papers' views go, as shares of a crop's side: the papers do not say."""


@dataclass(frozen=True)
class Augment:
    """Random views of pictures, another for each picture of a batch.

    Mirroring and turning move pixels and change none. A picture that is shifted and scaled is
    sampled once, bicubically; what comes in from outside is its mirror image.

    Parameters
    ----------
    flips : bool
        Mirror left to right, and top to bottom, each in half of the cases.
    transpose : bool
        Swap rows and columns in half of the cases; with `flips`, that makes every turn by 90
        degrees, too.
    shift : float
        How far at most, as a share of the side, along each axis.
    scale : float
        By how much at most: 0.1 makes cells 0.91 to 1.1 times as large.
    """

    flips: bool = True
    transpose: bool = True
    shift: float = SHIFT
    scale: float = SCALE

    def __post_init__(self) -> None:
        if not (0 <= self.shift < 1 and 0 <= self.scale < 1):
            msg = (
                f"Views cannot be shifted by {self.shift} and scaled by {self.scale} of the side. "
                "Pass 0 or more, and less than 1."
            )
            raise InputError(msg)

    def __call__(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Give one view of each picture.

        Parameters
        ----------
        pictures : tensor, shape (N, C, S, S), float
            On any device.
        generator : torch.Generator
            On the CPU, so that a seed gives the same views on every device.

        Returns
        -------
        tensor, shape (N, C, S, S)
            Of the same type, on the same device.

        Raises
        ------
        InputError
            If pictures are not square.
        """
        if pictures.ndim != 4 or pictures.shape[-1] != pictures.shape[-2]:
            msg = f"Views are made of square pictures (N, C, S, S), not {tuple(pictures.shape)}."
            raise InputError(msg)
        chance = torch.rand((len(pictures), 6), generator=generator).to(pictures.device)
        if self.shift or self.scale:
            pictures = _sampled(pictures, self._places(chance[:, 3:]))
        chosen = (chance[:, :3] < 0.5).view(-1, 3, 1, 1, 1).unbind(1)
        if self.flips:
            pictures = torch.where(chosen[0], pictures.flip(-1), pictures)
            pictures = torch.where(chosen[1], pictures.flip(-2), pictures)
        if self.transpose:
            pictures = torch.where(chosen[2], pictures.transpose(-1, -2), pictures)
        return pictures

    def _places(self, chance: Tensor) -> Tensor:
        """Affine maps (N, 2, 3) from places in the view to places in the picture, -1 to 1."""
        size = torch.exp((2 * chance[:, 0] - 1) * math.log1p(self.scale))
        moved = (2 * chance[:, 1:] - 1) * 2 * self.shift
        eye = torch.eye(2, device=chance.device).expand(len(chance), 2, 2)
        return torch.cat([eye / size.view(-1, 1, 1), moved.unsqueeze(-1)], dim=2)


def _sampled(pictures: Tensor, places: Tensor) -> Tensor:
    grid = functional.affine_grid(places, list(pictures.shape), align_corners=False)
    found = functional.grid_sample(
        pictures,
        grid.to(pictures.dtype),
        mode="bicubic",
        padding_mode="reflection",
        align_corners=False,
    )
    # Bicubic sampling overshoots at edges: no view is darker or brighter than its picture.
    low, high = pictures.amin((-1, -2), keepdim=True), pictures.amax((-1, -2), keepdim=True)
    return torch.maximum(torch.minimum(found, high), low)
