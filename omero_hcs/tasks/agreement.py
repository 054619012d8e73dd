"""How far labellers agree: each pair of them, all together, and each with himself.

A cell is what labels of the same nucleus are about; who labelled it several times is taken by the
latest label. Numbers only: `agree` finds the cells, `report.agreement` shows them.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from omero_hcs.tasks.conflicts import Said

_DRAWS = 2000
UNKNOWN = "unknown"
"""Whose labels those are that name no user."""


@dataclass(frozen=True, eq=False)
class LabelledCell:
    """One cell (or whole field), and all that was said of it.

    Parameters
    ----------
    place : str
        What a person calls it: "B03 field 1".
    rows : tuple of int
        The labels, as rows of their table.
    said : tuple of Said
        What they say, in the order of time.
    image : str
        Id of the image that it is on.
    y, x : float
        Its centre; NaN of a whole field.
    """

    place: str
    rows: tuple[int, ...]
    said: tuple[Said, ...]
    image: str = ""
    y: float = float("nan")
    x: float = float("nan")

    @property
    def name(self) -> str:
        """What a person finds it by: "B03 field 1, y=120, x=33"."""
        is_whole = np.isnan(self.y) or np.isnan(self.x)
        return self.place if is_whole else f"{self.place}, y={self.y:.0f}, x={self.x:.0f}"

    @cached_property
    def by_user(self) -> dict[str, str]:
        """The latest label of each user, in the order of users' names."""
        latest = {one.user or UNKNOWN: one.label for one in self.said}
        return dict(sorted(latest.items()))

    @cached_property
    def dispute(self) -> float:
        """Share of pairs of labellers who say different things, 0 to 1."""
        labels = list(self.by_user.values())
        pairs = list(itertools.combinations(labels, 2))
        return sum(one != other for one, other in pairs) / len(pairs) if pairs else 0.0

    @property
    def changed_by(self) -> tuple[str, ...]:
        """Users who said different things of it at different times."""
        said: dict[str, set[str]] = {}
        for one in self.said:
            said.setdefault(one.user or UNKNOWN, set()).add(one.label)
        return tuple(sorted(user for user, labels in said.items() if len(labels) > 1))


@dataclass(frozen=True, eq=False)
class PairAgreement:
    """Two labellers: `counts[i, j]` cells are class i to the first and class j to the other.

    `kappa` is Cohen's, NaN where both said the same of every cell and one thing only.
    """

    users: tuple[str, str]
    classes: tuple[str, ...]
    counts: NDArray[np.int64]

    @property
    def cells(self) -> int:
        """How many cells both labelled."""
        return int(self.counts.sum())

    @property
    def agreement(self) -> float:
        """Share of these cells of which both say the same."""
        return float(np.trace(self.counts) / self.cells)

    @property
    def kappa(self) -> float:
        """Agreement beyond chance: 1 is perfect, 0 what labels given by chance would come to."""
        return float(_kappas(self.counts[None])[0])

    @cached_property
    def kappa_interval(self) -> tuple[float, float]:
        """Ends of the 95 % interval of kappa: percentile bootstrap over the cells."""
        drawn = np.random.default_rng(0).multinomial(
            self.cells, self.counts.reshape(-1) / self.cells, size=_DRAWS
        )
        kappas = _kappas(drawn.reshape(-1, *self.counts.shape))
        known = kappas[np.isfinite(kappas)]
        if np.isnan(self.kappa) or not len(known):
            return float("nan"), float("nan")
        low, high = np.percentile(known, (2.5, 97.5))
        return float(low), float(high)


@dataclass(frozen=True)
class SelfAgreement:
    """One labeller who labelled `cells` more than once, and `changed` of them differently."""

    user: str
    cells: int
    changed: int


@dataclass(frozen=True, eq=False)
class Agreement:
    """What labellers said of the cells (or of the fields) of some plates.

    Parameters
    ----------
    labelled : tuple of LabelledCell
        Every one that has a label, in the order of the plates.
    """

    labelled: tuple[LabelledCell, ...]

    @cached_property
    def shared(self) -> tuple[LabelledCell, ...]:
        """Those that two labellers or more labelled."""
        return tuple(one for one in self.labelled if len(one.by_user) > 1)

    @cached_property
    def disputed(self) -> tuple[LabelledCell, ...]:
        """Those of which labellers say different things, the most disputed first."""
        found = [one for one in self.shared if one.dispute]
        return tuple(sorted(found, key=lambda one: (-one.dispute, -len(one.by_user))))

    @cached_property
    def changed(self) -> tuple[LabelledCell, ...]:
        """Those of which somebody said different things himself."""
        return tuple(one for one in self.labelled if one.changed_by)

    @cached_property
    def labellers(self) -> dict[str, int]:
        """How many each user labelled."""
        counts = Counter(user for one in self.labelled for user in one.by_user)
        return dict(sorted(counts.items()))

    @cached_property
    def pairs(self) -> tuple[PairAgreement, ...]:
        """Every two users who labelled something both, those who share most first."""
        said: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for one in self.shared:
            for users in itertools.combinations(one.by_user, 2):
                said.setdefault(users, []).append((one.by_user[users[0]], one.by_user[users[1]]))
        found = [_pair(users, labels) for users, labels in said.items()]
        return tuple(sorted(found, key=lambda pair: (-pair.cells, pair.users)))

    @cached_property
    def selves(self) -> tuple[SelfAgreement, ...]:
        """Users who labelled something more than once."""
        again: Counter[str] = Counter()
        changed: Counter[str] = Counter()
        for one in self.labelled:
            times = Counter(each.user or UNKNOWN for each in one.said)
            again.update(user for user, count in times.items() if count > 1)
            changed.update(one.changed_by)
        return tuple(SelfAgreement(user, again[user], changed[user]) for user in sorted(again))

    @cached_property
    def alpha(self) -> float:
        """Krippendorff's alpha of all labellers together, for names of classes; see `alpha_of`."""
        return alpha_of([list(one.by_user.values()) for one in self.shared])


def alpha_of(units: Sequence[Sequence[str]]) -> float:
    """Krippendorff's alpha for nominal data: agreement beyond chance of any number of labellers.

    Parameters
    ----------
    units : sequence of sequences of str
        What was said of each cell, by however many labellers; one label alone counts nothing.

    Returns
    -------
    float
        1 is perfect, 0 what chance would come to; NaN where only one thing was said at all.

    References
    ----------
    Krippendorff, "Computing Krippendorff's alpha-reliability" (2011), section C.
    """
    several = [Counter(labels) for labels in units if len(labels) > 1]
    totals = sum(several, Counter[str]())
    count = totals.total()
    observed = sum(_unlike(counts) / (counts.total() - 1) for counts in several)
    expected = _unlike(totals) / (count - 1) if count > 1 else 0
    return 1 - observed / expected if expected else float("nan")


def _kappas(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cohen's kappa of tables of counts, shape (B, C, C); NaN where one thing only was said."""
    total = counts.sum(axis=(1, 2))
    same = np.trace(counts, axis1=1, axis2=2) / total
    expected = (counts.sum(axis=2) * counts.sum(axis=1)).sum(axis=1) / total**2
    rest = np.where(expected < 1, 1 - expected, np.nan)
    kappas: NDArray[np.float64] = (same - expected) / rest
    return kappas


def _unlike(counts: Mapping[str, int]) -> int:
    """Ordered pairs of different labels among so many of each."""
    return sum(counts.values()) ** 2 - sum(count**2 for count in counts.values())


def _pair(users: tuple[str, str], said: Sequence[tuple[str, str]]) -> PairAgreement:
    classes = tuple(sorted({label for both in said for label in both}))
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for first, second in said:
        counts[classes.index(first), classes.index(second)] += 1
    return PairAgreement(users, classes, counts)
