"""Tiny plates and image sets of known pixels, and every store that can hold one.

A new store joins the contract suite with one fixture: a function `<name>_home` that puts the tiny
plate into it and returns a `Home`, and its name in `HOMES`.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from omero_hcs.model import (
    Acquisition,
    Channel,
    Field,
    Image,
    ImageSet,
    ObjectRef,
    Plate,
    StoreSpec,
    Well,
)
from omero_hcs.results import (
    KeyValues,
    LabelImage,
    ResultFile,
    Results,
    Roi,
    Table,
    Tag,
)
from omero_hcs.stores.base import PlateStore
from omero_hcs.stores.folder import FolderStore
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.stores.ome_zarr.store import OmeZarrStore
from omero_hcs.stores.ome_zarr.writer import PlateWriter

HOMES = (
    "memory_home", "ome_zarr_home", "folder_home", "memory_set_home", "omero_home",
    "omero_set_home",
)  # fmt: skip
PLATE_HOMES = ("memory_home", "ome_zarr_home", "omero_home")

SHARPEST = 2
"""The z plane of each tiny image that is in focus in its first channel; in the others it is 0."""

_names = itertools.count()


@dataclass(frozen=True)
class Home:
    """One store that holds the tiny plate or image set.

    Parameters
    ----------
    store : PlateStore
        The store, open.
    truth : Plate or ImageSet
        What was put into it.
    pixels : list of array, shape (T, C, Z, Y, X)
        What was put into it, in the order of the sites.
    put_labels : callable
        Puts a table of labels where users of this store put theirs.
    change : callable
        Does to one result of a run what a user may do; gets the run id and "report.html".
    snapshot : callable
        All that the store holds, as a value: equal values, equal stores. Manifests are there by
        name only, as they hold the time of writing.
    secret : str, optional
        A secret with which the store was opened, which must show nowhere.
    """

    store: PlateStore
    truth: Plate | ImageSet
    pixels: list[np.ndarray]
    put_labels: Callable[[Table], object]
    change: Callable[[str], object]
    snapshot: Callable[[], Mapping[Any, Any]]
    secret: str | None = None

    @property
    def ref(self) -> ObjectRef:
        (ref,) = self.store.refs()
        return ref

    def layout(self) -> Plate | ImageSet:
        read = self.store.plate if self.ref.kind == "plate" else self.store.images
        return read(self.ref.id)

    def first_image(self) -> Image:
        return next(iter(self.layout().sites())).image

    def results(self, run_id: str = "20250101T120000-0000aaaa", **changes: Any) -> Results:
        """Results of every kind on the first image."""
        image = self.first_image()
        cells = Table(
            {
                "cell": np.arange(5),
                "well": np.array(["A01", "A01", "B03", "B03", "H12"]),
                "abnormal": np.linspace(0, 1, 5, dtype=np.float32),
                "embedding": np.arange(20, dtype=np.float32).reshape(5, 4),
            }
        )
        made = Results(
            run_id=run_id,
            key="k" * 64,
            task="apply_qc",
            target=self.ref,
            tables={"cells": cells},
            rois=(Roi(image.id, "rectangle", ((2.0, 3.0), (9.0, 11.0)), "abnormal 0.97", z=1),),
            tags=(Tag("image", image.id, "blurred"),),
            key_values=(KeyValues("image", image.id, "omero-hcs/qc", (("cells", "5"),)),),
            files=(ResultFile("report.html", "text/html", b"<p>5 cells</p>"),),
        )
        return replace(made, **changes)

    def label_image(self, name: str = "nuclei", *, z: int = 1, t: int = 1) -> LabelImage:
        image = self.first_image()
        pixels = np.zeros((image.size_y, image.size_x), np.uint16)
        pixels[4:9, 5:12], pixels[20:25, 20:30] = 1, 300
        return LabelImage(image.id, name, pixels, z=z, t=t)


def make_stack(image: Image, seed: int) -> np.ndarray:
    """A field with one sharp plane a channel, not the same one in all of them."""
    generator = np.random.default_rng(seed)
    shape = (image.size_t, len(image.channels), image.size_z, image.size_y, image.size_x)
    stack = np.empty(shape, image.dtype)
    for t, channel in np.ndindex(shape[:2]):
        spots = np.zeros(shape[-2:])
        spots[tuple(generator.integers(4, 28, (2, 12)))] = 40_000
        sharp = SHARPEST if channel == 0 else 0
        for z in range(image.size_z):
            blurred = ndimage.gaussian_filter(spots, 1.0 + 2.0 * abs(z - sharp))
            stack[t, channel, z] = 200 + blurred + generator.integers(0, 9, shape[-2:])
    return stack


@pytest.fixture(scope="session")
def tiny_image() -> Image:
    channels = (Channel(0, "DNA"), Channel(1, "GFP"))
    return Image(
        "", "", 32, 40, channels, "uint16", 3, 2, pixel_size_um=(0.5, 0.5), z_step_um=2.0
    )  # fmt: skip


@pytest.fixture(scope="session")
def tiny_plate(tiny_image: Image) -> Plate:
    """Three wells of two fields; the middle one was imaged a second time."""

    def fields(well: str, *runs: str) -> tuple[Field, ...]:
        return tuple(
            Field(
                index, replace(tiny_image, id=f"{well}/{run}/{index}", name=f"{well} {index}"), run
            )
            for run in runs
            for index in range(2)
        )

    wells = (
        Well(0, 0, fields("A01", "1"), "DMSO", role="negative_control"),
        Well(1, 2, fields("B03", "1", "2"), "Wortmannin", 15.6, "nM", "treatment", {"batch": "7"}),
        Well(7, 11, fields("H12", "1"), "Wortmannin", 150.0, "nM", "positive_control"),
    )
    acquisitions = (Acquisition("1", "live"), Acquisition("2", "fixed"))
    return Plate("tiny", "tiny", 8, 12, wells, acquisitions)


@pytest.fixture(scope="session")
def tiny_set(tiny_image: Image) -> ImageSet:
    """Two images without wells; the natural order is not that of the letters."""
    names = ("field 2.tif", "field 10.tif")
    return ImageSet(
        "tiny set", "tiny set", tuple(replace(tiny_image, id=name, name=name) for name in names)
    )


def _pixels(layout: Plate | ImageSet) -> list[np.ndarray]:
    return [make_stack(site.image, seed) for seed, site in enumerate(layout.sites())]


@pytest.fixture(scope="session")
def pixels_of() -> Callable[[Plate | ImageSet], list[np.ndarray]]:
    """Known pixels of every site of a layout, in their order."""
    return _pixels


@pytest.fixture(scope="session")
def written_plate(tmp_path_factory, tiny_plate) -> Path:
    """The tiny plate as OME-Zarr, written once; tests work on copies."""
    path = tmp_path_factory.mktemp("plate") / "tiny.zarr"
    with PlateWriter(path, tiny_plate) as writer:
        for site, stack in zip(tiny_plate.sites(), _pixels(tiny_plate), strict=True):
            writer.write_field(site.well.name, site.field, site.acquisition, stack)
    return path


def _memory(layout: Plate | ImageSet) -> Home:
    pixels = _pixels(layout)
    by_id = {site.image.id: stack for site, stack in zip(layout.sites(), pixels, strict=True)}
    store = MemoryStore.create(f"tiny {next(_names)}", layout, by_id)

    def put_labels(table: Table) -> None:
        store._memory.labels = table

    def change(run_id: str) -> None:
        written = store.results[run_id, None]
        files = (replace(written.files[0], content=b"mine"), *written.files[1:])
        store.results[run_id, None] = replace(written, files=files)

    return Home(store, layout, pixels, put_labels, change, lambda: dict(store.results))


def _on_disk(store: PlateStore, layout: Plate | ImageSet, path: Path) -> Home:
    results = path.with_name(f"{path.stem}.hcs")

    def put_labels(table: Table) -> None:
        results.mkdir(exist_ok=True)
        (results / "labels.csv").write_text(table.to_csv())

    def change(run_id: str) -> None:
        (results / "runs" / run_id / "report.html").write_bytes(b"mine")

    def snapshot() -> dict[str, str]:
        return {
            str(file.relative_to(path.parent)): _digest(file) for file in path.parent.rglob("*")
        }

    return Home(store, layout, _pixels(layout), put_labels, change, snapshot)


def _digest(path: Path) -> str:
    if path.is_dir() or path.name == "manifest.json":
        return ""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def memory_home(tiny_plate) -> Home:
    return _memory(tiny_plate)


@pytest.fixture
def memory_set_home(tiny_set) -> Home:
    return _memory(tiny_set)


@pytest.fixture
def ome_zarr_home(tmp_path, written_plate, tiny_plate) -> Home:
    path = tmp_path / "tiny.zarr"
    shutil.copytree(written_plate, path)
    return _on_disk(OmeZarrStore(StoreSpec(uri=str(path))), tiny_plate, path)


@pytest.fixture
def folder_home(tmp_path, tiny_set) -> Home:
    path = tmp_path / "tiny set"
    path.mkdir()
    for image, stack in zip(tiny_set.images, _pixels(tiny_set), strict=True):
        tifffile.imwrite(
            path / image.name,
            stack.swapaxes(1, 2),
            ome=True,
            metadata={
                "axes": "TZCYX",
                "Channel": {"Name": list(image.channel_names)},
                **{f"PhysicalSize{axis}": 0.5 for axis in "XY"},
                **{f"PhysicalSize{axis}Unit": "µm" for axis in "XYZ"},
                "PhysicalSizeZ": 2.0,
            },
        )
    return _on_disk(FolderStore(StoreSpec(uri=str(path))), tiny_set, path)


@dataclass(frozen=True)
class Imported:
    """A plate on an OMERO server: whose it is, its ids there, and what was put in."""

    owner: Any
    ids: Any
    truth: Plate
    pixels: list[np.ndarray]

    def well(self, row: int, column: int) -> int:
        return self.ids.wells[row, column]


@pytest.fixture
def omero_import(omero_put) -> Callable[..., Imported]:
    """Put a plate with known pixels on the server: ``omero_import(user, plate)``."""

    def put(user: Any, plate: Plate) -> Imported:
        home = _memory(plate)
        return Imported(user, omero_put(user, home.store), plate, home.pixels)

    return put


@pytest.fixture
def omero_tiny(omero_user, omero_import, tiny_plate) -> Imported:
    """The tiny plate, of `omero_user`."""
    return omero_import(omero_user, tiny_plate)


@pytest.fixture
def omero_home(
    omero_user, omero_connect, omero_open, omero_import, omero_way_in, tiny_plate
) -> Home:
    """The tiny plate on an OMERO server, its wells annotated as users do."""
    from tests.stores import omero_homes  # noqa: PLC0415  (omero only for those who need it)

    imported, conn = omero_import(omero_user, tiny_plate), omero_connect(omero_user)
    omero_homes.annotate_wells(conn, imported.ids.wells, tiny_plate)
    omero_way_in(omero_user)
    store = omero_open(omero_user, f"plate/{imported.ids.plate}")
    group = omero_user.groups[0].id
    parts = omero_homes.home_parts(conn, group, "Plate", imported.ids.plate)
    return Home(store, tiny_plate, imported.pixels, *parts, secret=omero_user.password)


@pytest.fixture
def omero_set_home(
    omero_user, omero_connect, omero_open, omero_put, omero_way_in, tiny_set
) -> Home:
    """The tiny set as a Dataset on an OMERO server."""
    from tests.stores import omero_homes  # noqa: PLC0415

    conn, source = omero_connect(omero_user), _memory(tiny_set)
    number = omero_put(omero_user, source.store).dataset
    omero_way_in(omero_user)
    store = omero_open(omero_user, f"dataset/{number}")
    parts = omero_homes.home_parts(conn, omero_user.groups[0].id, "Dataset", number)
    return Home(store, tiny_set, source.pixels, *parts, secret=omero_user.password)


@pytest.fixture(params=HOMES)
def home(request) -> Home:
    """Every store in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=PLATE_HOMES)
def plate_home(request) -> Home:
    """Every store of plates in turn."""
    return request.getfixturevalue(request.param)
