"""Several stores read as one: labels of some plates here and an image set there train one model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from omero_hcs.errors import ImageNotFoundError, InputError, PlateNotFoundError, RunNotFoundError
from omero_hcs.model import Image, ImageSet, ObjectRef, Plate, StoreSpec, ZChoice
from omero_hcs.results import Results, Table, WriteReport
from omero_hcs.stores.base import ImageArray, LabelSource, PlateStore
from omero_hcs.stores.open import open_store

SCHEME = "several:"


def several(uris: Sequence[str], *, secret: str | None = None) -> StoreSpec:
    """Name some stores as one; a single one stays as it is.

    Parameters
    ----------
    uris : sequence of str
        What `open_store` takes.
    secret : str, optional
        As in `StoreSpec`, for all of them.
    """
    distinct = list(dict.fromkeys(uris))
    uri = distinct[0] if len(distinct) == 1 else f"{SCHEME}{json.dumps(distinct)}"
    return StoreSpec(uri=uri, secret=secret)


class SeveralStores:
    """Plates and image sets of several stores, to read from.

    Ids of images have the number of their store before them ("1:507"), ids of plates and sets only
    where two stores would have the same. Results are kept by each store alone.

    Parameters
    ----------
    spec : StoreSpec
        As `several` makes it.

    Raises
    ------
    InputError
        If the URI is none of `several`.
    """

    def __init__(self, spec: StoreSpec) -> None:
        self._spec = spec
        self._stores: list[PlateStore] = []
        try:
            for uri in _uris(spec.uri):
                self._stores.append(open_store(StoreSpec(uri=uri, secret=spec.secret)))
            self._places = self._name_all()
        except BaseException:
            self.close()
            raise

    @property
    def spec(self) -> StoreSpec:
        """How a worker reopens these stores."""
        return self._spec

    @property
    def readers(self) -> int:
        """As many as the most eager of the stores wants."""
        return max(store.readers for store in self._stores)

    def refs(self) -> tuple[ObjectRef, ...]:
        """Name what is in every store, one store after the other."""
        return tuple(self._places)

    def plate(self, plate_id: str) -> Plate:
        """Layout of one plate; see `PlateStore.plate`."""
        number, ref = self._place(ObjectRef(kind="plate", id=plate_id))
        plate = self._stores[number].plate(ref.id)
        wells = tuple(
            replace(
                well,
                fields=tuple(
                    replace(item, image=_numbered(number, item.image)) for item in well.fields
                ),
            )
            for well in plate.wells
        )
        return replace(plate, id=plate_id, wells=wells)

    def images(self, set_id: str) -> ImageSet:
        """Images of one set; see `PlateStore.images`."""
        number, ref = self._place(ObjectRef(kind="images", id=set_id))
        found = self._stores[number].images(ref.id)
        images = tuple(_numbered(number, image) for image in found.images)
        return replace(found, id=set_id, images=images)

    def read(
        self, image: Image, *, channels: Sequence[int], z: ZChoice = 0, t: int = 0
    ) -> ImageArray:
        """Pixels, shape (len(channels), Y, X); see `PlateStore.read`."""
        store, own = self._own(image)
        return store.read(own, channels=channels, z=z, t=t)

    def label_image(
        self, image: Image, *, name: str | None = None, z: int = 0, t: int = 0
    ) -> NDArray[np.integer[Any]]:
        """One label image, shape (Y, X); see `PlateStore.label_image`."""
        store, own = self._own(image)
        return store.label_image(own, name=name, z=z, t=t)

    def labels(self, target: ObjectRef, *, source: LabelSource) -> Table:
        """Read what users labelled; see `PlateStore.labels`."""
        number, ref = self._place(target)
        table = self._stores[number].labels(ref, source=source)
        images = [f"{number}:{name}" if name else "" for name in table["image"].tolist()]
        return table.with_columns(
            # Said for every row: a well of that name may be on another plate, too.
            plate=np.full(len(table), target.id),
            image=np.asarray(images, dtype=np.str_),
        )

    def write_faults(self, target: ObjectRef) -> tuple[str, ...]:
        """Say that results are kept by one store at a time."""
        return (_one_at_a_time(target.id),)

    def write(self, results: Results) -> WriteReport:
        """Refuse: see `write_faults`."""
        raise InputError(_one_at_a_time(results.target.id))

    def runs(self, target: ObjectRef) -> tuple[dict[str, Any], ...]:
        """Manifests of the runs over an object, oldest first."""
        number, ref = self._place(target)
        return self._stores[number].runs(ref)

    def fetch(
        self,
        run_id: str,
        name: str,  # noqa: ARG002  (nothing is kept here)
        *,
        target: ObjectRef | None = None,  # noqa: ARG002
    ) -> bytes:
        """Refuse: see `undo`."""
        self._refuse_run(run_id)

    def undo(self, run_id: str) -> WriteReport:
        """Refuse: runs are undone where their results are, in one of the stores."""
        self._refuse_run(run_id)

    def close(self) -> None:
        """Close all of them; safe to call twice."""
        for store in self._stores:
            store.close()

    def _name_all(self) -> dict[ObjectRef, tuple[int, ObjectRef]]:
        found = [(number, ref) for number, store in enumerate(self._stores) for ref in store.refs()]
        ids = [ref.id for _, ref in found]
        return {
            ref.model_copy(update={"id": f"{number}:{ref.id}"}) if ids.count(ref.id) > 1 else ref: (
                number,
                ref,
            )
            for number, ref in found
        }

    def _place(self, target: ObjectRef) -> tuple[int, ObjectRef]:
        if target not in self._places:
            there = ", ".join(f"{ref.kind} {ref.id!r}" for ref in self._places)
            msg = f"There is no {target.kind} {target.id!r} in these stores. There is: {there}."
            raise PlateNotFoundError(msg)
        return self._places[target]

    def _own(self, image: Image) -> tuple[PlateStore, Image]:
        number, _, own = image.id.partition(":")
        if not number.isdecimal() or int(number) >= len(self._stores):
            msg = f"There is no image of id {image.id!r} in these stores. Take it from a layout."
            raise ImageNotFoundError(msg)
        return self._stores[int(number)], replace(image, id=own)

    def _refuse_run(self, run_id: str) -> NoReturn:
        places = ", ".join(store.spec.uri for store in self._stores)
        msg = f"Runs such as {run_id!r} are kept by one store at a time. Name one of: {places}."
        raise RunNotFoundError(msg)


def _uris(uri: str) -> list[str]:
    try:
        uris = json.loads(uri.removeprefix(SCHEME))
    except ValueError:
        uris = None
    if not isinstance(uris, list) or not uris or not all(isinstance(each, str) for each in uris):
        msg = f"{uri!r} names no stores. Several are named by {SCHEME} and a list of their URIs."
        raise InputError(msg)
    return uris


def _numbered(number: int, image: Image) -> Image:
    return replace(image, id=f"{number}:{image.id}")


def _one_at_a_time(name: str) -> str:
    return f"Results on {name} are kept by one store at a time: run it on each of them alone."
