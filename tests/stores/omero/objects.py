"""Objects on a server, made as an importer or a user makes them, without pixel data."""

from __future__ import annotations

from omero.gateway import BlitzGateway
from omero.model import (
    DatasetI,
    DatasetImageLinkI,
    ImageI,
    PlateAcquisitionI,
    PlateI,
    ProjectDatasetLinkI,
    ProjectI,
    WellI,
    WellSampleI,
)
from omero.rtypes import rint, rstring

from omero_hcs.model import Channel, Image
from omero_hcs.sandbox.importer import Enums, image_graph


class Maker:
    """Makes objects by one connection."""

    def __init__(self, conn: BlitzGateway) -> None:
        self._conn = conn
        self._update, self.enums = conn.getUpdateService(), Enums(conn)

    def image(self, name="image", *, channels=("DNA",), **facts):
        """An unsaved image without pixel data."""
        described = tuple(Channel(index, told) for index, told in enumerate(channels))
        return image_graph(Image("", name, 3, 4, described, **facts), self.enums)

    def save(self, thing):
        return self._update.saveAndReturnObject(thing).id.val

    def wells(self, plate, *places):
        """Ids of wells of a plate, by their (row, column)."""
        by_place = {(well.row, well.column): well.getId() for well in self._children(plate)}
        return [by_place[place] for place in places]

    def _children(self, plate):
        return self._conn.getObject("Plate", plate).listChildren()

    def plate(self, wells=(), *, runs=(), size=None, name="plate"):
        """A plate of wells: ((row, column), ((image, index of the run or None), ...))."""
        plate = PlateI()
        plate.name = rstring(name)
        if size:
            plate.rows, plate.columns = map(rint, size)
        for run in runs:
            acquisition = PlateAcquisitionI()
            acquisition.name = rstring(run) if run else None
            plate.addPlateAcquisition(acquisition)
        plate = self._update.saveAndReturnObject(plate)
        ids = [run.id.val for run in plate.copyPlateAcquisitions()]
        made = [self._well(plate.id.val, ids, *well) for well in wells]
        self._update.saveArray(made)
        return plate.id.val

    def _well(self, plate, runs, place, fields):
        well = WellI()
        well.row, well.column = map(rint, place)
        well.plate = PlateI(plate, False)
        for image, run in fields:
            sample = WellSampleI()
            sample.image = image
            if run is not None:
                sample.plateAcquisition = PlateAcquisitionI(runs[run], False)
            well.addWellSample(sample)
        return well

    def dataset(self, name, *images):
        number = self.save(named(DatasetI(), name))
        for image in images:
            link = DatasetImageLinkI()
            link.parent = DatasetI(number, False)
            link.child = image if not isinstance(image, int) else ImageI(image, False)
            self.save(link)
        return number

    def project(self, name, *datasets):
        number = self.save(named(ProjectI(), name))
        for dataset in datasets:
            link = ProjectDatasetLinkI()
            link.parent, link.child = ProjectI(number, False), DatasetI(dataset, False)
            self.save(link)
        return number


def named(thing, name):
    """Give a new object its name."""
    thing.name = rstring(name)
    return thing
