"""The labelled cells that a model file shows, read without what judges: no torch is needed.

Of each there is a small picture, and who labelled it as what, where.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from omero_hcs.errors import DataError

PART = "examples"
"""Of the model file."""

MOST = 500
"""Labelled cells that a model keeps."""

_PICTURES, _ENDS = "pictures", "ends"


@dataclass(frozen=True, eq=False)
class KeptExamples:
    """Labelled cells as columns, with a picture each.

    Parameters
    ----------
    columns : mapping of str to sequence
        `label`, `plate`, `well`, `unit`, `y`, `x`, `user`; see `modelcard.ExamplesCard`.
    pictures : array, shape (B,), uint8
        JPEG files, one after the other.
    ends : array, shape (N,), int64
        Where each of them ends.
    """

    columns: Mapping[str, Sequence[Any]]
    pictures: NDArray[np.uint8]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends)

    def picture(self, row: int) -> bytes:
        """Give the JPEG file of one of them, 48 px wide."""
        start = int(self.ends[row - 1]) if row else 0
        return self.pictures[start : int(self.ends[row])].tobytes()

    def label(self, row: int) -> str:
        """Give the class that it was labelled as."""
        return str(self.columns["label"][row])


def packed(pictures: Sequence[bytes]) -> dict[str, NDArray[Any]]:
    """Lay pictures one after the other, as tensors of a model file."""
    content = np.frombuffer(b"".join(pictures), dtype=np.uint8)
    ends = np.cumsum([len(picture) for picture in pictures], dtype=np.int64)
    return {_PICTURES: content, _ENDS: ends}


def read_examples(path: str | Path) -> KeptExamples | None:
    """Read the labelled cells that a model file keeps, and nothing else of it.

    Returns
    -------
    KeptExamples or None
        None where it keeps none: it is of an older release, or was trained with
        `--no-keep-examples`.

    Raises
    ------
    DataError
        If it is no model file, or is damaged.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            card = json.loads((file.metadata() or {})["card"])
            names = set(file.keys())
            wanted = [f"{PART}/{name}" for name in (_PICTURES, _ENDS)]
            if not card.get("examples") or not names.issuperset(wanted):
                return None
            pictures, ends = (file.get_tensor(name) for name in wanted)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        msg = f"{path} is no model of omero-hcs, or is damaged. Pass a file that train-qc wrote."
        raise DataError(msg) from error
    return KeptExamples(card["examples"], pictures, ends)
