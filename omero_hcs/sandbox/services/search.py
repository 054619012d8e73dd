"""Search: objects by the words in their names, descriptions and annotations.

OMERO asks Lucene's index, which splits text at everything but letters and digits and knows no
capitals; this looks at the objects themselves, by the same rules, for the queries that clients
send: words with `*` and `?`, `AND`, `OR`, `field:word` and "phrases".
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from omero_hcs.sandbox.objects.conditions import api_usage
from omero_hcs.sandbox.services.base import Service
from omero_hcs.sandbox.services.query import known_entity

if TYPE_CHECKING:
    from omero_hcs.sandbox.objects.caller import Caller
    from omero_hcs.sandbox.objects.row import Row
    from omero_hcs.sandbox.objects.world import World

TOKEN = re.compile(r"[^\W_]+")
PATTERN = re.compile(r"[^\W_?*]*[*?][\w?*]*|[^\W_]+")
TERM = re.compile(r'(?:(\w[\w.]*):)?("[^"]*"|\S+)')
DAY = "%Y%m%d"
BATCH = 1000
Texts = dict[str, list[list[str]]]


class Search(Service):
    """Operations of `omero.api.Search`."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._batch = BATCH
        self._results: list[list[Any]] = []
        self._queries = 0
        self.resetDefaults(None)

    def resetDefaults(self, current: Any) -> None:
        self._kinds: list[str] = []
        self._ids: set[int] = set()
        self._tests: dict[str, Callable[[Row], bool]] = {}

    # -- what to look for

    def onlyType(self, kind: str, current: Any) -> None:
        self._kinds = [known_entity(kind)]

    def onlyTypes(self, kinds: Sequence[str], current: Any) -> None:
        self._kinds = [known_entity(kind) for kind in kinds]

    def onlyIds(self, ids: Sequence[int], current: Any) -> None:
        self._ids = set(ids or ())

    def onlyOwnedBy(self, details: Any, current: Any) -> None:
        self._own("owned", details, is_wanted=True)

    def notOwnedBy(self, details: Any, current: Any) -> None:
        self._own("not owned", details, is_wanted=False)

    def _own(self, name: str, details: Any, *, is_wanted: bool) -> None:
        owner = None if details is None else details._owner
        group = None if details is None else details._group

        def test(row: Row) -> bool:
            told, known = (owner, group), (row.details.owner, row.details.group)
            same = all(
                asked is None or (found is not None and asked._id.val == found.id)
                for asked, found in zip(told, known, strict=True)
            )
            return same == is_wanted

        self._keep(name, test if owner is not None or group is not None else None)

    def onlyCreatedBetween(self, start: Any, stop: Any, current: Any) -> None:
        self._between("created", start, stop, lambda row: row.details.creation_event)

    def onlyModifiedBetween(self, start: Any, stop: Any, current: Any) -> None:
        self._between("modified", start, stop, lambda row: row.details.update_event)

    def _between(self, name: str, start: Any, stop: Any, event: Callable[[Row], Any]) -> None:
        first = float("-inf") if start is None else start.val
        last = float("inf") if stop is None else stop.val

        def test(row: Row) -> bool:
            found = event(row)
            return found is not None and first <= found.values["time"] <= last

        self._keep(name, test if start is not None or stop is not None else None)

    def _keep(self, name: str, test: Callable[[Row], bool] | None) -> None:
        if test is None:
            self._tests.pop(name, None)
        else:
            self._tests[name] = test

    # -- how; the order and the flags change nothing here

    def getBatchSize(self, current: Any) -> int:
        return self._batch

    def setBatchSize(self, size: int, current: Any) -> None:
        self._batch = size

    def unordered(self, current: Any) -> None:
        return None

    def setAllowLeadingWildcard(self, allowed: bool, current: Any) -> None:
        return None

    def isAllowLeadingWildcard(self, current: Any) -> bool:
        return True

    def setCaseSensitive(self, sensitive: bool, current: Any) -> None:
        return None

    def setCaseSentivice(self, sensitive: bool, current: Any) -> None:
        return None  # OMERO's own older spelling

    def isCaseSensitive(self, current: Any) -> bool:
        return False

    def setMergedBatches(self, merged: bool, current: Any) -> None:
        return None

    def isMergedBatches(self, current: Any) -> bool:
        return False

    # -- queries: each adds its results to those that are waiting

    def byFullText(self, query: str, current: Any) -> None:
        self._search(query, (), current)

    def byLuceneQueryBuilder(
        self, fields: str, start: str, end: str, dateType: str, query: str, current: Any
    ) -> None:
        wanted = tuple(name.strip() for name in (fields or "").split(",") if name.strip())
        self._search(query, wanted, current, during(start, end, dateType))

    def byHqlQuery(self, query: str, params: Any, current: Any) -> None:
        with self.reading(current) as caller:
            self._wait(self.server.engine.find(query, params, caller))

    def _search(
        self,
        query: str,
        fields: Sequence[str],
        current: Any,
        test: Callable[[Row], bool] | None = None,
    ) -> None:
        if len(self._kinds) != 1:
            msg = (
                "Searches by full text are currently limited to a single type.\n"
                "Please use Search.onlyType()"
            )
            raise api_usage(msg)
        asked = parse(query, fields)
        with self.reading(current) as caller:
            rows = [
                row
                for row in self._candidates(caller)
                if (test is None or test(row)) and asked(texts_of(self.world, row, caller))
            ]
            self._wait(self.each(rows, caller))

    def _candidates(self, caller: Caller) -> Iterator[Row]:
        for row in self.world.all(self._kinds[0]):
            kept = not self._ids or row.id in self._ids
            if kept and all(test(row) for test in self._tests.values()) and caller.can_read(row):
                yield row

    def _wait(self, found: list[Any]) -> None:
        self._queries += 1
        for start in range(0, len(found), self._batch):
            self._results.append(found[start : start + self._batch])

    def activeQueries(self, current: Any) -> int:
        return len(self._results)

    def clearQueries(self, current: Any) -> None:
        self._results.clear()

    # -- results

    def hasNext(self, current: Any) -> bool:
        return bool(self._results)

    def results(self, current: Any) -> list[Any]:
        if not self._results:
            msg = "No elements remaining. Please use hasNext()"
            raise api_usage(msg)
        return self._results.pop(0)

    def next(self, current: Any) -> Any:
        batch = self.results(current)
        if batch[1:]:
            self._results.insert(0, batch[1:])
        return batch[0]


def during(start: str, end: str, date_type: str) -> Callable[[Row], bool] | None:
    """Make a test of the day of an object; days are texts such as `20240131`."""
    if not start and not end:
        return None

    def test(row: Row) -> bool:
        if date_type == "acquisitionDate":
            at = row.values.get("acquisitionDate")
        else:
            event = row.details.creation_event
            at = None if event is None else event.values["time"]
        if at is None:
            return False
        day = time.strftime(DAY, time.localtime(at / 1000))
        return (not start or start <= day) and (not end or day <= end)

    return test


def parse(query: str, fields: Sequence[str] = ()) -> Callable[[Texts], bool]:
    """Make a test of texts from a query; words without `AND` between them are alternatives.

    Raises
    ------
    omero.ApiUsageException
        The query has no word.
    """
    alternatives: list[list[tuple[tuple[str, ...], list[str]]]] = []
    is_and = False
    for field, term in TERM.findall(query or ""):
        if term in ("AND", "OR"):
            is_and = term == "AND"
            continue
        patterns = PATTERN.findall(term.lower())
        if not patterns:
            continue
        if not (is_and and alternatives):
            alternatives.append([])
        alternatives[-1].append(((field,) if field else tuple(fields), patterns))
        is_and = False
    if not alternatives:
        msg = f"The query has no words to look for: {query!r}"
        raise api_usage(msg)
    return lambda texts: any(
        all(_has(texts, names, patterns) for names, patterns in terms) for terms in alternatives
    )


def _has(texts: Texts, fields: Sequence[str], patterns: list[str]) -> bool:
    names = fields or tuple(texts)
    return any(_contains(words, patterns) for name in names for words in texts.get(name, ()))


def _contains(words: list[str], patterns: list[str]) -> bool:
    size = len(patterns)
    return any(
        all(map(fnmatchcase, words[start : start + size], patterns))
        for start in range(len(words) - size + 1)
    )


def texts_of(world: World, row: Row, caller: Caller) -> Texts:
    """Return the words of an object's texts, by the names that queries have for them."""
    texts: Texts = {}
    for field in ("name", "description"):
        _add(texts, field, row.values.get(field))
    if "annotationLinks" in row.entity.fields:
        for link in world.members(row, "annotationLinks"):
            if caller.can_read(link):
                _add_annotation(texts, link.values["child"])
    return texts


def _add_annotation(texts: Texts, annotation: Row) -> None:
    values = annotation.values
    file = values.get("file")
    pairs = values.get("mapValue") or ()
    for text in (
        values.get("textValue"),
        values.get("description"),
        None if file is None else file.values.get("name"),
        *(f"{pair.name} {pair.value}" for pair in pairs),
    ):
        _add(texts, "annotation", text)
        if annotation.entity.name == "TagAnnotation":
            _add(texts, "tag", text)
    for pair in pairs:
        _add(texts, pair.name, pair.value)


def _add(texts: Texts, name: str, text: str | None) -> None:
    if text:
        texts.setdefault(name, []).append(TOKEN.findall(text.lower()))
