from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
import tifffile

from omero_hcs.errors import DataError, InputErrors, WriteError
from omero_hcs.stores.ome_zarr.convert import check_target, convert_folder, plan_conversion

PATTERN = "p_{well}_s{field}_w{channel}.tif"


def plane(seed=0, shape=(20, 24), dtype="uint16"):
    return np.random.default_rng(seed).integers(1, 250, shape).astype(dtype)


@pytest.fixture
def folder(tmp_path):
    """Four wells, two fields, two channels, as files; the pixels are those of `plane(seed)`."""
    path = tmp_path / "images"
    path.mkdir()
    seed = 0
    for well in ("A01", "A02", "B01", "B02"):
        for field in (1, 2):
            for channel in (1, 2):
                tifffile.imwrite(path / f"p_{well}_s{field}_w{channel}.tif", plane(seed))
                seed += 1
    return path


def faults_of(folder, pattern=PATTERN, **options):
    with pytest.raises(InputErrors) as caught:
        plan_conversion(folder, pattern, **options)
    return caught.value.faults


def test_a_folder_becomes_a_plate_with_its_treatments(folder, tmp_path, plates):
    (tmp_path / "map.csv").write_text(
        "well,compound,dose,unit,role\nA01,DMSO,,,negative_control\nB02,Taxol,5,nM,treatment\n"
    )
    conversion = plan_conversion(
        folder,
        PATTERN,
        platemap=tmp_path / "map.csv",
        channels=["GFP", "DNA"],
        pixel_size_um=0.65,
    )
    assert conversion.file_count == 16
    steps = []
    plate = convert_folder(conversion, tmp_path / "x.zarr", progress=lambda *at: steps.append(at))

    assert steps == [(done, 8) for done in range(1, 9)]
    assert (plate.name, plate.rows, plate.columns) == ("x", 2, 3)
    assert [well.name for well in plate.wells] == ["A01", "A02", "B01", "B02"]
    assert (plate.well("B02").treatment, plate.well("B02").dose) == ("Taxol", 5.0)
    store, _ = plates.open(tmp_path / "x.zarr")
    for number, site in enumerate(plate.sites()):
        assert site.image.channel_names == ("GFP", "DNA")
        assert site.image.pixel_size_um == (0.65, 0.65)
        read = store.read(site.image, channels=[0, 1])
        np.testing.assert_array_equal(read, [plane(2 * number), plane(2 * number + 1)])
        assert read.dtype == np.uint16


def test_z_time_and_acquisitions(tmp_path, plates):
    folder = tmp_path / "images"
    for day, planes in (("day 1", 2), ("day 2", 1)):
        (folder / day).mkdir(parents=True)
        for t in (0, 1):
            for z in range(planes):
                pixels = plane(seed=100 * (day == "day 2") + 10 * t + z)
                tifffile.imwrite(folder / day / f"B03_t{t}_z{z}.tif", pixels)
    conversion = plan_conversion(folder, "{acquisition}/{well}_t{t}_z{z}.tif")
    plate = convert_folder(conversion, tmp_path / "x.zarr")
    store, _ = plates.open(tmp_path / "x.zarr")

    assert [(run.id, run.name) for run in plate.acquisitions] == [("1", "day 1"), ("2", "day 2")]
    first, second = plate.sites()
    assert [first.image.id, second.image.id] == ["B/03/0", "B/03/1"]
    assert (first.image.size_t, first.image.size_z) == (2, 2)
    assert (second.image.size_t, second.image.size_z) == (2, 1)
    np.testing.assert_array_equal(
        store.read(first.image, channels=[0], z=1, t=1)[0], plane(seed=11)
    )
    np.testing.assert_array_equal(store.read(second.image, channels=[0], t=1)[0], plane(seed=110))


@pytest.mark.parametrize("kind", ["tif", "png", "jpg"])
def test_rgb_files_are_three_channels(tmp_path, kind, plates):
    pixels = plane(shape=(16, 16, 3), dtype="uint8")
    (tmp_path / "images").mkdir()
    path = tmp_path / f"images/A01.{kind}"
    if kind == "tif":
        tifffile.imwrite(path, pixels, photometric="rgb")
    else:
        PIL.Image.fromarray(pixels).save(path, quality=95)
    plate = convert_folder(
        plan_conversion(tmp_path / "images", f"{{well}}.{kind}"), tmp_path / "x.zarr"
    )
    (site,) = plate.sites()
    assert site.image.channel_names == ("red", "green", "blue")
    assert [channel.color for channel in site.image.channels] == ["FF0000", "00FF00", "0000FF"]
    read = plates.open(tmp_path / "x.zarr")[0].read(site.image, channels=[0, 1, 2])
    if kind != "jpg":
        np.testing.assert_array_equal(read, np.moveaxis(pixels, -1, 0))


def test_a_file_of_several_planes_fills_its_axis(tmp_path, plates):
    stack = plane(shape=(3, 20, 24))
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images/A01_w1.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    tifffile.imwrite(
        tmp_path / "images/A01_w2.tif", stack + 1, imagej=True, metadata={"axes": "ZYX"}
    )
    conversion = plan_conversion(tmp_path / "images", "{well}_w{channel}.tif")
    plate = convert_folder(conversion, tmp_path / "x.zarr")
    (site,) = plate.sites()
    assert (site.image.size_z, site.image.channel_names) == (3, ("channel 1", "channel 2"))
    read = plates.open(tmp_path / "x.zarr")[0].read(site.image, channels=[1], z=2)
    np.testing.assert_array_equal(read[0], stack[2] + 1)

    (fault,) = faults_of(tmp_path / "images", "{well}_w{z}.tif")
    assert "has {z}, but each file holds 3 planes itself, such as A01_w1.tif" in fault


def test_planes_of_an_ome_tiff_set_are_read_one_by_one(tmp_path, plates):
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images/A01_c0.ome.tif", plane(0), metadata={"axes": "YX"})
    tifffile.imwrite(tmp_path / "images/A01_c1.ome.tif", plane(1), metadata={"axes": "YX"})
    for name in ("A01_c0.ome.tif", "A01_c1.ome.tif"):
        xml = (
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
            '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="24" SizeY="20" '
            'SizeZ="1" SizeC="2" SizeT="1">'
            + "".join(
                f'<TiffData FirstC="{c}" IFD="0" PlaneCount="1"><UUID FileName="A01_c{c}.ome.tif">'
                f"urn:uuid:0000000{c}</UUID></TiffData>"
                for c in (0, 1)
            )
            + "</Pixels></Image></OME>"
        )
        tifffile.tiffcomment(tmp_path / "images" / name, xml.encode())
    conversion = plan_conversion(tmp_path / "images", "{well}_c{channel}.ome.tif")
    plate = convert_folder(conversion, tmp_path / "x.zarr")
    (site,) = plate.sites()
    read = plates.open(tmp_path / "x.zarr")[0].read(site.image, channels=[0, 1])
    np.testing.assert_array_equal(read, [plane(0), plane(1)])


def test_grey_saved_as_rgb_is_one_channel_where_names_count_the_channels(tmp_path, plates):
    grey = plane(shape=(16, 16), dtype="uint8")
    (tmp_path / "images").mkdir()
    for channel in (1, 2):
        PIL.Image.fromarray(np.dstack([grey + channel] * 3)).save(
            tmp_path / f"images/A01_w{channel}.png"
        )
    conversion = plan_conversion(tmp_path / "images", "{well}_w{channel}.png")
    plate = convert_folder(conversion, tmp_path / "x.zarr")
    (site,) = plate.sites()
    read = plates.open(tmp_path / "x.zarr")[0].read(site.image, channels=[0, 1])
    np.testing.assert_array_equal(read, [grey + 1, grey + 2])

    coloured = np.dstack([grey, grey + 1, grey + 2])
    for channel in (1, 2):
        PIL.Image.fromarray(coloured).save(tmp_path / f"images/A01_w{channel}.png")
    (fault,) = faults_of(tmp_path / "images", "{well}_w{channel}.png")
    assert "has {channel}, but each file holds 3 channels itself" in fault


def test_a_folder_that_is_empty_missing_or_of_other_names(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    assert "holds no files" in faults_of(tmp_path / "empty")[0]
    assert "There is no folder" in faults_of(tmp_path / "none")[0]
    (fault,) = faults_of(folder, "{well}_f{field}.tif")
    assert "It holds 16 files, such as 'p_A01_s1_w1.tif', 'p_A01_s1_w2.tif'" in fault


def test_files_that_cannot_be_read_are_each_named(folder):
    for name, share in (("p_A01_s1_w1.tif", 0.5), ("p_B02_s2_w2.tif", 0.95)):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * share)])
    (folder / "p_A02_s1_w1.tif").write_text("not an image")
    (folder / "p_B01_s1_w1.tif").write_bytes(b"")
    faults = faults_of(folder)
    assert len(faults) == 4
    for fault, name in zip(
        faults,
        ("p_A01_s1_w1.tif", "p_A02_s1_w1.tif", "p_B01_s1_w1.tif", "p_B02_s2_w2.tif"),
        strict=True,
    ):
        assert name in fault
        assert "cannot be read" in fault


@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "predictor": True}])
@pytest.mark.parametrize("share", [0.1, 0.4, 0.7, 0.9, 0.99])
def test_no_truncated_file_gets_through(tmp_path, options, share):
    path = tmp_path / "A01.tif"
    tifffile.imwrite(path, plane(shape=(64, 64)), **options)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    (fault,) = faults_of(tmp_path, "{well}.tif")
    assert "A01.tif cannot be read" in fault


def test_mixed_sizes_and_dtypes_are_each_named(folder):
    tifffile.imwrite(folder / "p_A01_s2_w1.tif", plane(shape=(20, 25)))
    tifffile.imwrite(folder / "p_B01_s1_w2.tif", plane(dtype="uint8"))
    faults = faults_of(folder)
    assert faults == (
        "p_A01_s2_w1.tif holds 20 x 25 uint16; most files hold 20 x 24 uint16.",
        "p_B01_s1_w2.tif holds 20 x 24 uint8; most files hold 20 x 24 uint16.",
    )


def test_missing_and_double_planes_are_each_named(folder):
    (folder / "p_A02_s2_w1.tif").unlink()
    tifffile.imwrite(folder / "p_B1_s1_w2.tif", plane())
    (folder / "p_Z99_s1_w1.tif").write_text("")
    (folder / "p_B02_s2_w2.tif").write_text("")
    faults = faults_of(folder)
    assert any("p_Z99_s1_w1.tif: 'Z99' is no well name" in fault for fault in faults)
    assert any("p_B02_s2_w2.tif cannot be read" in fault for fault in faults)
    assert any("A02 field 2 channel 1 is missing" in fault for fault in faults)
    assert any("p_B1_s1_w2.tif" in f and "p_B01_s1_w2.tif are B01 field 1" in f for f in faults)
    assert len(faults) == 4


def test_all_faults_come_in_one_message(folder, tmp_path):
    (tmp_path / "map.csv").write_text("well,role\nA01,controll\nX1Y,empty\n")
    data = (folder / "p_A01_s1_w1.tif").read_bytes()
    (folder / "p_A01_s1_w1.tif").write_bytes(data[:100])
    faults = faults_of(
        folder, platemap=tmp_path / "map.csv", channels=["GFP", "DNA", "ER"], pixel_size_um=0
    )
    for wanted in (
        "The pixel size is 0 um",
        "line 2: the role is 'controll'",
        "line 3: 'X1Y' is no well name",
        "p_A01_s1_w1.tif cannot be read",
        "Channel names given: GFP, DNA, ER. But the files have 2 channels: 1, 2",
    ):
        assert any(wanted in fault for fault in faults), (wanted, faults)


def test_channel_names_are_unique(folder):
    (fault,) = faults_of(folder, channels=["DNA", "dna"])
    assert "'dna' was given 2 times" in fault


def test_a_platemap_of_another_plate_and_a_typing_error_in_one(folder, tmp_path):
    path = tmp_path / "map.csv"
    path.write_text("well,role\nC03,empty\n")
    (fault,) = faults_of(folder, platemap=path)
    assert "map.csv is the platemap of another plate" in fault
    assert "Images are there of A01, A02, B01, B02" in fault

    for row in "CDEFGH":
        for column in range(1, 13):
            tifffile.imwrite(folder / f"p_{row}{column:02d}_s1_w1.tif", plane())
            tifffile.imwrite(folder / f"p_{row}{column:02d}_s1_w2.tif", plane())
    wells = [f"{row}{column}" for row in "ABCDEFGH" for column in range(1, 13)]
    path.write_text("\n".join(["well", *wells, "I01"]))
    (fault,) = faults_of(folder, platemap=path)
    assert "well I01 is not on this plate of 96 wells (A01 to H12)" in fault


def test_gaps_are_told_by_name_and_do_not_stop(folder, tmp_path):
    for path in folder.glob("p_B01_*"):
        path.unlink()
    for path in folder.glob("p_B02_s2_*"):
        path.unlink()
    tifffile.imwrite(folder / "overview.tif", plane())
    conversion = plan_conversion(folder, PATTERN)
    assert conversion.missing_wells == ("B01",)
    text = "\n".join(conversion.warnings)
    assert "No images of 1 well between the imaged wells: B01." in text
    assert "No images of 1 field that other wells have: B02 field 2." in text
    assert "Left out, because of the pattern: 1 image file, such as overview.tif." in text
    assert "The pixel size is not known" in text

    (tmp_path / "map.csv").write_text("well,role\nA01,\nA02,\nB01,treatment\nB03,empty\n")
    conversion = plan_conversion(folder, PATTERN, platemap=tmp_path / "map.csv")
    assert conversion.missing_wells == ("B01",)
    assert "Not in the platemap: 1 well with images: B02." in conversion.warnings
    plate = convert_folder(conversion, tmp_path / "x.zarr")
    assert plate.well("B01").fields == ()
    assert plate.well("B03").role == "empty"


def test_a_file_that_changes_while_converting_leaves_nothing(folder, tmp_path):
    conversion = plan_conversion(folder, PATTERN)
    tifffile.imwrite(folder / "p_B02_s2_w2.tif", plane(shape=(10, 10)))
    with pytest.raises(DataError, match="B02 field 2 changed while it was converted"):
        convert_folder(conversion, tmp_path / "x.zarr")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]


def test_a_plate_that_is_there_is_not_written_over(folder, tmp_path):
    conversion = plan_conversion(folder, PATTERN)
    convert_folder(conversion, tmp_path / "x.zarr")
    with pytest.raises(WriteError, match="there already"):
        convert_folder(conversion, tmp_path / "x.zarr")
    with pytest.raises(WriteError, match="there already"):
        check_target(tmp_path / "x.zarr", overwrite=False)
    check_target(tmp_path / "x.zarr", overwrite=True)
    convert_folder(conversion, tmp_path / "x.zarr", overwrite=True)
