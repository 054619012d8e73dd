"""Texts of lower layers in the words of a dialog."""

from __future__ import annotations

import pytest

pytest.importorskip("omero.gateway", reason="the extra 'omero' is not installed")

from omero_hcs.errors import InputErrors
from omero_hcs.scripting.catalog import SCRIPTS
from omero_hcs.scripting.wording import Wording

SERVER = "127.0.0.1:4064"
PLANES, MORE = "Choose_Channels_And_Planes", "More_Settings"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "The crop has 900 px. Pass another --crop-size, for example '128px'.",
            f"The crop has 900 px. Set another Crop_Size (under {MORE}), for example '128px'.",
        ),
        (
            "Or pass --any-scale to go on all the same.",
            f"Or set Any_Scale (under {MORE}) to go on all the same.",
        ),
        (
            "pass --nuclei NAME to take another.",
            f"set Nuclear_Channel (under {PLANES}) to take another.",
        ),
        (
            f"omero://{SERVER}/plate/51,52 has no plates that ada may see.",
            "plate 51,52 has no plates that ada may see.",
        ),
        (f"The connection to OMERO at {SERVER} was lost.", "The connection to OMERO was lost."),
        (
            f"x has no quality run. Make one with: omero-hcs apply-qc omero://{SERVER}/plate/5",
            "x has no quality run. Make one with: Check_Plate_Quality",
        ),
        (
            "Train one with: omero-hcs train-qc PLATE --labels labels.csv",
            "Train one with: Train_Quality_Model",
        ),
        ("Start it again with --again.", "Start it again with Again."),
        (
            "B03 has 5 z plane(s); plane 9 is not there (planes count from 0).",
            "B03 has 5 z plane(s); plane 10 is not there (the first is 1).",
        ),
        (
            "Pass the same weights with --weights.",
            "Pass the same weights with the command line's weights.",
        ),
        ("first line\nsecond line", "first line second line"),
        (
            str(InputErrors(["One thing.", "Another."])),
            "2 problems were found: (1) One thing. (2) Another.",
        ),
        (str(InputErrors(["One thing."])), "One thing."),
    ],
)  # fmt: skip
def test_flags_verbs_and_addresses_become_what_a_user_sees(text, told):
    assert Wording(SCRIPTS["apply_qc"], SERVER)(text) == told


def test_names_with_dashes_and_paths_stay_as_they_are():
    text = "Plate 'a--crop-sized' of user x--again-st has images."
    assert Wording(SCRIPTS["apply_qc"])(text) == text
