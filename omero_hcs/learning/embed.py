"""Batched inference: crops of many fields in, features in the same order out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from omero_hcs.errors import InputError
from omero_hcs.imaging.crop import Recipe, to_rgb
from omero_hcs.learning.device import autocast_dtype
from omero_hcs.learning.encoders import Encoder
from omero_hcs.learning.measures import count_measures, crop_measures
from omero_hcs.learning.prefetch import Prefetch

K = TypeVar("K")
Features = NDArray[np.float32]
Crops = NDArray[np.float32]

CPU_BATCH, GPU_BATCH = 64, 512
"""RGB pictures a batch: on a CPU what stays in its cache, on a GPU what keeps it busy."""

PREFETCHED_ITEMS = 4


class _Pending(Generic[K]):
    """One item whose features are not complete yet."""

    def __init__(self, key: K, rows: int, dim: int) -> None:
        self.key = key
        self.features = np.empty((rows, dim), dtype=np.float32)
        self.filled = 0

    @property
    def complete(self) -> bool:
        return self.filled == len(self.features)


class Embedder:
    """Turns normalised crops into features, in batches that are filled across fields.

    Parameters
    ----------
    encoder : Encoder
        The network.
    recipe : Recipe
        How the stains of a crop become RGB; more than one pass gives longer features.
    batch_size : int, optional
        RGB pictures a batch; chosen by the device where not given. It changes no feature by more
        than 1e-4 in float32.
    precision : {"auto", "fp32", "bf16"}
        Number format of the network.
    measures : bool
        Whether `crop_measures` are joined to the encoder's features, after them.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        recipe: Recipe,
        batch_size: int | None = None,
        precision: str = "auto",
        measures: bool = False,
    ) -> None:
        if batch_size is not None and batch_size < 1:
            msg = f"A batch cannot have {batch_size} pictures. Pass 1 or more."
            raise InputError(msg)
        dtype = autocast_dtype(encoder.device, precision)
        self.recipe = recipe
        self.encoder = encoder.with_dtype(dtype)
        self.precision = "fp32" if dtype is None else "bf16"
        self.batch_size = batch_size or (CPU_BATCH if encoder.device.type == "cpu" else GPU_BATCH)
        self.measures = measures
        self.dim = encoder.dim * recipe.passes
        if measures:
            self.dim += count_measures(recipe.channels)

    def embed(self, crops: Crops) -> Features:
        """Features of the crops of one field: (N, C, S, S) in, (N, dim) out, both float32."""
        return next(self._batched(iter([(None, crops)])))[1]

    def stream(self, items: Iterable[tuple[K, Crops]]) -> Iterator[tuple[K, Features]]:
        """Features of many fields, in their order, with bounded memory.

        Parameters
        ----------
        items : iterable of (key, crops)
            Crops are float32, shape (N, C, S, S), normalised, with headroom where `measures` are
            joined; N may be 0. It is read ahead in a thread, so that fields are read and cropped
            while others are encoded.

        Yields
        ------
        key, array of shape (N, dim), float32

        Raises
        ------
        InputError
            If crops have another shape than the recipe asks for. Exceptions of `items` are raised
            after the features of the items before them.
        """
        with Prefetch(items, depth=PREFETCHED_ITEMS) as ahead:
            yield from self._batched(iter(ahead))

    def _batched(self, items: Iterator[tuple[K, Crops]]) -> Iterator[tuple[K, Features]]:
        pending: deque[_Pending[K]] = deque()
        batch: list[Crops] = []
        failure: Exception | None = None
        while failure is None:
            try:
                key, crops = next(items)
                self._check(crops)
            except StopIteration:
                break
            except Exception as error:  # noqa: BLE001  (raised below, after what came before it)
                failure = error
                break
            if batch and batch[0].shape[1:] != crops.shape[1:]:
                self._encode(batch, pending)
                batch = []
            pending.append(_Pending(key, len(crops), self.dim))
            batch = self._encode_full([*batch, crops], pending)
            yield from _complete(pending)
        self._encode(batch, pending)
        yield from _complete(pending)
        if failure is not None:
            raise failure

    def _check(self, crops: Crops) -> None:
        if crops.ndim != 4 or crops.shape[1] != self.recipe.channels:
            msg = (
                f"Crops have shape {crops.shape}; the recipe asks for (N, "
                f"{self.recipe.channels}, S, S). Pass the channels the model was trained on."
            )
            raise InputError(msg)

    def _encode_full(self, batch: list[Crops], pending: deque[_Pending[K]]) -> list[Crops]:
        """Encode as many full batches as there are; what is left over waits for the next item."""
        per_batch = max(1, self.batch_size // self.recipe.passes)
        if sum(map(len, batch)) < per_batch:
            return batch
        crops = np.concatenate(batch)
        full = len(crops) - len(crops) % per_batch
        for start in range(0, full, per_batch):
            self._encode([crops[start : start + per_batch]], pending)
        return [crops[full:]] if full < len(crops) else []

    def _encode(self, batch: list[Crops], pending: deque[_Pending[K]]) -> None:
        """Encode crops, and hand the features to the items that wait for them, in order."""
        if not sum(map(len, batch)):
            return
        features = self._features(np.concatenate(batch))
        taken = 0
        for item in pending:
            rows = min(len(item.features) - item.filled, len(features) - taken)
            item.features[item.filled : item.filled + rows] = features[taken : taken + rows]
            item.filled += rows
            taken += rows

    def _features(self, crops: Crops) -> Features:
        rgb = to_rgb(crops, self.recipe)
        pictures = torch.from_numpy(np.ascontiguousarray(rgb.reshape(-1, *rgb.shape[2:])))
        features = self.encoder(pictures).reshape(len(crops), -1)
        if self.measures:
            pixels = torch.from_numpy(crops).to(self.encoder.device)
            features = torch.cat([features, crop_measures(pixels)], dim=1)
        return features.cpu().numpy()


def _complete(pending: deque[_Pending[K]]) -> Iterator[tuple[K, Features]]:
    while pending and pending[0].complete:
        item = pending.popleft()
        yield item.key, item.features
