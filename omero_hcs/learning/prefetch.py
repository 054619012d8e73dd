"""Read ahead: items are made in a thread while the ones before them are used."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

_WAIT_S = 0.1


class _Failed:
    """What the thread leaves in the queue where the items raised."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class _End:
    """What the thread leaves in the queue after the last item."""


class Prefetch(Generic[T]):
    """Iterate over items that a thread takes from `items`, at most `depth` of them ahead.

    An exception of `items` is raised here, after the items before it. `close`, or leaving the
    ``with`` block, stops the thread and waits for it; a generator given as `items` is closed, too.

    Parameters
    ----------
    items : iterable
        What to read ahead; used in the thread only.
    depth : int
        How many items may wait.
    """

    def __init__(self, items: Iterable[T], *, depth: int) -> None:
        self._items = items
        self._waiting: queue.Queue[T | _Failed | _End] = queue.Queue(maxsize=max(1, depth))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._fill, name="prefetch", daemon=True)

    def __enter__(self) -> Prefetch[T]:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[T]:
        while True:
            item = self._waiting.get()
            if isinstance(item, _End):
                return
            if isinstance(item, _Failed):
                raise item.error
            yield item

    def close(self) -> None:
        """Stop the thread after the item that it is at; safe to call twice."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _fill(self) -> None:
        last: _End | _Failed = _End()
        try:
            iterator = iter(self._items)
            for item in iterator:
                if not self._put(item):
                    break
            close = getattr(iterator, "close", None)
            if close is not None:
                close()
        except BaseException as error:  # noqa: BLE001  (raised again where the items are used)
            last = _Failed(error)
        self._put(last)

    def _put(self, item: T | _Failed | _End) -> bool:
        while not self._stop.is_set():
            try:
                self._waiting.put(item, timeout=_WAIT_S)
            except queue.Full:
                continue
            return True
        return False
