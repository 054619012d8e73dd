"""A small plate of known cells, labels for it, one model, and the command line as a function."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from omero_hcs.cli.main import run
from omero_hcs.model import Channel, Field, Image, Plate, Well, parse_well
from omero_hcs.stores.ome_zarr.writer import PlateWriter

SIDE = 200
CENTERS = [(y, x) for y in (34, 100, 166) for x in (34, 100, 166)]
WELLS = ("A01", "A02", "A03", "B01", "B02", "B03")
CHANNELS = ("DNA", "GFP")


def draw_field(rng, *, radius=8.0, sharp=True, cells=True):
    """Nuclei as round plateaus on a noisy background; unsharp ones fall off gently."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    pixels = rng.normal(300, 15, (SIDE, SIDE))
    for y, x in CENTERS if cells else []:
        distance = ((rows - y) ** 2 + (columns - x) ** 2) / radius**2
        pixels += 3000 * np.exp(-(distance**2)) if sharp else 1800 * np.exp(-distance)
    return pixels.clip(0)


def write_plate(
    path, *, channels=CHANNELS, wells=WELLS, dtype="uint16", draw=None, pixel_size=None
):
    """Write a plate of one field a well; wells of row B are out of focus."""
    rng = np.random.default_rng(0)
    named = tuple(Channel(number, name) for number, name in enumerate(channels))
    image = Image("", "", SIDE, SIDE, named, dtype=dtype)
    layout = tuple(Well(*parse_well(well), fields=(Field(0, image),)) for well in wells)
    with PlateWriter(path, Plate("p", "p", 8, 12, layout)) as writer:
        for well in wells:
            one = draw or (lambda rng, well: draw_field(rng, sharp=well[0] == "A"))
            pixels = np.stack([one(rng, well) for _ in channels]).astype(dtype)
            writer.write_field(well, 0, None, pixels)
    return path


def write_labels(path, *, wells=WELLS, each=4):
    """Label some cells of each well: normal in row A, abnormal in row B."""
    rows = [
        f"{well},0,{y},{x},{'normal' if well[0] == 'A' else 'abnormal'}"
        for well in wells
        for y, x in CENTERS[:each]
    ]
    path.write_text("\n".join(["well,field,y,x,label", *rows]) + "\n")
    return path


@pytest.fixture(scope="session")
def make():
    """Functions that make plates, fields and labels."""
    return SimpleNamespace(
        plate=write_plate, field=draw_field, labels=write_labels, wells=WELLS, side=SIDE
    )


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    """Plate and labels that no test runs over."""
    folder = tmp_path_factory.mktemp("pristine")
    return write_plate(folder / "p.zarr"), write_labels(folder / "labels.csv")


@pytest.fixture
def plate(pristine, tmp_path):
    """A plate of its own for a test, six wells of nine nuclei."""
    return shutil.copytree(pristine[0], tmp_path / "p.zarr")


@pytest.fixture
def labels(pristine, tmp_path):
    """Labels of that plate."""
    return shutil.copyfile(pristine[1], tmp_path / "labels.csv")


@pytest.fixture(scope="session")
def model(pristine, tmp_path_factory):
    """A model trained through the command line on the plate."""
    plate, labels = pristine
    path = tmp_path_factory.mktemp("models") / "qc.safetensors"
    assert run(["train-qc", str(plate), "--labels", str(labels), "--output", str(path)]) == 0
    return path


@pytest.fixture
def omero_hcs(capsys):
    """Run the command line in this process: exit code, output, errors."""

    def call(*arguments):
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return SimpleNamespace(code=code, out=said.out, err=said.err)

    return call
