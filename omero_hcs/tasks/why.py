"""Why a cell was judged as it was: the labelled cells that it is most like, as the report shows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from omero_hcs.errors import DataError
from omero_hcs.jobs.identity import file_sha256
from omero_hcs.learning.kept_examples import KeptExamples, read_examples
from omero_hcs.report.data import LikeIt

_COLUMNS = ("why_1", "why_2", "why_3")


class Likenesses:
    """Finds the labelled cells that judged ones are like, in the model that judged them.

    Parameters
    ----------
    record : mapping
        The run's `run.json`. Where its model is no longer here, nothing is found.
    """

    def __init__(self, record: Mapping[str, Any]) -> None:
        self._record = record

    def of(self, row: Mapping[str, Any]) -> tuple[LikeIt, ...]:
        """Give the labelled cells that a row of the table of cells names, the nearest first."""
        kept = self._examples
        if kept is None or not all(name in row for name in _COLUMNS):
            return ()
        places = [int(row[name]) for name in _COLUMNS]
        return tuple(_shown(kept, place) for place in places if 0 <= place < len(kept))

    @cached_property
    def _examples(self) -> KeptExamples | None:
        model = self._record.get("model") or {}
        path = Path(model.get("path") or "")
        if not path.is_file() or file_sha256(path) != model.get("sha256"):
            return None
        try:
            return read_examples(path)
        except DataError:
            return None


def _shown(kept: KeptExamples, place: int) -> LikeIt:
    well, user = (str(kept.columns[name][place]) for name in ("well", "user"))
    about = [f"well {well}"] * bool(well) + [f"labelled by {user}"] * bool(user)
    return LikeIt(kept.picture(place), kept.label(place), ", ".join(about))
