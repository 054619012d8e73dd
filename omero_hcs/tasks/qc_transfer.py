"""How well what one plate taught judges another: the paper's Table 3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omero_hcs.errors import InputErrors
from omero_hcs.learning.folds import Folds
from omero_hcs.learning.heads import Labels
from omero_hcs.learning.learners import Learner, Rows
from omero_hcs.learning.modelcard import MAX_SCALE_RATIO
from omero_hcs.tasks.labelled import Labelled
from omero_hcs.tasks.labelled_sources import channels_fault, together
from omero_hcs.tasks.qc_evaluate import Evaluation, evaluate, judged


@dataclass(frozen=True, eq=False)
class Crossing:
    """What one source taught, tested on another; on itself where both are the same."""

    taught: str
    tested: str
    evaluation: Evaluation

    @property
    def within(self) -> bool:
        """Whether it was tested on held-out wells of what taught it."""
        return self.taught == self.tested


@dataclass(frozen=True, eq=False)
class Transfer:
    """Every crossing that was asked for, and what a reader has to know."""

    crossings: tuple[Crossing, ...]
    warnings: tuple[str, ...]

    def loss(self, crossing: Crossing) -> float:
        """How much lower the F1 is than on held-out wells of what taught it."""
        own = next(one for one in self.crossings if one.within and one.taught == crossing.taught)
        before, after = own.evaluation.metrics["f1"], crossing.evaluation.metrics["f1"]
        return float(before - after)


@dataclass(frozen=True, eq=False)
class _Some:
    """Some rows of a learner, as a learner of their own."""

    whole: Learner
    rows: Rows

    @property
    def classes(self) -> int:
        return self.whole.classes

    @property
    def labels(self) -> Labels:
        return self.whole.labels[self.rows]

    def judge(self, train: Rows, test: Rows, *, seed: int) -> NDArray[np.float32]:
        return self.whole.judge(self.rows[train], self.rows[test], seed=seed)


def transfer(  # noqa: PLR0913  (each one is a choice of the user's)
    source: Labelled,
    targets: Sequence[Labelled],
    teach: Callable[[Labelled], Learner],
    *,
    both: bool = False,
    any_scale: bool = False,
    side: int | None = None,
    folds: int = 5,
    seed: int = 0,
    crops_alone: bool = False,
) -> Transfer:
    """Teach by all labels of one source, and test on all of others.

    Parameters
    ----------
    source : Labelled
        What is learnt from.
    targets : sequence of Labelled
        What is tested on.
    teach : callable
        Makes the learner of the crops of all of them.
    both : bool
        Also learn from each target, and test on the source.
    any_scale : bool
        Go on although crops are of another scale.
    side : int, optional
        See `labelled_sources.together`.
    folds, seed, crops_alone
        Of the test of each source on itself; see `qc_evaluate.evaluate`.

    Raises
    ------
    InputErrors
        If targets do not fit the source; every reason is named.
    LabelError
        If a source cannot be tested on itself.
    """
    parts = [source, *targets]
    check_targets(source, targets, any_scale=any_scale)
    joined = together(parts, side=side)
    learner = teach(joined)
    ends = np.cumsum([len(one.table) for one in parts])
    rows = [np.arange(end - len(one.table), end) for one, end in zip(parts, ends, strict=True)]
    views = [_view(joined, one, own) for one, own in zip(parts, rows, strict=True)]
    pairs = [(0, index) for index in range(1, len(parts))]
    pairs += [(index, 0) for _, index in pairs] if both else []
    crossings = []
    for taught in dict.fromkeys(taught for taught, _ in pairs):
        own = evaluate(
            views[taught], _Some(learner, rows[taught]),
            folds=folds, seed=seed, crops_alone=crops_alone,
        )  # fmt: skip
        crossings.append(Crossing(parts[taught].name, parts[taught].name, own))
        for tested in (test for teacher, test in pairs if teacher == taught):
            proba = learner.judge(rows[taught], rows[tested], seed=seed)
            found = judged(views[tested], proba, Folds(()), seed=seed)
            crossings.append(Crossing(parts[taught].name, parts[tested].name, found))
    return Transfer(tuple(crossings), tuple(_differences(source, targets)))


def check_targets(
    source: Labelled, targets: Sequence[Labelled], *, any_scale: bool = False
) -> None:
    """Refuse targets that what the source teaches cannot judge.

    Raises
    ------
    InputErrors
        With every reason.
    """
    faults = [fault for one in targets for fault in _faults(source, one, any_scale=any_scale)]
    if faults:
        raise InputErrors(faults)


def _view(joined: Labelled, one: Labelled, rows: NDArray[np.intp]) -> Labelled:
    """Give the crops of one source, with the classes of all of them."""
    return Labelled(
        name=one.name,
        crops=joined.crops[rows],
        table=one.table,
        classes=joined.classes,
        channels=one.channels,
        scale=one.scale,
        warnings=one.warnings,
        normalization=one.normalization,
    )


def _faults(source: Labelled, target: Labelled, *, any_scale: bool) -> list[str]:
    faults = []
    if target.name == source.name or set(target.table["group"]) & set(source.table["group"]):
        faults.append(
            f"{target.name} has cells of the same wells as {source.name}: a test on what was "
            "learnt from says nothing. Pass another plate."
        )
    unknown = [name for name in target.classes if name not in source.classes]
    if unknown:
        faults.append(
            f"{target.name} has labels {', '.join(map(repr, unknown))}, which {source.name} has "
            f"not: {', '.join(source.classes)}. Pass --classes so that both have the same, such as "
            f"{source.classes[0]},{unknown[0]}={source.classes[-1]}."
        )
    if len(target.channels) != len(source.channels):
        faults.append(channels_fault(source, target))
    ratio = source.scale.ratio(target.scale) if source.scale and target.scale else 1.0
    if ratio > MAX_SCALE_RATIO and not any_scale:
        faults.append(
            f"Crops of {target.name} are of another scale than those of {source.name}: {ratio:.2g} "
            f"x, more than {MAX_SCALE_RATIO} x. Pass --crop-size, such as 3nuclei, or --any-scale."
        )
    return faults


def _differences(source: Labelled, targets: Sequence[Labelled]) -> list[str]:
    told = []
    for target in targets:
        if [name.lower() for name in target.channels] != [name.lower() for name in source.channels]:
            told.append(
                f"Channels of {target.name} ({', '.join(target.channels)}) were taken for those of "
                f"{source.name} ({', '.join(source.channels)}), in this order."
            )
        if not (source.scale and target.scale):
            told.append(f"Whether crops of {target.name} are of the same scale is not known.")
    return told
