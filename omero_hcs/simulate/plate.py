"""A whole simulated plate, field by field, or any of its fields alone."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from omero_hcs.errors import InputError
from omero_hcs.model import Plate, Site
from omero_hcs.simulate.artefacts import plan_faults
from omero_hcs.simulate.design import SimulationSettings, plan_plate, site_generator
from omero_hcs.simulate.field import SimulatedField, simulate_field
from omero_hcs.simulate.severity import Fault


def simulate_plate(
    settings: SimulationSettings, plate_index: int = 0
) -> Iterator[tuple[Site, SimulatedField]]:
    """Make every field of one plate, well by well, in the order of ``plan_plate(...).sites()``.

    Raises
    ------
    InputError
        If there is no plate of that index.
    """
    _, sites, _ = _plan(settings, plate_index)
    for number, site in enumerate(sites):
        yield site, simulate_site(settings, plate_index, number)


def simulate_site(settings: SimulationSettings, plate_index: int, number: int) -> SimulatedField:
    """Make one field alone: the same pixels and truth in any order and in any process.

    Parameters
    ----------
    settings : SimulationSettings
        What to simulate. These three arguments travel to another process; a `Plate` does not.
    plate_index : int
        Which plate, from 0.
    number : int
        Which of the plate's sites, from 0, in the order of ``plan_plate(...).sites()``.

    Raises
    ------
    InputError
        If there is no such plate or site.
    """
    plate, sites, faults = _plan(settings, plate_index)
    if not 0 <= number < len(sites):
        msg = f"{plate.name} has no site {number}; it has {len(sites)}, counted from 0."
        raise InputError(msg)
    site = sites[number]
    rng = site_generator(settings, plate, site)
    return simulate_field(settings, plate, site, rng, field_faults=faults)


@lru_cache(maxsize=2)
def _plan(
    settings: SimulationSettings, plate_index: int
) -> tuple[Plate, tuple[Site, ...], dict[str, Fault]]:
    plate = plan_plate(settings, plate_index)
    return plate, tuple(plate.sites()), plan_faults(settings, plate)
