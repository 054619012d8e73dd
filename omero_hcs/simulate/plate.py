"""A whole simulated plate, field by field."""

from __future__ import annotations

from collections.abc import Iterator

from omero_hcs.model import Site
from omero_hcs.simulate.artefacts import plan_faults
from omero_hcs.simulate.design import SimulationSettings, plan_plate, site_generator
from omero_hcs.simulate.field import SimulatedField, simulate_field


def simulate_plate(
    settings: SimulationSettings, plate_index: int = 0
) -> Iterator[tuple[Site, SimulatedField]]:
    """Make every field of one plate, well by well.

    Any field can be made alone, in any order and in any process, with the same pixels::

        plate = plan_plate(settings)
        simulate_field(settings, plate, site, site_generator(settings, plate, site))

    Raises
    ------
    InputError
        If there is no plate of that index.
    """
    plate = plan_plate(settings, plate_index)
    faults = plan_faults(settings, plate)
    for site in plate.sites():
        rng = site_generator(settings, plate, site)
        yield site, simulate_field(settings, plate, site, rng, field_faults=faults)
