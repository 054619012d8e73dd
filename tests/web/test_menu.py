"""The script menu of the real OMERO.web, in a real browser: from the plate to the results."""

from __future__ import annotations

import contextlib

import pytest

from omero_hcs.sandbox.clicks import choose, press
from omero_hcs.sandbox.demo import USER, connect

WELLS = 6
BUTTONS_THAT_FIT = 7
"""Of the panel's width; more of them press the script's name into a column of letters."""
CHECK = "/hcs/Check_Plate_Quality.py"
OURS = {
    "Check Plate Quality...", "Crop Single Cells...", "Embed Plate...", "HCS Runs...",
    "Plate Report...", "Train Quality Model...",
}  # fmt: skip


@pytest.fixture
def user(person, site):
    """The plate's owner, who has selected it."""
    user = person()
    user.select(f"plate-{site.plate.plate}")
    user.see_wells(WELLS)
    return user


@pytest.fixture(scope="session")
def checked(site):
    """The image with the most regions, its well, and how many regions it has, after a check.

    It is answered from the record if the browser has made it before.
    """
    with contextlib.closing(connect(site.sandbox, USER)) as conn:
        model = choose(conn, CHECK, "Model", f"{site.model} ")
        inputs = {"Data_Type": "Plate", "IDs": [site.plate.plate], "Model": model}
        said = press(conn, CHECK, inputs)
        assert said.code == 0, said
        images = [
            (image.getROICount(), image.getId(), well.getId())
            for well in conn.getObject("Plate", site.plate.plate).listChildren()
            for image in [well.getImage(0)]
        ]
    return max(images)


def test_a_user_checks_the_plate_that_he_selected(user, site, tmp_path):
    user.picture("plate")
    names = user.open_menu()
    user.picture("menu")
    assert set(names) == OURS
    dialog = user.open_dialog("Check Plate Quality")
    assert (dialog.value("Data_Type"), dialog.value("IDs")) == ("Plate", str(site.plate.plate))
    dialog.choose("Model", f"{site.model} nuclei (")
    user.picture("dialog")
    dialog.run()
    user.picture("running")

    said = user.activity()

    user.picture("success")
    assert said.succeeded, said
    assert said.title == "Check Plate Quality"
    assert "cells" in said.message
    assert "Traceback" not in said.message
    assert {"Go to Plate", "Download"} <= set(said.buttons)
    assert "Error" not in said.buttons, user.error_output()
    assert len(said.buttons) <= BUTTONS_THAT_FIT, said.buttons

    user.select(f"plate-{site.plate.plate}")
    user.open_panes()
    user.picture("results")
    panel = user.right_panel()
    assert panel["pairs"]["model"] == "nuclei"
    user.open_file(user.download("report-", tmp_path))
    user.picture("report")
    assert site.plate.plate_name in user.find("h1").text
    user.close_window()
    assert user.severe() == []
    assert '" 500 ' not in site.web.log.with_name("requests.log").read_text()


@pytest.mark.parametrize("name", [USER, "colleague"])
def test_both_members_of_the_group_see_what_a_check_wrote(person, site, checked, name):
    regions, image, well = checked
    member = person(name)
    member.select(f"plate-{site.plate.plate}")
    member.open_panes()
    member.see_wells(WELLS)
    member.picture(f"plate-{name}")
    files = member.right_panel()["files"]
    for kind in ("report-", "heatmap-", "gallery-", "omero-hcs-cells-", "omero-hcs-wells-"):
        assert any(file.startswith(kind) for file in files), files

    member.select(f"well-{well}")
    member.open_panes()
    member.picture(f"well-{name}")
    panel = member.right_panel()
    (tag,) = (text for text in panel["tags"] if text.startswith("QC: "))
    assert panel["pairs"]["verdict"] == tag.removeprefix("QC: ")
    assert "abnormal_fraction" in panel["text"]  # the row of the plate's table

    member.select(f"image-{image}")
    member.picture(f"image-{name}")
    assert member.facts()["ROI Count:"] == str(regions)


def test_regions_are_shown_in_the_image_viewer(person, site, checked):
    _, image, _ = checked
    user = person()
    user.driver.get(f"{site.web.url}webclient/img_detail/{image}/")
    user.show_regions()
    user.picture("regions")


def test_a_run_that_cannot_be_shows_the_failure_and_says_why(user, site):
    dialog = user.ask("Check Plate Quality")
    dialog.choose("Model", f"{site.model} ")
    dialog.fill(IDs="999999")
    dialog.run()
    said = user.activity()
    user.picture("failure")
    assert said.icon == "failed.png"
    assert "999999" in said.message
    assert "Traceback" not in said.message


def test_selected_wells_fill_the_dialog(user):
    wells = user.select_wells(3)
    assert len(wells) == 3
    dialog = user.ask("Check Plate Quality")
    user.picture("wells-dialog")
    assert dialog.value("Data_Type") == "Well"
    assert sorted(dialog.value("IDs").split(",")) == sorted(wells)
    dialog.cancel()
