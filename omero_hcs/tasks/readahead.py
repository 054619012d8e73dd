"""Reading ahead: the next fields' pixels come in while the current one is worked on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read")


def read_ahead(
    read: Callable[[Item], Read], items: Iterable[Item], *, threads: int
) -> Iterator[tuple[Item, Callable[[], Read]]]:
    """Read items in threads, in their order, and no further ahead than there are threads.

    Parameters
    ----------
    read : callable
        Reads one item; called from several threads at once.
    items : iterable
        What is to be read.
    threads : int
        How many are read at once. With 1 there are no threads: an item is read when its result is
        asked for.

    Yields
    ------
    item : Item
    result : callable
        Gives what was read, or raises what reading raised; waits until it is there.

    Notes
    -----
    At most ``threads`` + 1 results are held, the one that was yielded last among them. Closing the
    iterator, or an error in whoever goes through it, ends the threads once what they are reading
    is read.
    """
    if threads < 2:
        for item in items:
            yield item, partial(read, item)
        return
    left = iter(items)
    waiting: deque[tuple[Item, Callable[[], Read]]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="read-ahead")
    try:
        while True:
            for item in islice(left, threads + 1 - len(waiting)):
                waiting.append((item, pool.submit(read, item).result))
            if not waiting:
                return
            yield waiting.popleft()
    finally:
        pool.shutdown(cancel_futures=True)
