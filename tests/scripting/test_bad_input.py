"""What scripts say to what they cannot do: every text in one table, to be read at a glance."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass, replace
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra 'ml' is not installed")
pytest.importorskip("omero.gateway", reason="the extra 'omero' is not installed")

from omero.model import PlateI
from omero.rtypes import rstring
from omero.sys import ParametersI

from omero_hcs.model import Channel
from omero_hcs.sandbox.importer import import_plate
from omero_hcs.sandbox.sources import StoreSource
from omero_hcs.scripting.answers import LONGEST
from omero_hcs.settings import SCRIPT_VARIABLE
from omero_hcs.stores.memory import MemoryStore
from tests.scripting.asking import ask
from tests.tasks.conftest import make_field, make_plate
from tests.tasks.test_train_omero import point

NAME = "<b>bold</b> & 'more'"
PLANES = "Choose_Channels_And_Planes"


@dataclass(frozen=True)
class Case:
    """Who presses which button with what, and the message; {words} are of the `World`."""

    about: str
    who: str
    task: str
    given: dict[str, Any]
    text: str


TABLE = [
    Case(
        "nothing selected", "ada", "crop_cells", {"IDs": []},
        "Nothing is selected. Select a plate, a screen, wells or images in OMERO.web before the "
        "script is opened, or fill in Data_Type and IDs.",
    ),
    Case(
        "no such id", "ada", "crop_cells", {"IDs": [987654]},
        "There is no plate 987654 that you may see. It may be deleted, or in a group that you are "
        "not a member of.",
    ),
    Case(
        "id of another type", "ada", "crop_cells", {"Data_Type": "Dataset", "IDs": ["mine"]},
        "There is no dataset {mine} that you may see. What has that id is plate {mine} 'mine'...",
    ),
    Case(
        "a plate of a group that one is no member of", "bob", "crop_cells", {"IDs": ["other"]},
        "There is no plate {other} that you may see. It may be deleted, or in a group that you are "
        "not a member of.",
    ),
    Case(
        "plates of two groups", "ada", "crop_cells", {"IDs": ["mine", "other"]},
        "What is selected is of 2 groups: plate {mine} 'mine' is in '{group_of_mine}'; plate "
        "{other} 'other' is in '{group_of_other}'. Results are kept in one group. Run this once "
        "for each group, on the objects of that group.",
    ),
    Case(
        "a read-only group", "ada", "crop_cells", {"IDs": ["locked"]},
        "The results of this run could not be kept, so it was not started: You ({ada}) may not "
        "annotate 1 plate, 2 wells and 2 images, such as Plate {locked} 'locked': owned by {rita} "
        "(Test User) in the read-only group '{group_of_locked}'. In a read-only group members only "
        "look at what others own. Ask {rita} (Test User) or an administrator to run this, or ask "
        "an administrator to make the group read-annotate.",
    ),
    Case(
        "a private group, as an administrator", "root", "crop_cells", {"IDs": ["private"]},
        "The results of this run could not be kept, so it was not started: You (root) may not "
        "annotate 1 plate, 2 wells and 2 images, such as Plate {private} 'private': owned by "
        "{rita} (Test User) in the private group '{group_of_private}'. In a private group nobody "
        "may annotate what another user owns, not even a group owner or an administrator. Ask "
        "{rita} (Test User) to run this, or ask an administrator to make the group read-annotate.",
    ),
    Case(
        "a channel that is not there", "ada", "crop_cells",
        {"IDs": ["mine"], PLANES: True, "Channels": "DNA,Tubulin"},
        "Image i000 has no channel 'Tubulin'. It has: 'DNA'. Choose one of these.",
    ),
    Case(
        "a nuclear channel that is not there", "ada", "crop_cells",
        {"IDs": ["mine"], PLANES: True, "Nuclear_Channel": "Hoechst"},
        "There is no channel 'Hoechst' for the nuclei. Channels: 'DNA'. Set Nuclear_Channel (under "
        "Choose_Channels_And_Planes), or Centre_Crops_On (under More_Settings) grid|labels|roi "
        "where there is no nuclear stain.",
    ),
    Case(
        "an acquisition that is not there", "ada", "crop_cells",
        {"IDs": ["mine"], PLANES: True, "Acquisition": "Monday"},
        "mine has no acquisition 'Monday'. It has: none. Name one of them, or none.",
    ),
    Case(
        "a plane that is not there", "ada", "crop_cells", {"IDs": ["mine"], PLANES: True, "Z": "7"},
        "A01 field 1 has 1 z plane(s); plane 7 is not there (the first is 1).",
    ),
    Case(
        "plane 0", "ada", "crop_cells", {"IDs": ["mine"], PLANES: True, "Z": "0", "T": "soon"},
        "2 problems were found: (1) Z counts from 1; 0 is not there. (2) T 'soon' must be a number "
        "or all.",
    ),
    Case(
        "a plate without wells", "ada", "crop_cells", {"IDs": ["empty"]},
        "empty has no images, so there is nothing to look at. Check that its import came to its "
        "end.",
    ),
    Case(
        "a name with HTML", "ada", "crop_cells",
        {"IDs": ["html"], PLANES: True, "Acquisition": "<i>x</i>"},
        "<b>bold</b> & 'more' has no acquisition '<i>x</i>'. It has: none. Name one of them, or "
        "none.",
    ),
    Case(
        "no model yet", "ada", "apply_qc",
        {"IDs": ["mine"], "Model": "no model yet - run Train_Quality_Model"},
        "There is no quality model yet. Label some good and some bad cells (draw regions or set "
        "tags), then run Train_Quality_Model: its model is in this list the next time.",
    ),
    Case(
        "the path of a file", "ada", "apply_qc", {"IDs": ["mine"], "Model": "../../etc/passwd"},
        "There is no quality model '../../etc/passwd'. Open the dialog again and choose one of its "
        "list; Train_Quality_Model makes one.",
    ),
    Case(
        "a model that is not there", "ada", "apply_qc", {"IDs": ["mine"], "Model": "omero:987654"},
        "OMERO has no model '987654' that {ada} can read. Models there: {model} (shapes).",
    ),
    Case(
        "a model that only others may read", "bob", "apply_qc",
        {"IDs": ["bobs"], "Model": "omero:{model}"},
        "OMERO has no model '{model}' that {bob} can read. Models there: none.",
    ),
    Case(
        "a model for other channels", "ada", "apply_qc",
        {"IDs": ["green"], "Model": "omero:{model} shapes (2026-11-21, ada)"},
        "Model shapes judges 1 channels: DNA. green has GFP: no DNA. Set Channels (under "
        "Choose_Channels_And_Planes) with the plate's channels in the model's order, or train a "
        "model for it.",
    ),
    Case(
        "nothing labelled", "ada", "train_qc", {"IDs": ["green"], "Labels": "roi"},
        "There are no labels on the 2 images of plate green ({green}): looked for a drawn region "
        "with a text. Draw regions or points on cells in the image viewer (OMERO.iviewer), type "
        "the class into their Comment, and save.",
    ),
    Case(
        "labels in a file of the server", "ada", "train_qc",
        {"IDs": ["mine"], "Labels": "/etc/passwd"},
        "Labels '/etc/passwd' must be one of: roi, tags, roi,tags, ratings, comments, key-values, "
        "datasets.",
    ),
]  # fmt: skip


@dataclass(frozen=True)
class World:
    """Who there is, and what: connections, and what the texts of the table name."""

    conns: dict[str, Any]
    words: dict[str, str]
    trained: str

    def filled(self, given: Any) -> Any:
        if isinstance(given, dict):
            return {name: self.filled(value) for name, value in given.items()}
        if isinstance(given, list):
            return [int(self.words.get(str(value), value)) for value in given]
        if isinstance(given, str):
            return re.sub(r"\{(\w+)\}", lambda match: self.words.get(match[1], match[0]), given)
        return given


def tiny(name, *, fields=2, channel="DNA"):
    """Fields of three nuclei each."""
    plate = make_plate(fields)
    wells = tuple(
        replace(
            well,
            fields=tuple(
                replace(item, image=replace(item.image, channels=(Channel(0, channel),)))
                for item in well.fields
            ),
        )
        for well in plate.wells
    )
    plate = replace(plate, name=name, wells=wells)
    pixels = {site.image.id: make_field(number) for number, site in enumerate(plate.sites())}
    return StoreSource(MemoryStore.create(f"bad input {name}", plate, pixels))


def draw(conn, plate):
    """Label the nuclei of a plate as OMERO.iviewer does, as many good ones as bad ones."""
    hql = "select ws.image.id from WellSample ws where ws.well.plate.id = :id"
    given = ParametersI().addId(plate)
    for (image,) in conn.getQueryService().projection(hql, given, {"omero.group": "-1"}):
        for number, at in enumerate([(16, 16), (48, 48), (80, 80)]):
            point(conn, image.val, at, ("normal", "abnormal")[(number + image.val) % 2])


@pytest.fixture(scope="module")
def in_script(tmp_path_factory):
    """Be a script, with a ledger and models of this module's own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("OMERO_HCS_"):
                patch.delenv(name)
        patch.setenv(SCRIPT_VARIABLE, "1")
        home = tmp_path_factory.mktemp("home")
        for name in ("HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
            patch.setenv(name, str(home / name))
        yield


@pytest.fixture(scope="module")
def world(script_people, in_script):
    """Ada and Bob share a group; Rita's groups are read-only, with Ada, and private."""
    people = script_people
    groups = {
        name: people.make_group(level)
        for name, level in {
            "mine": "read-annotate", "other": "read-annotate", "bobs": "read-annotate",
            "locked": "read-only", "private": "private",
        }.items()
    }  # fmt: skip
    ada = people.make_user(groups["mine"], groups["other"], groups["locked"])
    bob = people.make_user(groups["bobs"])
    rita = people.make_user(groups["locked"], groups["private"])
    with contextlib.ExitStack() as stack:
        conns = {name: stack.enter_context(contextlib.closing(conn)) for name, conn in {
            "ada": people.connect(ada), "bob": people.connect(bob), "rita": people.connect(rita),
            "root": people.connect_admin(),
        }.items()}  # fmt: skip

        def put(owner, name, source, group):
            with contextlib.closing(people.connect(owner, groups[group])) as conn:
                return str(import_plate(conn, source, screen=f"Screen {name}").plate)

        words = {"ada": ada.name, "bob": bob.name, "rita": rita.name}
        for owner, name, source, group in (
            (ada, "other", tiny("other"), "other"),
            (rita, "private", tiny("private"), "private"),
            (rita, "locked", tiny("locked"), "locked"),
            (bob, "bobs", tiny("bobs"), "bobs"),
            (ada, "mine", tiny("mine", fields=4), "mine"),
            (ada, "green", tiny("green", channel="GFP"), "mine"),
            (ada, "html", tiny(NAME), "mine"),
        ):
            words[name] = put(owner, name, source, group)
        bare = PlateI()
        bare.name = rstring("empty")
        words["empty"] = str(conns["ada"].getUpdateService().saveAndReturnObject(bare).id.val)
        words |= {f"group_of_{name}": group.name for name, group in groups.items()}
        draw(conns["ada"], int(words["mine"]))
        trained = ask(
            conns["ada"], "train_qc", Data_Type="Plate", IDs=[int(words["mine"])], Labels="roi",
            Model_Name="shapes", More_Settings=True, Head="knn",
        )  # fmt: skip
        assert not trained.failed, trained.message
        yield World(conns, {**words, "model": str(trained.outputs["Model"].id)}, trained.message)


@pytest.mark.parametrize("case", TABLE, ids=[case.about for case in TABLE])
def test_bad_input_is_told_with_the_object_and_the_mend(world, case):
    given = {"Data_Type": "Plate", **world.filled(case.given)}
    answer = ask(world.conns[case.who], case.task, **given)
    text = world.filled(case.text)
    assert answer.failed
    if text.endswith("..."):  # other objects of the server have that id, too
        assert answer.message.startswith(text[:-3])
    else:
        assert answer.message == text
    assert len(answer.message) <= LONGEST
