"""What a simulated plate holds: its format, its treatments, and one generator per field."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from types import MappingProxyType
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict
from pydantic import Field as Setting

from omero_hcs.errors import InputError
from omero_hcs.model import Acquisition, Channel, Field, Image, Plate, Role, Site, Well, row_name

CHANNELS = (("DAPI", "0000FF"), ("FITC", "00FF00"), ("TRITC", "FF0000"))
"""Name and colour of each channel: DNA, F-actin, and a cytoplasmic reporter protein."""

FORMATS = MappingProxyType({6: (2, 3), 24: (4, 6), 96: (8, 12), 384: (16, 24), 1536: (32, 48)})
"""Rows and columns of a plate by its number of wells."""

Mechanism = Literal["translocation", "toxicity", "actin loss", "none"]
"""What a compound does to cells; "none" for inert ones and for the solvent."""

MECHANISMS: tuple[tuple[str, Mechanism], ...] = (
    ("Translocin", "translocation"),
    ("Toxin", "toxicity"),
    ("Inert", "none"),
    ("Actolysin", "actin loss"),
)
"""Compound families, dealt to the plate in this order; the numbers after a name are its members."""

SOLVENT = "DMSO"
PIXEL_SIZE_UM = 0.65
TOP_DOSE_UM = 30.0
CONTROL_DOSE_UM = 10.0
_DOSE_STEP = 3.0


class SimulationSettings(BaseModel):
    """What to simulate.

    Parameters
    ----------
    wells : {6, 24, 96, 384, 1536}
        Format of each plate.
    fields, z, t, acquisitions, plates : int
        Fields a well and acquisition, focal planes, time points, runs of the microscope, plates.
    seed : int
        The same settings and seed give the same pixels, in whatever order fields are made.
    size_y, size_x : int
        Size of a field in pixels of 0.65 um (a 10x or binned 20x objective).
    density : float
        Mean number of cells in a field of 512 x 512 pixels of an untreated well.
    artefact_fraction : float
        Expected share of fields with a field-wide artefact, and half of it of cells with one of
        their own; 0 gives a clean plate.
    bit_depth : {12, 16}
        The camera's ceiling: 4095 or 65535.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    wells: Literal[6, 24, 96, 384, 1536] = 96
    fields: int = Setting(default=2, ge=1, le=100)
    seed: int = Setting(default=1, ge=0)
    z: int = Setting(default=1, ge=1, le=100)
    t: int = Setting(default=1, ge=1, le=1000)
    acquisitions: int = Setting(default=1, ge=1, le=20)
    plates: int = Setting(default=1, ge=1, le=100)
    size_y: int = Setting(default=512, ge=96, le=4096)
    size_x: int = Setting(default=512, ge=96, le=4096)
    density: float = Setting(default=60.0, ge=0.0, le=200.0)
    artefact_fraction: float = Setting(default=0.25, ge=0.0, le=1.0)
    bit_depth: Literal[12, 16] = 16

    @property
    def ceiling(self) -> int:
        """Largest value that the camera gives."""
        return int(2**self.bit_depth - 1)


def stable_generator(seed: int, *names: str) -> np.random.Generator:
    """Random generator that depends on a seed and on names only, never on the order of calls.

    Python's own `hash` of a string differs between processes, so the names go through SHA-256.
    """
    digest = hashlib.sha256("\n".join(names).encode()).digest()
    words = np.frombuffer(digest[:16], dtype="<u4").tolist()
    return np.random.default_rng(np.random.SeedSequence([seed, *words]))


def site_generator(settings: SimulationSettings, plate: Plate, site: Site) -> np.random.Generator:
    """Random generator of one field."""
    return stable_generator(settings.seed, plate.id, site.image.id)


def plan_plate(settings: SimulationSettings, plate_index: int = 0) -> Plate:
    """Lay out one simulated plate.

    Controls fill the edge columns (one each side, two from 384 wells, the left one only on a
    6-well plate): solvent in one half of a column, the positive control in the other, swapped on
    the other side. Between them, dose series of 8 (4 on plates of fewer than 8 rows) run down the
    columns, three-fold, twice on the plate.

    Raises
    ------
    InputError
        If there is no plate of that index.
    """
    if not 0 <= plate_index < settings.plates:
        msg = f"There is no plate {plate_index}: the settings ask for {settings.plates}."
        raise InputError(msg)
    rows, columns = FORMATS[settings.wells]
    series = _deal_series(rows, columns)
    wells = tuple(
        _plan_well(settings, (row, column), series)
        for row in range(rows)
        for column in range(columns)
    )
    runs = tuple(Acquisition(str(n), f"Run {n + 1}") for n in range(settings.acquisitions))
    number = plate_index + 1
    return Plate(
        f"simulated-{number}", f"Simulated plate {number}", rows, columns, wells, runs
    )  # fmt: skip


def compound_of(well: Well | None) -> tuple[Mechanism, float]:
    """Mechanism of a well's compound and the strength of its effect, 0 to 1, by the Hill curve.

    Strength = dose^h / (dose^h + EC50^h), with the Hill slope h and EC50 of the well's metadata.
    """
    if well is None or not well.dose or "ec50" not in well.metadata:
        return "none", 0.0
    by_name = dict(MECHANISMS)
    mechanism = by_name[(well.treatment or "").rpartition("-")[0]]
    slope, half = float(well.metadata["hill"]), float(well.metadata["ec50"])
    return mechanism, float(well.dose**slope / (well.dose**slope + half**slope))


def _edge_columns(columns: int) -> tuple[list[int], list[int]]:
    if columns < 6:
        return [0], []
    width = 2 if columns >= 24 else 1
    return list(range(width)), list(range(columns - width, columns))


def _deal_series(rows: int, columns: int) -> dict[tuple[int, int], tuple[int, float]]:
    """Compound number and dose (um) of every well that is no control."""
    left, right = _edge_columns(columns)
    inside = [c for c in range(columns) if c not in (*left, *right)]
    length = 8 if rows >= 8 else 4
    places = [(row, column) for column in inside for row in range(rows)]
    compounds = max(1, len(places) // length // 2)
    return {
        place: (index // length % compounds, _dose(index % length, length))
        for index, place in enumerate(places)
    }


def _dose(step: int, length: int) -> float:
    # Series of 4 span the same range as those of 8: every second step and a bit.
    factor = _DOSE_STEP if length == 8 else _DOSE_STEP ** (7 / 3)
    return float(f"{TOP_DOSE_UM / factor ** (length - 1 - step):.3g}")


def _plan_well(
    settings: SimulationSettings,
    place: tuple[int, int],
    series: dict[tuple[int, int], tuple[int, float]],
) -> Well:
    row, column = place
    rows, columns = FORMATS[settings.wells]
    fields = tuple(_plan_fields(settings, row, column))
    if place in series:
        number, dose = series[place]
        return _treated(place, fields, number, dose, "treatment")
    upper = row < rows // 2
    if upper == (column < columns // 2):
        return Well(row, column, fields, SOLVENT, 0.0, "uM", "negative_control")
    return _treated(place, fields, 0, CONTROL_DOSE_UM, "positive_control")


def _treated(
    place: tuple[int, int], fields: tuple[Field, ...], number: int, dose: float, role: Role
) -> Well:
    family, mechanism = MECHANISMS[number % len(MECHANISMS)]
    member = number // len(MECHANISMS) + 1
    # Members of a family differ in potency, so that their curves do not lie on each other.
    half = 0.6 * 2.0 ** (member % 4 - 1)
    facts = {"mechanism": mechanism, "ec50": f"{half:.3g}", "hill": "1.6"}
    if mechanism == "none":
        facts = {"mechanism": mechanism}
    return Well(
        *place, fields, f"{family}-{member}", dose, "uM", role, MappingProxyType(facts)
    )  # fmt: skip


def _plan_fields(settings: SimulationSettings, row: int, column: int) -> Iterator[Field]:
    channels = tuple(Channel(i, name, color) for i, (name, color) in enumerate(CHANNELS))
    for run in range(settings.acquisitions):
        for index in range(settings.fields):
            number = run * settings.fields + index
            place = f"{row_name(row)}/{column + 1:02d}/{number}"
            image = Image(
                id=place, name=f"{row_name(row)}{column + 1:02d} field {number + 1}",
                size_y=settings.size_y, size_x=settings.size_x, channels=channels,
                size_z=settings.z, size_t=settings.t,
                pixel_size_um=(PIXEL_SIZE_UM, PIXEL_SIZE_UM),
                z_step_um=2.0 if settings.z > 1 else None,
            )  # fmt: skip
            yield Field(index, image, str(run) if settings.acquisitions > 1 else None)
