from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import ngio
import numpy as np
import pytest
import zarr

from omero_hcs.errors import (
    ChannelNotFoundError,
    DataError,
    FormatVersionError,
    ImageNotFoundError,
    InputError,
    PlateNotFoundError,
)
from omero_hcs.model import Field, ObjectRef, StoreSpec, Well
from omero_hcs.stores.ome_zarr.store import OmeZarrStore
from omero_hcs.stores.ome_zarr.writer import PlateWriter
from omero_hcs.stores.open import open_store


def test_a_plate_comes_back_with_all_that_was_known_of_it(rich, rich_plate, plates):
    _, plate = plates.open(rich.path)

    assert (plate.id, plate.name, plate.rows, plate.columns) == ("rich", "test plate", 8, 12)
    assert plate.acquisitions == rich_plate.acquisitions
    assert [well.name for well in plate.wells] == ["B03", "B04", "H12"]
    treated = plate.well("B03")
    assert (treated.treatment, treated.dose, treated.dose_unit) == ("Wortmannin", 15.63, "nM")
    assert (treated.role, dict(treated.metadata)) == ("treatment", {"batch": "7"})
    assert plate.well("H12").fields == ()
    assert [(field.index, field.acquisition) for field in treated.fields] == [
        (0, "1"), (1, "1"), (0, "2"), (1, "2"),
    ]  # fmt: skip
    image = treated.fields[2].image
    assert (image.id, image.name) == ("B/03/2", "B03 field 1 acquisition 2")
    assert (image.size_t, image.size_z, image.size_y, image.size_x) == (2, 3, 48, 40)
    assert (image.pixel_size_um, image.z_step_um, image.dtype) == ((0.65, 0.6), 2.0, "uint16")
    assert [(c.name, c.color) for c in image.channels] == [("GFP", "00FF00"), ("DNA", "0000FF")]


def test_pixels_come_back_by_channel_z_and_time(rich, plates):
    store, plate = plates.open(rich.path)
    for site in plate.sites():
        pixels = rich.pixels[site.well.name, site.field, site.acquisition]
        np.testing.assert_array_equal(
            store.read(site.image, channels=[1, 0], z=2, t=1), pixels[1, [1, 0], 2]
        )
        np.testing.assert_array_equal(
            store.read(site.image, channels=[1], z="max"), pixels[0, 1:].max(axis=1)
        )
        np.testing.assert_array_equal(
            store.read(site.image, channels=[0, 1], z="middle"), pixels[0, :, 1]
        )


def test_focus_picks_one_plane_whichever_channels_are_asked_for(tmp_path, plates):
    image = plates.image(size_z=3)
    pixels = np.full((1, 2, 3, 48, 40), 100, np.uint16)
    pixels[0, 0, 1, 10:20, 10:20] = 900  # sharp in GFP at z 1
    pixels[0, 1, 2, ::2, ::2] = 900  # busier in DNA at z 2
    plate = plates.plate([Well(0, 0, (Field(0, image),))])
    with PlateWriter(tmp_path / "z.zarr", plate) as writer:
        writer.write_field("A01", 0, None, pixels)
    store, plate = plates.open(tmp_path / "z.zarr")
    (site,) = plate.sites()

    np.testing.assert_array_equal(
        store.read(site.image, channels=[1], z="focus")[0],
        store.read(site.image, channels=[0, 1], z="focus")[1],
    )


def test_many_threads_may_read_at_once(rich, plates):
    store, plate = plates.open(rich.path)
    sites = list(plate.sites()) * 4
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(lambda site: store.read(site.image, channels=[0, 1]), sites))
    for site, found in zip(sites, read, strict=True):
        expected = rich.pixels[site.well.name, site.field, site.acquisition][0, :, 0]
        np.testing.assert_array_equal(found, expected)


def test_a_plane_that_is_not_there_is_refused_by_name(rich, plates):
    store, plate = plates.open(rich.path)
    image = next(plate.sites()).image
    with pytest.raises(ChannelNotFoundError, match=r"B03 field 1.*index 2.*0: GFP, 1: DNA"):
        store.read(image, channels=[2])
    with pytest.raises(InputError, match="no z plane 3: z goes from 0 to 2"):
        store.read(image, channels=[0], z=3)
    with pytest.raises(InputError, match="no time point 2: t goes from 0 to 1"):
        store.read(image, channels=[0], t=2)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """A 0.4 plate as another program writes it: only the rows it has, columns not padded, no t."""
    path = tmp_path_factory.mktemp("foreign") / "foreign.zarr"
    rng = np.random.default_rng(4)
    images = [
        ngio.ImageInWellPath(row=row, column=3, path=name, acquisition_id=0)
        for row in ("B", "C")
        for name in ("0", "1")
    ]
    ngio.create_empty_plate(str(path), "foreign", images=images, ngff_version="0.4")
    pixels = {}
    for item in images:
        image_id = f"{item.row}/03/{item.path}"
        pixels[image_id] = rng.integers(0, 4000, (3, 32, 30), dtype=np.uint16)
        ngio.create_ome_zarr_from_array(
            str(path / image_id),
            pixels[image_id],
            axes_names=["c", "y", "x"],
            pixelsize=0.325,
            levels=2,
            channels_meta=["DAPI", "GFP", "RFP"],
            ngff_version="0.4",
            consolidation_mode="auto",
        )
    return SimpleNamespace(path=path, pixels=pixels)


def test_ngff_0_4_is_read(foreign, plates):
    store, plate = plates.open(foreign.path)

    assert [well.name for well in plate.wells] == ["B03", "C03"]
    assert [(item.id, item.name) for item in plate.acquisitions] == [("0", "acquisition 0")]
    for site in plate.sites():
        assert site.image.channel_names == ("DAPI", "GFP", "RFP")
        assert site.image.pixel_size_um == (0.325, 0.325)
        np.testing.assert_array_equal(
            store.read(site.image, channels=[0, 1, 2], z="middle"), foreign.pixels[site.image.id]
        )


@pytest.mark.parametrize("kind", ["rich", "foreign"])
def test_the_layout_is_the_one_that_ngio_reads(kind, request, plates):
    path = request.getfixturevalue(kind).path
    _, plate = plates.open(path)
    theirs = ngio.open_ome_zarr_plate(str(path), mode="r").get_images(max_workers=1)

    assert {site.image.id for site in plate.sites()} == set(theirs)
    for site in plate.sites():
        container = theirs[site.image.id]
        full = container.get_image()
        sizes = dict(zip(full.axes, full.shape, strict=True))
        assert (sizes["y"], sizes["x"]) == (site.image.size_y, site.image.size_x)
        assert (sizes.get("z", 1), sizes.get("t", 1)) == (site.image.size_z, site.image.size_t)
        assert list(site.image.channel_names) == container.channel_labels
        assert site.image.pixel_size_um == (full.pixel_size.y, full.pixel_size.x)
        assert site.image.dtype == full.dtype


def edit_json(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.fixture
def small(tmp_path, plates):
    """A plate of one well and one field, to be spoilt; its folder."""
    path = tmp_path / "small.zarr"
    plates.write(path, plates.plate([Well(0, 0, (Field(0, plates.image()),))]))
    return path


def test_empty_and_repeated_channel_names_are_numbered(small, plates):
    def spoil(document):
        for channel in document["attributes"]["ome"]["omero"]["channels"]:
            channel["label"] = "DAPI"

    edit_json(small / "A/01/0/zarr.json", spoil)
    assert next(plates.open(small)[1].sites()).image.channel_names == ("DAPI", "DAPI 2")

    edit_json(small / "A/01/0/zarr.json", lambda doc: doc["attributes"]["ome"].pop("omero"))
    assert next(plates.open(small)[1].sites()).image.channel_names == ("channel 1", "channel 2")


def test_an_unknown_pixel_size_stays_unknown(small, plates):
    assert next(plates.open(small)[1].sites()).image.pixel_size_um is None


def test_other_length_units_become_micrometres(small, plates):
    def spoil(document):
        multiscale = document["attributes"]["ome"]["multiscales"][0]
        for axis in multiscale["axes"][-2:]:
            axis["unit"] = "nanometer"
        multiscale["datasets"][0]["coordinateTransformations"][0]["scale"][-2:] = [325, 325]

    edit_json(small / "A/01/0/zarr.json", spoil)
    size = next(plates.open(small)[1].sites()).image.pixel_size_um
    assert size == pytest.approx((0.325, 0.325))


def test_a_damaged_chunk_is_told_with_image_and_file(small, plates):
    store, plate = plates.open(small)
    # The first by name: folders list their files in no order, and only two channels are read.
    chunk = min(path for path in (small / "A/01/0/0/c").rglob("*") if path.is_file())
    chunk.write_bytes(chunk.read_bytes()[: chunk.stat().st_size // 2])
    with pytest.raises(DataError, match=r"A01 field 1 \(.*small.zarr/A/01/0/0\)"):
        store.read(next(plate.sites()).image, channels=[0, 1])


def test_an_image_that_is_missing_from_the_copy_is_told_by_name(small, plates):
    (small / "A/01/0/zarr.json").unlink()
    with pytest.raises(DataError, match=r"small\.zarr/A/01/0 .*copy is incomplete"):
        plates.open(small)


@pytest.mark.parametrize("key", ["wells", "acquisitions"])
def test_a_plate_whose_document_does_not_fit_is_told_by_name(small, plates, key):
    edit_json(
        small / "zarr.json", lambda doc: doc["attributes"]["ome"]["plate"].update({key: [{}]})
    )
    with pytest.raises(DataError, match=r"small\.zarr is no OME-Zarr plate that can be read"):
        plates.open(small)


def test_a_newer_ngff_is_refused_by_its_number(small):
    edit_json(small / "zarr.json", lambda doc: doc["attributes"]["ome"].update(version="0.6"))
    with pytest.raises(FormatVersionError, match=r"OME-Zarr 0\.6.*reads 0\.4 and 0\.5"):
        open_store(small)


def test_treatments_of_a_newer_schema_are_refused(small, plates):
    edit_json(
        small / "zarr.json", lambda doc: doc["attributes"]["omero-hcs"].update(schema_version=2)
    )
    with pytest.raises(FormatVersionError, match="schema version 2"):
        plates.open(small)


def test_a_single_image_is_a_set_of_one(small):
    store = open_store(small / "A/01/0")
    assert store.refs() == (ObjectRef(kind="images", id="0"),)
    (image,) = store.images("0").images
    assert store.read(image, channels=[0]).shape == (1, 48, 40)
    with pytest.raises(PlateNotFoundError, match="single image '0'"):
        store.plate("0")


def test_what_is_no_plate_and_what_is_not_there(small, tmp_path):
    store = open_store(small)
    with pytest.raises(PlateNotFoundError, match="plate 'small'; it has no plate 'other'"):
        store.plate("other")
    with pytest.raises(PlateNotFoundError, match="neither an OME-Zarr plate nor"):
        open_store(small / "A/01")
    with pytest.raises(PlateNotFoundError, match="no such folder"):
        OmeZarrStore(StoreSpec(uri=str(tmp_path / "none.zarr")))


def test_a_worker_in_another_folder_opens_the_same_plate(small, tmp_path, monkeypatch):
    monkeypatch.chdir(small.parent)
    spec = open_store("small.zarr/").spec
    monkeypatch.chdir("/")
    assert open_store(spec).refs() == (ObjectRef(kind="plate", id="small"),)
    assert spec == open_store(small).spec


def test_an_image_id_never_leads_out_of_the_plate(small, plates):
    store, plate = plates.open(small)
    image = next(plate.sites()).image
    for wrong in ("../small.zarr/A/01/0/../../../..", "/etc", "A/01/9"):
        with pytest.raises(ImageNotFoundError, match="has no image"):
            store.read(type(image)(wrong, "x", 48, 40, image.channels), channels=[0])


def test_wells_go_up_to_af48(tmp_path, plates):
    path = tmp_path / "big.zarr"
    field = Field(0, plates.image(size_y=8, size_x=8))
    corners = [(0, 0), (1, 0), (26, 9), (31, 47)]
    wells = [Well(*at, (field,), treatment=f"drug {at}") for at in corners]
    written = plates.write(path, plates.plate(wells, rows=32, columns=48))
    store, plate = plates.open(path)

    assert (plate.rows, plate.columns) == (32, 48)
    assert [well.name for well in plate.wells] == ["A01", "B01", "AA10", "AF48"]
    assert [well.treatment for well in plate.wells] == [f"drug {at}" for at in corners]
    last = list(plate.sites())[-1]
    assert last.image.id == "AF/48/0"
    np.testing.assert_array_equal(
        store.read(last.image, channels=[0, 1]), written["AF48", 0, None][0, :, 0]
    )
    assert len(zarr.open_group(path, mode="r").attrs["ome"]["plate"]["rows"]) == 32
