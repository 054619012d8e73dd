"""What a model keeps of the plates that it learnt from: labelled cells to show, cells to compare.

By these it tells why it says what it says, and notices plates that are unlike its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from omero_hcs.imaging.normalize import normalize
from omero_hcs.learning.embed import Embedder
from omero_hcs.learning.kept_examples import MOST, packed
from omero_hcs.learning.kept_examples import PART as EXAMPLES
from omero_hcs.learning.modelcard import ExamplesCard, ModelCard
from omero_hcs.learning.nearest import Nearest
from omero_hcs.learning.novelty import MIN_WELLS, learn_novelty
from omero_hcs.learning.novelty import PART as NOVELTY
from omero_hcs.model import Unit
from omero_hcs.report.gallery import crop_to_rgb, jpeg_bytes
from omero_hcs.results import Table
from omero_hcs.tasks.cells import CellFinder, FieldCells
from omero_hcs.tasks.examples import Examples
from omero_hcs.tasks.weak import choose_cells

if TYPE_CHECKING:
    from omero_hcs.tasks.train_qc import Params

SAMPLED_FIELDS, CELLS_A_FIELD = 48, 20
"""Fields of the training plates of which some cells are looked at: 20 to 30 s on two cores."""

PICTURE_SIDE = 48

Features = NDArray[np.float32]
Crops = NDArray[np.float32]
Part = dict[str, NDArray[Any]]


@dataclass(eq=False)
class Portraits:
    """Small pictures of the examples, taken as their crops go by.

    Parameters
    ----------
    finder : CellFinder
        Knows the channels and their colours.
    are_wanted : bool
        Whether any are taken.
    """

    finder: CellFinder
    are_wanted: bool
    pictures: list[bytes] = field(default_factory=list)

    def watch(self, crops: Iterator[Crops]) -> Iterator[Crops]:
        """Give crops (N, C, S, S) as they come, and keep a picture of each."""
        image = next(iter(self.finder.sites.values())).image
        colors = [image.channel(name).color for name in self.finder.survey.channels]
        for some in crops:
            if self.are_wanted:
                drawn = (crop_to_rgb(crop, colors=colors, size=PICTURE_SIDE) for crop in some)
                self.pictures += [jpeg_bytes(picture) for picture in drawn]
            yield some


@dataclass(frozen=True, eq=False)
class KnownCells:
    """What is kept: parts of the model file, what its card says of them, and lines for the user."""

    parts: Mapping[str, Part]
    card: Mapping[str, Any]
    lines: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    def on_card(self, card: ModelCard) -> ModelCard:
        """Write on a card what is kept; without examples, nobody's name either."""
        if EXAMPLES not in self.parts:
            known = card.labels.provenance
            nameless = known.model_copy(update={"user": ("",) * len(known.user)})
            labels = {"users": (), "by_user": {}, "provenance": nameless}
            card = card.model_copy(update={"labels": card.labels.model_copy(update=labels)})
        return card.model_copy(update=dict(self.card))


def known_cells(
    params: Params,
    examples: Examples,
    features: Features,
    embedder: Embedder,
    pictures: Sequence[bytes],
) -> KnownCells:
    """Gather what a model keeps of its plates.

    Parameters
    ----------
    params : Params
        Whether examples are kept, and the seed.
    examples : Examples
        The labelled cells, cropped before.
    features : array, shape (N, D), float32
        Of the labelled cells, by the encoder that will judge others.
    embedder : Embedder
        That encoder; it also looks at cells that have no label.
    pictures : sequence of bytes
        Of the labelled cells, N of them; see `Portraits`. Not needed where none are kept.
    """
    parts: dict[str, Part] = {}
    card: dict[str, Any] = {}
    lines: dict[str, str] = {}
    if params.keep_examples:
        parts[EXAMPLES], card[EXAMPLES] = _shown(examples.table, features, pictures)
        lines["keeps"] = f"{len(card[EXAMPLES].label)} labelled cells, to show beside others"
    started = time.monotonic()
    rng = np.random.default_rng(params.seed)
    drawn, wells = _sampled(examples, embedder, rng)
    every = np.concatenate([features, drawn])
    groups = np.concatenate([examples.table["group"], wells])
    known = learn_novelty(every, groups, np.arange(len(every)) >= len(features), rng=rng)
    if known is None:
        return KnownCells(parts, card, lines, (_too_few(len(set(wells.tolist()))),))
    parts[NOVELTY], card[NOVELTY] = known[0].tensors(), known[1]
    lines["knows"] = (
        f"{len(drawn)} more cells of {known[1].wells} wells or images, to notice plates unlike "
        f"them ({time.monotonic() - started:.0f} s)"
    )
    return KnownCells(parts, card, lines)


def _too_few(wells: int) -> str:
    return (
        f"The model will not notice plates that are unlike those it learnt from: they have cells in"
        f" {wells} wells or images, and it takes {MIN_WELLS}."
    )


def _shown(
    table: Table, features: Features, pictures: Sequence[bytes]
) -> tuple[Part, ExamplesCard]:
    """Keep the examples of which a verdict can be shown to come."""
    rows = _newest(table)
    columns = {
        name: tuple(table[name][rows].tolist())
        for name in ExamplesCard.model_fields
        if name in table
    }
    nearest = Nearest.of(features[rows]).tensors()
    return {**nearest, **packed([pictures[row] for row in rows])}, ExamplesCard(**columns)


def _newest(table: Table) -> NDArray[np.intp]:
    """Choose the examples to keep, in their order: of each class those labelled last.

    What was said of a cell goes before what was said of its field.
    """
    order = np.argsort(table["time"], kind="stable")[::-1]
    order = order[np.argsort(table["weak"][order], kind="stable")]
    place = np.zeros(len(table), dtype=np.intp)
    for name in np.unique(table["label"]):
        own = order[table["label"][order] == name]
        place[own] = np.arange(len(own))
    return np.sort(order[np.argsort(place[order], kind="stable")][:MOST])


def _sampled(
    examples: Examples, embedder: Embedder, rng: Generator
) -> tuple[Features, NDArray[np.str_]]:
    """Features of cells of the training plates drawn by chance, and the well of each."""
    fields = examples.finder.fields(_spread([planes[0][0] for planes in examples.fields], rng))
    found: list[tuple[str, Features]] = list(
        embedder.stream(_some_cells(examples.finder, fields, rng))
    )
    groups = [np.full(len(features), group) for group, features in found]
    if not groups:
        return np.empty((0, embedder.dim), dtype=np.float32), np.empty(0, dtype="<U1")
    return np.concatenate([features for _, features in found]), np.concatenate(groups)


def _spread(units: Sequence[Unit], rng: Generator) -> list[Unit]:
    """Choose fields by chance: one of every well, then a second one, and so on."""
    by_well: dict[str, list[Unit]] = {}
    for row in rng.permutation(len(units)):
        by_well.setdefault(_group(units[row]), []).append(units[row])
    rounds = max(map(len, by_well.values()), default=0)
    turn = (
        own[number] for number in range(rounds) for own in by_well.values() if number < len(own)
    )
    return [unit for unit, _ in zip(turn, range(SAMPLED_FIELDS), strict=False)]


def _group(unit: Unit) -> str:
    """Name the well of a unit, or its image, as `Examples.table` does."""
    return f"{unit.target.id}/{unit.well}" if unit.well else str(unit.image)


def _some_cells(
    finder: CellFinder, fields: Iterator[Any], rng: Generator
) -> Iterator[tuple[str, Crops]]:
    """Crops of some cells of each field; what cannot be read is left out."""
    intensities = finder.survey.intensities()
    for found in fields:
        if isinstance(found, FieldCells) and len(found.table):
            rows = choose_cells(np.arange(len(found.table)), CELLS_A_FIELD, rng)
            crops = normalize(found.crops[rows], intensities, headroom=True)
            yield _group(found.unit), crops
