"""The list of quality models: what is there, newest first, and nothing that one may not see."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("omero.gateway", reason="the extra 'omero' is not installed")

import ezomero
from omero.rtypes import unwrap

from omero_hcs.errors import InputError, ModelNotFoundError
from omero_hcs.scripting.models import NONE_YET, choices, chosen, printable
from omero_hcs.settings import SCRIPT_VARIABLE, Settings, load_settings
from omero_hcs.stores.omero.record import MODEL_NAMESPACE
from omero_hcs.tasks.models import find_model


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Names of models that were installed; the settings are a script's."""
    monkeypatch.setenv(SCRIPT_VARIABLE, "1")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    def put(*names):
        folder = load_settings().values.models_dir
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            (folder / f"{name}.safetensors").touch()

    return put


@pytest.fixture
def attach(tmp_path):
    """Attach a model to a new dataset, as a training does; the value is its id."""

    def make(conn, name):
        dataset = ezomero.post_dataset(conn, "trained on")
        file = tmp_path / f"{name}.safetensors"
        file.write_text(name)
        return ezomero.post_file_annotation(conn, str(file), MODEL_NAMESPACE, "Dataset", dataset)

    return make


def test_without_any_model_the_list_says_how_to_make_one(installed):
    assert choices(None) == [NONE_YET]
    with pytest.raises(ModelNotFoundError, match="run Train_Quality_Model"):
        chosen(NONE_YET)


def test_models_of_the_server_come_first_newest_first(
    installed, attach, script_user, script_connect
):
    conn = script_connect(script_user)
    installed("b", "a")
    ids = [attach(conn, name) for name in ("old", "new")]
    found = choices(conn.c)
    assert [value.split()[:2] for value in found] == [
        [f"omero:{ids[1]}", "new"], [f"omero:{ids[0]}", "old"], ["a", "(installed)"],
        ["b", "(installed)"],
    ]  # fmt: skip
    assert re.fullmatch(rf"omero:\d+ new \(\d{{4}}-\d\d-\d\d, {script_user.name}\)", found[0])
    assert [chosen(value) for value in found] == [f"omero:{ids[1]}", f"omero:{ids[0]}", "a", "b"]


def test_nobody_is_shown_a_model_of_a_group_that_he_is_not_in(
    installed, attach, script_people, script_connect, script_user
):
    conn = script_connect(script_user)
    attach(conn, "theirs")
    other = script_connect(script_people.make_user(script_people.make_group("read-annotate")))
    assert choices(other.c) == [NONE_YET]
    admin = script_people.connect_admin()
    try:
        # Some servers read the parameters of everybody's scripts as root, who may read everything.
        assert not [value for value in choices(admin.c) if "theirs" in value]
    finally:
        admin.close()


def test_a_member_is_shown_what_another_member_attached(
    installed, attach, script_people, script_connect
):
    shared = script_people.make_group("read-annotate")
    alone = script_people.make_group("private")
    ada, bob = (script_people.make_user(shared, alone) for _ in range(2))
    attach(script_connect(ada), "shared")
    attach(script_connect(ada, alone), "alone")
    names = [value.split()[1] for value in choices(script_connect(bob).c)]
    assert names == ["shared"]


def test_the_dialog_on_the_server_has_the_list(attach, script_user, script_connect):
    conn = script_connect(script_user)
    number = attach(conn, "listed")
    service = conn.getScriptService()
    params = service.getParams(service.getScriptID("/hcs/Check_Plate_Quality.py"))
    assert unwrap(params.inputs["Model"].values)[0].startswith(f"omero:{number} listed (")


@pytest.mark.parametrize(
    "value",
    [
        "../../x", "/etc/passwd", "model.safetensors", "config", "x", "", "omero:", "omero:5x",
        "omero:5/../6", "omero:\N{ARABIC-INDIC DIGIT FIVE}", "omero://host/plate/5", "a\0b",
    ],
)  # fmt: skip
def test_nothing_but_a_model_is_taken(value, installed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("model.safetensors", "config", "x"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="There is no quality model"):
        chosen(value)


@pytest.mark.parametrize("value", ["config", "./config", "sub/config"])
def test_a_script_finds_no_model_in_a_file_that_was_not_installed(
    value, installed, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for name in ("config", "sub/config"):
        (tmp_path / name).touch()
    settings = Settings(models_dir=tmp_path / "models")
    with pytest.raises(ModelNotFoundError):
        find_model(value, settings)
    monkeypatch.delenv(SCRIPT_VARIABLE)
    assert find_model(value, settings).name == "config"  # as on the command line


def test_names_are_shown_on_one_line():
    assert printable("a\nb\u202ec\x1b[1m", 60) == "abc[1m"
    assert printable("x" * 100, 10) == "xxxxxxx..."
