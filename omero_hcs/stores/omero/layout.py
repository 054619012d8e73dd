"""Plates and image sets as a server describes them: one projection query each, no pixels."""

from __future__ import annotations

from omero_hcs.model import ImageSet, ObjectRef, Plate
from omero_hcs.stores.omero.address import OmeroAddress
from omero_hcs.stores.omero.session import Session


class Layouts:
    """What a URI names, as plates and image sets; each is asked for once and kept.

    Parameters
    ----------
    session : Session
        Who reads.
    address : OmeroAddress
        Which objects are meant.
    """

    def __init__(self, session: Session, address: OmeroAddress) -> None:
        self._session = session
        self._address = address

    def refs(self) -> tuple[ObjectRef, ...]:
        """Plates ("51") and image sets ("dataset:7", "project:3", "image:5,6") that are meant.

        A screen stands for its plates, wells and runs for the part of their plates. A dataset of
        crop images made by us stands for the plates and sets that the crops were cut from.
        """
        raise NotImplementedError

    def plate(self, plate_id: str) -> Plate:
        """Layout of one plate of `refs`; see `PlateStore.plate`."""
        raise NotImplementedError

    def images(self, set_id: str) -> ImageSet:
        """Images of one set of `refs`; see `PlateStore.images`."""
        raise NotImplementedError

    def group_of(self, target: ObjectRef) -> int:
        """Id of the group that an object of `refs` is in."""
        raise NotImplementedError

    def anchors(self, target: ObjectRef) -> tuple[tuple[str, int], ...]:
        """Name a target as OMERO does: (("Plate", 51),), or (("Image", 5), ("Image", 6))."""
        raise NotImplementedError

    def wells(self, target: ObjectRef) -> dict[str, int]:
        """Ids of a plate's wells by their names; empty for an image set."""
        raise NotImplementedError

    def crops(self, target: ObjectRef) -> tuple[int, ...]:
        """Ids of the crop images that the URI names and that were cut from a target; often none."""
        raise NotImplementedError
