"""Where the sandbox's first plate comes from: it is simulated, or read from a store of ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from numpy.typing import NDArray

from omero_hcs.errors import InputError
from omero_hcs.model import Plate, Site
from omero_hcs.results import Table
from omero_hcs.simulate.design import SimulationSettings, plan_plate
from omero_hcs.simulate.field import SimulatedField
from omero_hcs.simulate.plate import simulate_site
from omero_hcs.stores.base import PlateStore

_AHEAD = 8
"""Fields that wait in memory, simulated and not yet sent."""

Wells = Literal[6, 24, 96, 384]


class PlateSource(Protocol):
    """Where a plate comes from."""

    @property
    def plate(self) -> Plate:
        """Its layout."""
        ...

    def planes(self, number: int, site: Site) -> Iterator[tuple[int, int, NDArray[Any]]]:
        """Read the field of one place in ``plate.sites()``: z, t and pixels (C, Y, X) by turns."""
        ...


class SimulatedSource:
    """A simulated plate, its fields made by several threads while others are sent.

    Parameters
    ----------
    wells : {6, 24, 96, 384}
        Format of the plate; two fields a well, of 384 x 384 pixels and three channels.
    settings : SimulationSettings, optional
        Another plate than that.
    """

    def __init__(self, wells: Wells = 24, *, settings: SimulationSettings | None = None) -> None:
        usual = SimulationSettings(wells=wells, fields=2, size_y=384, size_x=384)
        self._settings = settings or usual
        self.plate = plan_plate(self._settings)
        self._count = sum(1 for _ in self.plate.sites())
        # Threads: most of the time goes into numpy and scipy, which let others run meanwhile.
        self._pool = ThreadPoolExecutor(min(os.cpu_count() or 1, _AHEAD))
        self._made: dict[int, Future[SimulatedField]] = {}
        self._truths: list[Table] = []
        self._order(0)

    def planes(self, number: int, site: Site) -> Iterator[tuple[int, int, NDArray[Any]]]:
        """Give one field's planes, and have the next fields made meanwhile."""
        self._order(number)
        made = self._made.pop(number).result()
        self._truths.append(made.truth)
        for t in range(site.image.size_t):
            for z in range(site.image.size_z):
                yield z, t, made.pixels[t, :, z]

    @property
    def truth(self) -> Table:
        """What is true of the cells of the fields that were given; see `simulate.field`."""
        return Table.concat(self._truths)

    def _order(self, first: int) -> None:
        for number in range(first, min(first + _AHEAD, self._count)):
            if number not in self._made:
                self._made[number] = self._pool.submit(simulate_site, self._settings, 0, number)

    def close(self) -> None:
        """Make no more fields."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class StoreSource:
    """A plate of a store of ours, such as an OME-Zarr plate on disk.

    Raises
    ------
    InputError
        If the store holds no plate, or several.
    """

    def __init__(self, store: PlateStore) -> None:
        plates = [ref for ref in store.refs() if ref.kind == "plate"]
        if len(plates) != 1:
            msg = f"{store.spec.uri} is no plate. Pass the folder of an OME-Zarr plate, PLATE.zarr."
            raise InputError(msg)
        self._store = store
        self.plate = store.plate(plates[0].id)

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    def planes(
        self,
        number: int,  # noqa: ARG002  (the protocol's)
        site: Site,
    ) -> Iterator[tuple[int, int, NDArray[Any]]]:
        """Read one field, plane by plane."""
        return planes_of(self._store, site)


def planes_of(store: PlateStore, site: Site) -> Iterator[tuple[int, int, NDArray[Any]]]:
    """Read an image of a store, plane by plane: z, t and pixels (C, Y, X) by turns."""
    channels = range(len(site.image.channels))
    for t in range(site.image.size_t):
        for z in range(site.image.size_z):
            yield z, t, store.read(site.image, channels=channels, z=z, t=t)
