"""Plates and image sets as a server describes them: few projection queries each, no pixels."""

from __future__ import annotations

from functools import cached_property

from omero_hcs.errors import InputError, PlateNotFoundError
from omero_hcs.model import ImageSet, ObjectRef, Plate, Screen, well_name
from omero_hcs.settings import Settings
from omero_hcs.stores.omero.address import OmeroAddress
from omero_hcs.stores.omero.cropnote import CropNote
from omero_hcs.stores.omero.facts import FactKeys, read_facts
from omero_hcs.stores.omero.imagesets import SetRecord, read_set
from omero_hcs.stores.omero.plates import PlateRecord, read_plate, with_facts
from omero_hcs.stores.omero.screens import ScreenRecord, read_screens
from omero_hcs.stores.omero.selection import Selection, select, set_ref
from omero_hcs.stores.omero.session import Session


class Layouts:
    """What a URI names, as plates and image sets; each is asked for once and kept.

    Parameters
    ----------
    session : Session
        Who reads.
    address : OmeroAddress
        Which objects are meant.
    settings : Settings, optional
        Which keys tell treatments, doses and roles; the defaults if there are none.
    """

    def __init__(
        self, session: Session, address: OmeroAddress, settings: Settings | None = None
    ) -> None:
        self._session = session
        self._address = address
        self._keys = FactKeys.of(settings or Settings())
        self._plates: dict[str, PlateRecord] = {}
        self._sets: dict[str, SetRecord] = {}

    def refs(self) -> tuple[ObjectRef, ...]:
        """Plates ("51") and image sets ("dataset:7", "project:3", "image:5,6") that are meant.

        A screen stands for its plates, wells and runs for the part of their plates. A set of crop
        images made by us stands for the plates and images that the crops were cut from.

        Raises
        ------
        PlateNotFoundError
            If an object of the URI is not there, or not to be seen.
        """
        return self._selection.refs()

    def screens(self) -> tuple[Screen, ...]:
        """Screens that are meant, with those of their plates that are in `refs`."""
        return tuple(record.screen for record in self._screens.values())

    def plate(self, plate_id: str) -> Plate:
        """Layout of one plate of `refs`; see `PlateStore.plate`."""
        return self._plate(plate_id).plate

    def images(self, set_id: str) -> ImageSet:
        """Images of one set of `refs`; see `PlateStore.images`."""
        return self._set(set_id).images

    def group_of(self, target: ObjectRef) -> int:
        """Id of the group that an object of `refs` is in.

        Raises
        ------
        InputError
            If it is a set of images of several groups.
        """
        if target.kind == "plate":
            return self._plate(target.id).group
        if target.kind == "screen":
            return self._screen(target).group
        groups = self._set(target.id).groups
        if len(groups) > 1:
            msg = (
                f"The images of {target.id} are in {len(groups)} groups "
                f"({', '.join(map(str, groups))}), and OMERO links nothing across groups. "
                "Take those of one group."
            )
            raise InputError(msg)
        return groups[0]

    def anchors(self, target: ObjectRef) -> tuple[tuple[str, int], ...]:
        """Name a target as OMERO does: (("Plate", 51),), or (("Image", 5), ("Image", 6))."""
        if target.kind == "plate":
            return (("Plate", int(self._plate(target.id).plate.id)),)
        if target.kind == "screen":
            return (("Screen", int(self._screen(target).screen.id)),)
        return self._set(target.id).anchors

    def wells(self, target: ObjectRef) -> dict[str, int]:
        """Ids of a plate's wells by their names; empty for an image set."""
        if target.kind != "plate":
            return {}
        wells = self._plate(target.id).wells
        return {well_name(*place): number for place, number in wells.items()}

    def crops(self, target: ObjectRef) -> dict[int, CropNote]:
        """Crop images that the URI names and that were cut from a target, and where; often none."""
        return self._selection.crops.get(target, {})

    @cached_property
    def _selection(self) -> Selection:
        return select(self._session, self._address)

    @cached_property
    def _screens(self) -> dict[ObjectRef, ScreenRecord]:
        found = read_screens(self._session, self._selection.screens)
        return {record.screen.ref: record for record in found}

    def _screen(self, ref: ObjectRef) -> ScreenRecord:
        if ref not in self._screens:
            raise self._not_here(ref)
        return self._screens[ref]

    def _plate(self, plate_id: str) -> PlateRecord:
        if plate_id not in self._plates:
            ref = ObjectRef(kind="plate", id=plate_id)
            if ref not in self.refs():
                raise self._not_here(ref)
            part = self._selection.plates[int(plate_id)]
            record = read_plate(self._session, int(plate_id), part)
            if record is None:
                raise self._not_here(ref)
            facts = read_facts(self._session, record, self._keys)
            self._plates[plate_id] = with_facts(record, facts)
        return self._plates[plate_id]

    def _set(self, set_id: str) -> SetRecord:
        if set_id not in self._sets:
            name = self._selection.sets.get(set_id)
            record = read_set(self._session, name) if name else None
            if record is None:
                raise self._not_here(set_ref(set_id))
            self._sets[set_id] = record
        return self._sets[set_id]

    def _not_here(self, wanted: ObjectRef) -> PlateNotFoundError:
        there = ", ".join(f"{ref.kind} {ref.id!r}" for ref in self.refs()) or "nothing"
        msg = (
            f"{self._address.uri} has no {wanted.kind} {wanted.id!r}, or {self._session.user} may "
            f"not see it. It has: {there}."
        )
        return PlateNotFoundError(msg)
