"""What users labelled, before anything is trained on it: listed, checked, exported."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from omero_hcs.errors import InputErrors, LabelError
from omero_hcs.model import ObjectRef
from omero_hcs.results import LABEL_COLUMNS, Table
from omero_hcs.stores.base import PlateStore
from omero_hcs.stores.open import open_store
from omero_hcs.tasks.base import Progress, all_units, names_of, no_progress
from omero_hcs.tasks.labels import (
    ExampleParams,
    FoundLabels,
    LabelParams,
    check_counts,
    class_order,
    count_by_class,
    find_labels,
    is_weak,
    label_sources,
)
from omero_hcs.tasks.sources import joined

IMBALANCE = 10
"""A class that is this often rarer than another is told: a model sees little of it."""


@dataclass(frozen=True)
class LabelCheck:
    """What is wrong with labels.

    Parameters
    ----------
    counts : mapping of str to int
        Examples a class, after every rule; labels a class where no pixels were looked at.
    faults : tuple of str
        What training would refuse.
    notes : tuple of str
        What training would do about the rest.
    """

    counts: Mapping[str, int]
    faults: tuple[str, ...]
    notes: tuple[str, ...]


def list_labels(where: Sequence[str], params: LabelParams) -> dict[str, Any]:
    """Count the labels of plates, sets and folders.

    Parameters
    ----------
    where : sequence of str
        What `open_store` takes.
    params : LabelParams
        Which labels.

    Returns
    -------
    dict
        `labels` (how many), `whole_fields` (those of them that are about a whole field), counts a
        class in `classes`, and those by `users`, `sources` and `wells`; `other_texts` that are no
        class, with their counts; `notes`.

    Raises
    ------
    LabelError
        If there are none.
    """
    found = _find(where, params)
    table = found.table
    return {
        "labels": len(table),
        "whole_fields": int(is_weak(table).sum()),
        "classes": count_by_class(table),
        "users": _counts_by("user", table),
        "sources": _counts_by("source", table),
        "wells": _counts_by("well", table),
        "other_texts": dict(found.other_texts),
        "notes": list(found.without),
    }


def export_labels(where: Sequence[str], params: LabelParams) -> str:
    """Write the labels as a `labels.csv`, by their classes.

    Labels of whole fields have empty `y` and `x`, which no label file may have: they are for other
    programs to read, and for the record. How large regions are is not kept: in a file, a label
    means the nearest nucleus.

    Raises
    ------
    LabelError
        If there are none.
    """
    table = _find(where, params).table
    columns = {
        name: np.where(np.isnan(table[name]), "", table[name].astype(str)) for name in ("y", "x")
    }
    table = table.with_columns(**columns)
    return Table({name: table[name] for name in LABEL_COLUMNS}).to_csv()


def check(
    where: Sequence[str],
    params: ExampleParams,
    *,
    pixels: bool = True,
    progress: Progress = no_progress,
) -> LabelCheck:
    """Find out all that is wrong with labels, as training would.

    Parameters
    ----------
    where : sequence of str
        What `open_store` takes.
    params : ExampleParams
        Which labels, and how cells are found.
    pixels : bool
        Also look for the nucleus of each label, which is what tells two labels of one cell.
    progress : callable
        See `tasks.base.Progress`.

    Raises
    ------
    LabelError
        If there are no labels.
    """
    with contextlib.closing(open_store(joined(where))) as store:
        targets = store.refs()
        found = find_labels(store, targets, label_sources(params))
        faults = _faults(store, targets, found.table, params)
        notes = [*found.warnings(), *_notes(found.table)]
        counts = count_by_class(found.table)
        if pixels and not faults:
            counts, more, told = _look(store, targets, found.table, params, progress)
            faults += more
            notes += told
    return LabelCheck(counts, tuple(faults), (*notes, *_imbalance(counts)))


def _find(where: Sequence[str], params: LabelParams) -> FoundLabels:
    with contextlib.closing(open_store(joined(where))) as store:
        return find_labels(store, store.refs(), label_sources(params))


def _counts_by(name: str, table: Table) -> dict[str, dict[str, int]]:
    return {
        value or "unknown": count_by_class(table.where(table[name] == value))
        for value in sorted(set(table[name].tolist()))
    }


def _faults(
    store: PlateStore, targets: Sequence[ObjectRef], labels: Table, params: ExampleParams
) -> list[str]:
    from omero_hcs.tasks.examples import has_own_planes
    from omero_hcs.tasks.label_places import Places, label_faults

    places = Places.of(store, targets)
    planes = has_own_planes(params)
    faults = label_faults(places, labels, refuse=params.refuses, planes=planes)
    return faults + _said_by(lambda: class_order(labels, params.normal_class))


def _said_by(check: Callable[[], object]) -> list[str]:
    """Run a check, and give what it finds wrong instead of raising it."""
    try:
        check()
    except LabelError as error:
        return [str(error)]
    return []


def _look(
    store: PlateStore,
    targets: Sequence[ObjectRef],
    labels: Table,
    params: ExampleParams,
    progress: Progress,
) -> tuple[dict[str, int], list[str], tuple[str, ...]]:
    """Gather the examples as training does: counts, faults and notes."""
    from omero_hcs.tasks.examples import examples_of
    from omero_hcs.tasks.survey import survey_plate

    name = names_of(store, targets)
    pairs = all_units(store, targets, params)
    survey = survey_plate(store, pairs, params, name=name, progress=progress)
    examples = examples_of(store, targets, params, labels, survey)
    faults: list[str] = []
    try:
        for number, _ in enumerate(examples.crops(), 1):
            progress("looking at the labels", number, len(examples.fields))
    except InputErrors as error:
        faults += error.faults
    counts = count_by_class(examples.table) if len(examples.table) else {}
    classes = sorted(set(labels["label"].tolist()))
    faults += _said_by(lambda: check_counts(counts, classes))
    return counts, faults, (*survey.warnings, *examples.warnings())


def _notes(labels: Table) -> list[str]:
    weak = is_weak(labels)
    if not weak.any() or weak.all():
        return []
    whole = set(labels["image"][weak].tolist())
    own = Counter(image for image in labels["image"][~weak].tolist() if image in whole)
    if not own:
        return []
    text = (
        f"{sum(own.values())} labels of single cells are in {len(own)} fields that are labelled as "
        "a whole, too: for those cells, the label of the cell counts."
    )
    return [text]


def _imbalance(counts: Mapping[str, int]) -> list[str]:
    if len(counts) < 2:
        return []
    rare, often = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    if counts[often] < IMBALANCE * max(counts[rare], 1):
        return []
    text = (
        f"There are {counts[often]} examples of {often!r}, and {counts[rare]} of {rare!r}: a model "
        f"learns little of {rare!r}. Label more of them, or pass a smaller --weak-limit."
    )
    return [text]
