"""Labelled crops of a folder: what is read, how it is scaled, and what is refused."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from omero_hcs.errors import ChannelNotFoundError, InputErrors, LabelError
from omero_hcs.imaging.normalize import SATURATED
from omero_hcs.tasks.crop_folder import labelled_of_folder
from omero_hcs.tasks.crop_names import is_crop_folder
from omero_hcs.tasks.labelled_sources import labelled_of
from omero_hcs.tasks.qc_choices import LabelledParams
from omero_hcs.tasks.qc_evaluate import folds_of
from tests.tasks.crop_folder_fixtures import SIDE, draw, save, write_folder

PATTERN = "{well}_{field}_{cell}"


def params(**given):
    return LabelledParams(**given)


def read(folder, **given):
    return labelled_of_folder(folder, params(**given))


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "crops")


def faults_of(folder, **given):
    with pytest.raises(InputErrors) as error:
        read(folder, **given)
    return list(error.value.faults)


class TestWhatIsRead:
    def test_a_subfolder_a_class_with_rgb_as_it_is(self, folder):
        found = read(folder, pattern=PATTERN)
        assert found.classes == ("normal", "abnormal")
        assert found.crops.shape == (24, 3, SIDE, SIDE)
        assert found.channels == ("red", "green", "blue")
        first = np.asarray(Image.open(folder / "abnormal" / found.table["image"][0][9:]))
        shown, full = np.moveaxis(first, 2, 0) / 255, found.crops[0].clip(0, 1)
        assert np.allclose(full, shown, atol=1e-6)
        assert found.normalization.ceiling == 255
        assert set(found.table["well"]) == {"A01", "A02", "A03", "B01", "B02", "B03"}
        assert folds_of(found, folds=3, seed=0).apart == "well"

    def test_deep_stacks_are_scaled_by_what_normal_crops_show(self, tmp_path):
        folder = write_folder(tmp_path / "c", suffix=".tif", dtype="uint16", stains=5)
        save(folder / "abnormal" / "A01_0_glare.tif", np.full((5, SIDE, SIDE), 65535, "uint16"))
        found = read(folder, pattern=PATTERN)
        assert found.crops.shape == (25, 5, SIDE, SIDE)
        assert found.channels[0] == "channel 1"
        assert all(36000 < white < 40000 for white in found.normalization.white)
        assert all(2000 < black < 6000 for black in found.normalization.black)
        normal = found.crops[found.table["label"] == "normal"]
        assert 0.9 < normal.max(axis=(2, 3)).mean() < 1.1
        glare = found.crops[found.table["image"] == "abnormal/A01_0_glare.tif"]
        assert (glare == SATURATED).all()

    def test_channels_are_chosen_by_name_or_number(self, folder):
        found = read(folder, channels=("blue", "1"))
        assert found.channels == ("blue", "red")
        with pytest.raises(ChannelNotFoundError, match="no channel GFP"):
            read(folder, channels=("GFP",))

    def test_a_table_gives_labels_and_places(self, folder):
        files = sorted(path for path in folder.rglob("*.png"))
        rows = [
            f"{path.relative_to(folder)},{'ok' if path.parent.name == 'normal' else 'bad'},"
            f"P1,b{number % 4 + 1},{number % 2},ann"
            for number, path in enumerate(files)
        ]
        header = "file,label,plate,well,field,user"
        (folder / "crops.csv").write_text("\n".join([header, *rows]) + "\n")
        found = read(folder, classes=("ok=normal", "bad=blurred"))
        assert found.classes == ("normal", "blurred")
        assert set(found.table["group"]) == {"P1/B01", "P1/B02", "P1/B03", "P1/B04"}
        assert found.table["unit"][0] == "P1/B01/f0"
        assert found.table["user"][0] == "ann"

    def test_a_label_file_may_lie_elsewhere(self, tmp_path, folder):
        flat = tmp_path / "flat"
        flat.mkdir()
        rows = ["file,label,well"]
        for path in sorted(folder.rglob("*.png")):
            path.rename(flat / path.name)
            rows.append(f"{path.name},{path.parent.name},{path.name[:3]}")
        (tmp_path / "labels.csv").write_text("\n".join(rows))
        assert not is_crop_folder(flat, params())
        given = params(labels=str(tmp_path / "labels.csv"))
        assert is_crop_folder(flat, given)
        assert len(labelled_of([str(flat)], given).table) == 24

    def test_our_own_crops_that_were_given_labels(self, tmp_path, folder):
        """What `crop --crops zip` writes: cells.csv, to which a label is added."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            lines = ["file,cell,plate,well,field,image,z,t,y,x,label"]
            for number, path in enumerate(sorted(folder.rglob("*.png"))):
                archive.write(path, path.name)
                place = f"p,{path.name[:3]},{number % 2},i,0,0,{number}.5,7.0"
                lines.append(f"{path.name},c{number},{place},{path.parent.name}")
            archive.writestr("cells.csv", "\n".join(lines))
        zipfile.ZipFile(content).extractall(tmp_path / "unzipped")
        found = read(tmp_path / "unzipped")
        assert found.table["group"][0].startswith("p/")
        assert found.table["y"][0] == 0.5

    def test_fields_alone_are_kept_apart(self, folder):
        found = read(folder, pattern="*_{field}_{cell}")
        assert set(found.table["well"]) == {""}
        assert len(set(found.table["group"])) == 3
        assert folds_of(found, folds=3, seed=0).apart == "well"

    def test_without_places_nothing_is_tested_unless_crops_may_stand_alone(self, folder):
        found = read(folder)
        with pytest.raises(LabelError, match=r"--pattern, such as '\{well\}_\{field\}_\{cell\}'"):
            folds_of(found, folds=3, seed=0)
        assert folds_of(found, folds=3, seed=0, crops_alone=True).apart == "crop"


class TestWhatIsTold:
    def test_pixels_that_are_no_numbers_and_crops_of_one_grey_value(self, tmp_path):
        folder = write_folder(tmp_path / "c", suffix=".tif", dtype="float32", stains=1)
        hole = draw(np.random.default_rng(3), sharp=True, stains=1, top=40000).astype("float32")
        hole[0, 3, 4] = np.nan
        save(folder / "normal" / "A01_0_hole.tif", hole)
        save(folder / "abnormal" / "A01_0_flat.tif", np.full((1, SIDE, SIDE), 7, "float32"))
        found = read(folder)
        assert np.isfinite(found.crops).all()
        assert "1 crops have pixels that are no numbers" in found.warnings[0]
        assert "1 crops are of one grey value" in found.warnings[1]

    def test_copies_are_told(self, folder):
        first = next((folder / "normal").iterdir())
        (folder / "normal" / "B03_1_copy.png").write_bytes(first.read_bytes())
        assert "1 crops are copies of others" in read(folder).warnings[0]


class TestWhatIsRefused:
    def test_every_fault_is_named_at_once(self, folder):
        normal = folder / "normal"
        Image.fromarray(np.zeros((SIDE, SIDE + 2, 3), np.uint8)).save(normal / "A01_0_wide.png")
        Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(normal / "A01_0_small.png")
        Image.fromarray(np.zeros((SIDE, SIDE), np.uint8)).save(normal / "A01_0_grey.png")
        see = np.zeros((SIDE, SIDE, 4), np.uint8)
        see[0, 0, 3] = 255
        Image.fromarray(see).save(normal / "A01_0_clear.png")
        (normal / "A01_0_cut.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
        faults = "\n".join(faults_of(folder))
        for words in (
            f"A01_0_wide.png is {SIDE} x {SIDE + 2} px. Crops have to be square",
            "A01_0_clear.png has a fourth, transparent channel (RGBA)",
            "A01_0_cut.png cannot be read",
            f"The crops are not alike: 24 are {SIDE} x {SIDE} px, 3 channel(s), uint8; 1 are ",
            "; 1 are 9 x 9 px, 3 channel(s), uint8",
            f"; 1 are {SIDE} x {SIDE} px, 1 channel(s), uint8",
        ):
            assert words in faults

    def test_rgba_that_hides_nothing_is_taken_for_rgb(self, folder):
        for path in folder.rglob("*.png"):
            with Image.open(path) as image:
                image.convert("RGBA").save(path)
        assert read(folder).crops.shape == (24, 3, SIDE, SIDE)

    def test_one_class_and_few_crops_of_a_class(self, folder):
        for path in list((folder / "abnormal").iterdir())[3:]:
            path.unlink()
        (fault,) = faults_of(folder)
        assert "'abnormal' has 3" in fault
        for path in (folder / "abnormal").iterdir():
            path.unlink()
        (fault,) = faults_of(folder)
        assert "All 12 labels are 'normal'" in fault

    def test_one_picture_with_two_labels(self, folder):
        first = sorted((folder / "normal").iterdir())[0]
        (folder / "abnormal" / "B03_1_same.png").write_bytes(first.read_bytes())
        (fault,) = faults_of(folder)
        assert "are the same picture, labelled 'abnormal' and 'normal'" in fault

    def test_one_file_with_two_labels_and_one_that_is_not_there(self, folder):
        name = f"normal/{next((folder / 'normal').iterdir()).name}"
        lines = [f"{name},a", f"{name},b", "gone.png,a", "../../etc/passwd,b"]
        (folder / "crops.csv").write_text("\n".join(["file,label", *lines]))
        faults = faults_of(folder, normal_class="a")
        assert f"{name} has several labels: a, b. Keep one of them." in faults
        assert sum("not in the folder" in fault for fault in faults) == 2

    def test_names_unlike_the_pattern_and_wells_of_no_plate(self, folder):
        (fault,) = faults_of(folder, pattern="{well}-{field}")
        assert "24 of 24 files are not named like '{well}-{field}'" in fault
        (folder / "normal" / "Z99_0_7.png").write_bytes(
            next((folder / "normal").iterdir()).read_bytes()
        )
        assert any("'Z99' is no well name" in text for text in faults_of(folder, pattern=PATTERN))
        (fault,) = faults_of(folder, pattern="{cell}")
        assert "tells no place" in fault

    def test_nothing_but_constant_crops(self, tmp_path):
        for number in range(12):
            name = f"{'normal' if number % 2 else 'blank'}/A{number % 3 + 1:02d}_0_{number}.png"
            save(tmp_path / "c" / name, np.full((3, SIDE, SIDE), 40))
        (fault,) = faults_of(tmp_path / "c")
        assert "All 12 crops are of one grey value" in fault

    def test_a_stack_in_depth_is_no_crop(self, folder):
        import tifffile  # noqa: PLC0415

        stack = np.zeros((2, 3, SIDE, SIDE), np.uint8)
        tifffile.imwrite(
            folder / "normal" / "A01_0_z.tif", stack, imagej=True, metadata={"axes": "ZCYX"}
        )
        assert any("a crop is one plane" in fault for fault in faults_of(folder))


def test_folders_of_crops_are_told_from_folders_of_fields(tmp_path, folder):
    assert is_crop_folder(folder, params())
    (tmp_path / "fields").mkdir()
    Image.fromarray(np.zeros((99, 99), np.uint8)).save(tmp_path / "fields" / "one.png")
    assert not is_crop_folder(tmp_path / "fields", params())
    assert not is_crop_folder(tmp_path / "nowhere", params())


def test_several_folders_are_one_source(tmp_path, folder):
    write_folder(tmp_path / "more", stains=1)
    given = params(pattern=PATTERN)
    with pytest.raises(InputErrors, match="Crops of more have 1 channels"):
        labelled_of([str(folder), str(tmp_path / "more")], given)
    other = write_folder(tmp_path / "again")
    found = labelled_of([str(folder), str(other)], given)
    assert found.name == "crops, again"
    assert len(found.table) == 48
    assert {"crops/A01", "again/A01"} <= set(found.table["group"])
