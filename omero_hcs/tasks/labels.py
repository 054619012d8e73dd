"""What users labelled, as the tasks need it: one table over all targets, and its digest."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from omero_hcs.errors import LabelError
from omero_hcs.model import ObjectRef
from omero_hcs.results import LABEL_COLUMNS, REACH_COLUMNS, Table
from omero_hcs.stores.base import LabelKind, LabelSource, PlateStore
from omero_hcs.tasks.base import MORE, CellParams, InDialog
from omero_hcs.tasks.conflicts import Rule
from omero_hcs.tasks.label_words import IN_DIALOG, WORDS

MIN_LABELS = 5
"""Labels that each class must have: as many as there are neighbours to ask, or folds to test in."""

_SHOWN, _LETTERS = 10, 40
"""How many texts a message lists, and how much of each."""


class LabelParams(BaseModel):
    """Which labels are read, and what they are called."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: Annotated[
        str | None,
        InDialog(
            values=IN_DIALOG,
            hint="What users labelled cells and images with: drawn regions with a text, tags,"
            " ratings, comments, key-values, or the dataset that a crop lies in.",
        ),
    ] = Field(
        default=None,
        description="CSV file with the labels, or what holds them in OMERO: roi, tags, ratings,"
        " comments, key-values, datasets, or several of these, such as roi,tags; labels.csv beside"
        " the plate by default.",
    )
    classes: Annotated[tuple[str, ...] | None, InDialog()] = Field(
        default=None,
        description="Texts that are classes, all others being none; TEXT=CLASS gives a text"
        " another name, such as 5=normal. Every text is a class by default.",
    )
    label_prefix: Annotated[str | None, InDialog(MORE)] = Field(
        default=None, description="What the text of every label begins with, such as 'qc:'."
    )
    label_key: Annotated[str, InDialog(MORE)] = Field(
        default="Label", description="Key of the key-value pairs whose values are labels."
    )

    @property
    def kinds(self) -> tuple[LabelKind, ...]:
        """What holds the labels."""
        words = [word.strip().lower() for word in (self.labels or "file").split(",")]
        known = all(word in WORDS for word in words)
        return tuple(dict.fromkeys(WORDS[word] for word in words)) if known else ("file",)

    @property
    def in_file(self) -> bool:
        """Whether the labels are in a file, which need not say in which plane they are."""
        return self.kinds == ("file",)


class ExampleParams(LabelParams, CellParams):
    """Which cells are examples, and how they are cropped."""

    normal_class: Annotated[str, InDialog()] = Field(
        default="normal", description="Label of the good cells."
    )
    conflicts: Annotated[
        Literal["auto", "refuse", "latest", "majority", "owner"],
        InDialog(
            MORE,
            hint="Which label of a cell counts where users say different things: the latest (so is"
            " auto), that of most users or of the images' owner, or none (refuse).",
        ),
    ] = Field(
        default="auto",
        description="Which label of a cell counts where several differ: the latest, that of most"
        " users or of the images' owner, or none (refuse). auto takes the latest, but refuses a"
        " file that says two things of one place.",
    )
    weak_limit: Annotated[int, InDialog(MORE, name="Cells_Per_Labelled_Image")] = Field(
        default=50,
        ge=1,
        description="Cells a field that get the label of the field or of its well, at most.",
    )

    @property
    def rule(self) -> Rule:
        """By what rule conflicts are settled."""
        return "latest" if self.conflicts == "auto" else self.conflicts

    @property
    def refuses(self) -> bool:
        """Whether two classes of the very same place are a fault, as in a file they would be.

        Two places in a file whose cells touch, and are found as one, are settled by the rule.
        """
        return self.conflicts == "refuse" or (self.conflicts == "auto" and self.in_file)


def class_names(classes: Sequence[str] | None) -> tuple[tuple[str, str], ...]:
    """Split what --classes gives into (text, class): "5=normal" -> ("5", "normal").

    Raises
    ------
    LabelError
        If a text or a class is empty, or a text is given twice.
    """
    names = []
    for item in classes or ():
        text, sign, name = item.rpartition("=")
        names.append((text.strip() if sign else name.strip(), name.strip()))
    faults = [f"{text}={name}" for text, name in names if not (text and name)]
    faults += [text for text, count in Counter(text for text, _ in names).items() if count > 1]
    if faults:
        msg = (
            f"{', '.join(map(repr, faults))} cannot be a class. Give each text once, such as "
            "normal,abnormal or 5=normal,1=abnormal."
        )
        raise LabelError(msg)
    return tuple(names)


def label_sources(params: LabelParams) -> tuple[LabelSource, ...]:
    """Find out which labels are asked for.

    Raises
    ------
    LabelError
        If `labels` is neither a file nor made of `WORDS`.
    """
    names = class_names(params.classes)
    if "file" in params.kinds and not params.in_file:
        msg = (
            f"--labels {params.labels!r} asks for a label file and for annotations. Export the "
            "annotations with: omero-hcs labels export, and put all into one file."
        )
        raise LabelError(msg)
    return tuple(
        LabelSource(
            kind=kind,
            path=_label_file(params.labels),
            key=params.label_key,
            prefix=params.label_prefix,
            names=names,
        )
        for kind in params.kinds
    )


def _label_file(given: str | None) -> str | None:
    """Give the path of the label file that was named, if one was."""
    words = [word.strip() for word in (given or "file").split(",")]
    if all(word.lower() in WORDS for word in words):
        return None
    path = Path(given or "")
    bare = all("." not in word and not set("/\\") & set(word) for word in words)
    if bare and not path.exists():
        unknown = ", ".join(repr(word) for word in words if word.lower() not in WORDS)
        msg = (
            f"There is no label file {given!r}, and {unknown} is no kind of labels. Pass --labels "
            f"with a CSV file, or with one or more of: {', '.join(WORDS)}."
        )
        raise LabelError(msg)
    return str(path.resolve())


@dataclass(frozen=True, eq=False)
class FoundLabels:
    """Labels of all targets.

    Parameters
    ----------
    table : Table
        With `results.LABEL_COLUMNS`; `label` is the class, `plate` the id of the target where it
        is a plate.
    other_texts : mapping of str to int
        Texts that are no class, and how many annotations have them.
    without : tuple of str
        What was said of each target that has no labels of a kind, while there are others.
    """

    table: Table
    other_texts: Mapping[str, int]
    without: tuple[str, ...] = ()

    def warnings(self) -> tuple[str, ...]:
        """Say what was left out."""
        told = tuple(f"Labels were not found everywhere: {why}" for why in self.without)
        if self.other_texts:
            count = sum(self.other_texts.values())
            text = f"{count} annotations have texts that are no class, and were left out"
            told = (*told, f"{text}: {_counted(self.other_texts)}.")
        return told


def find_labels(
    store: PlateStore, targets: Sequence[ObjectRef], sources: Sequence[LabelSource]
) -> FoundLabels:
    """Read the labels of every target, and give them their classes.

    The store is asked for all texts, so that those that are no class can be told.

    Raises
    ------
    LabelError
        If there are none, or they cannot be read.
    """
    tables: list[Table] = []
    without: list[LabelError] = []
    for target in targets:
        for source in sources:
            try:
                tables.append(_read(store, target, source))
            except LabelError as error:
                without.append(error)
    if not tables:
        faults = dict.fromkeys(str(error) for error in without)
        raise LabelError("\n".join(faults) or "There is nothing to read labels of.")
    table = Table.concat(tables)
    classes = [sources[0].label_of(text) for text in table["label"].tolist()]
    texts = zip(table["label"].tolist(), classes, strict=True)
    other = Counter(text for text, name in texts if not name)
    kept = [row for row, name in enumerate(classes) if name]
    if not kept:
        raise LabelError(_no_class(sources[0], other))
    named = table.where(np.array(kept, dtype=np.intp))
    named = named.with_columns(label=np.array([classes[row] for row in kept], dtype=str))
    return FoundLabels(named, other, tuple(str(error) for error in without))


def _read(store: PlateStore, target: ObjectRef, source: LabelSource) -> Table:
    texts = source.model_copy(update={"names": (), "prefix": None})
    table = store.labels(target, source=texts)
    plate = target.id if target.kind == "plate" else ""
    unknown = np.full(len(table), np.nan)
    reach = {name: table.columns.get(name, unknown) for name in REACH_COLUMNS}
    return table.with_columns(plate=np.full(len(table), plate), **reach)


def _no_class(source: LabelSource, other: Mapping[str, int]) -> str:
    wanted = ", ".join(repr(text) for text, _ in source.names) or "any text"
    prefix = f" after the prefix {source.prefix!r}" if source.prefix is not None else ""
    return (
        f"None of {sum(other.values())} annotations is a label: {wanted}{prefix} was asked for, "
        f"the texts there are {_counted(other)}. Pass --classes or --label-prefix as the texts are."
    )


def _counted(texts: Mapping[str, int]) -> str:
    often = sorted(texts.items(), key=lambda item: (-item[1], item[0]))
    more = f" and {len(often) - _SHOWN} more" if len(often) > _SHOWN else ""
    shown = [(text if len(text) <= _LETTERS else f"{text[:_LETTERS]}...", n) for text, n in often]
    return ", ".join(f"{text!r} ({count})" for text, count in shown[:_SHOWN]) + more


def labels_of(
    store: PlateStore, targets: Sequence[ObjectRef], sources: Sequence[LabelSource] | None = None
) -> Table:
    """Read every label of the targets, by default from the store's own label file.

    Raises
    ------
    LabelError
        If there are none, or they cannot be read.
    """
    return find_labels(store, targets, sources or (LabelSource(),)).table


def annotated_positions(
    store: PlateStore, targets: Sequence[ObjectRef], params: CellParams
) -> Table | None:
    """Read the positions that `centres="roi"` means: drawn in OMERO, in a file elsewhere.

    Returns
    -------
    Table or None
        None where crops are centred on something else.

    Raises
    ------
    LabelError
        If there are none.
    """
    if params.centres != "roi":
        return None
    kind: LabelKind = "roi" if store.spec.on_server else "file"
    return labels_of(store, targets, (LabelSource(kind=kind),))


def positions_digest(
    store: PlateStore, targets: Sequence[ObjectRef], params: CellParams
) -> str | None:
    """Find the sha256 of annotated positions: other centres, another run; None for other ones."""
    found = annotated_positions(store, targets, params)
    return None if found is None else digest_of(found)


def labels_digest(
    store: PlateStore, targets: Sequence[ObjectRef], sources: Sequence[LabelSource] | None = None
) -> str:
    """Find the sha256 (hex) of the labels: other labels, another run."""
    return digest_of(labels_of(store, targets, sources))


def digest_of(labels: Table) -> str:
    """Find the sha256 (hex) of a label table."""
    known = np.isfinite([labels[name] for name in REACH_COLUMNS if name in labels]).any()
    names = (*LABEL_COLUMNS, *REACH_COLUMNS) if known else LABEL_COLUMNS
    text = Table({name: labels[name] for name in names}).to_csv()
    return hashlib.sha256(text.encode()).hexdigest()


def class_order(labels: Table, normal: str) -> tuple[str, ...]:
    """Classes in the order of a model: the normal one first, the others by name.

    The label of a whole field stands for as many cells as a class needs: how many it has is only
    known when they are looked for.

    Raises
    ------
    LabelError
        If there is one class only, none of the labels is the normal class, or a class has too few.
    """
    names = sorted(set(labels["label"].tolist()))
    if normal not in names:
        msg = (
            f"No label is {normal!r}, the class of good cells. Labels are: {_short(names)}. "
            f"Label some good cells {normal!r}, or pass --normal-class with your name for them."
        )
        raise LabelError(msg)
    if len(names) < 2:
        msg = f"All {len(labels)} labels are {normal!r}. Label some bad cells too."
        raise LabelError(msg)
    counts = count_by_class(labels)
    for name in set(labels["label"][is_weak(labels)].tolist()):
        counts[name] += MIN_LABELS
    check_counts(counts, names)
    return (normal, *(name for name in names if name != normal))


def check_counts(counts: Mapping[str, int], classes: Sequence[str]) -> None:
    """Check that every class has labels enough.

    Raises
    ------
    LabelError
        Naming those that have too few.
    """
    rare = [name for name in classes if counts.get(name, 0) < MIN_LABELS]
    if rare:
        shown = [f"{name!r} has {counts.get(name, 0)}" for name in rare[:_SHOWN]]
        more = [f"{len(rare) - _SHOWN} more classes too"] if len(rare) > _SHOWN else []
        msg = (
            f"Every class needs at least {MIN_LABELS} labels, and a few dozen make a model useful; "
            f"{', '.join(shown + more)}. Label more cells. Where a text is no class, pass "
            "--classes with those that are."
        )
        raise LabelError(msg)


def _short(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def is_weak(labels: Table) -> NDArray[np.bool_]:
    """Which labels, shape (N,), are about a whole image: those without a place."""
    y, x = (labels[name].astype(np.float64) for name in ("y", "x"))
    return np.isnan(y) & np.isnan(x)


def count_by_class(labels: Table) -> dict[str, int]:
    """How many labels each class has."""
    names, counts = np.unique(labels["label"], return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def count_by_user(labels: Table) -> dict[str, dict[str, int]]:
    """How many labels of each class each user gave; "unknown" where that is not known."""
    return {
        user or "unknown": count_by_class(labels.where(labels["user"] == user))
        for user in sorted(set(labels["user"].tolist()))
    }
