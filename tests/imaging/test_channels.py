from __future__ import annotations

import subprocess
import sys

import pytest

from omero_hcs.errors import ChannelNotFoundError
from omero_hcs.imaging.channels import is_brightfield, nuclear_channel, number_names


def test_empty_and_repeated_names_are_numbered() -> None:
    assert number_names(["DAPI", "", "DAPI", " "]) == ("DAPI", "channel 2", "DAPI 2", "channel 4")


def test_numbering_never_takes_a_name_that_is_there() -> None:
    names = number_names(["DAPI", "dapi", "DAPI 2", "", "channel 4"])
    assert len({name.lower() for name in names}) == 5
    assert names[2] == "DAPI 2"
    assert names[4] == "channel 4"


@pytest.mark.parametrize(
    ("names", "index"),
    [
        (["GFP", "DNA"], 1),
        (["FITC", "Hoechst 33342"], 1),
        (["actin", "NucBlue_DAPI"], 1),
        (["tubulin", "H2B-mCherry"], 1),
        (["GFP", "DRAQ5"], 1),
        (["GFP", "PI"], 1),
        (["AGP", "Ex405_Em460"], 1),
        (["Brightfield", "nuclei"], 1),
        (["w1", "w2", "w3"], 0),
    ],
)
def test_nuclear_stain_is_found_by_name(names: list[str], index: int) -> None:
    choice = nuclear_channel(names)
    assert (choice.index, choice.name) == (index, names[index])
    assert names[index] in choice.why


def test_only_fluorescence_channel_is_taken_and_said() -> None:
    choice = nuclear_channel(["Brightfield", "488"])
    assert choice.index == 1
    assert "only fluorescence channel" in choice.why


def test_w1_is_a_last_resort_that_asks_to_look() -> None:
    assert "--nuclei" in nuclear_channel(["w1", "w2"]).why
    assert nuclear_channel(["w1", "w2", "DNA"]).index == 2


def test_second_candidate_is_told() -> None:
    assert "'DAPI'" in nuclear_channel(["Hoechst", "GFP", "DAPI"]).why


@pytest.mark.parametrize("wanted", ["gfp", "1", "w1", "ch1"])
def test_what_the_user_names_wins(wanted: str) -> None:
    assert nuclear_channel(["GFP", "DNA"], wanted).index == 0


@pytest.mark.parametrize("names", [["GFP", "RFP"], ["Brightfield"], ["Brightfield", "Phase"], []])
def test_nothing_found_is_an_error_that_lists_and_mends(names: list[str]) -> None:
    with pytest.raises(ChannelNotFoundError, match=r"--centres grid\|labels\|roi") as caught:
        nuclear_channel(names)
    assert all(name in str(caught.value) for name in names)
    assert nuclear_channel(names, required=False) is None


def test_wanted_that_is_not_there_lists_the_names() -> None:
    with pytest.raises(ChannelNotFoundError, match="'GFP', 'DNA'"):
        nuclear_channel(["GFP", "DNA"], "DAPI", required=False)


@pytest.mark.parametrize(
    "name", ["Brightfield", "bright field", "BF", "DIC", "Phase-contrast", "TL 20x", "transmitted"]
)
def test_transmitted_light_is_known(name: str) -> None:
    assert is_brightfield(name)
    assert not is_brightfield("DAPI")


def test_channels_import_with_the_base_dependencies() -> None:
    code = (
        "import sys, omero_hcs.imaging.channels;"
        "bad = {'scipy', 'skimage', 'torch', 'zarr', 'pandas'} & set(sys.modules);"
        "sys.exit(f'{bad} were loaded' if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
