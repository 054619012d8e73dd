"""Our scripts are put on a server, renewed and taken away; what others have there stays."""

from __future__ import annotations

import secrets
from contextlib import closing

import pytest

from omero_hcs.errors import InputErrors, NotAllowedError
from omero_hcs.sandbox import launch
from omero_hcs.scripting import on_server
from omero_hcs.scripting.deploy import install_scripts, left_over, uninstall_scripts
from omero_hcs.scripting.folder import script_files
from omero_hcs.scripting.marks import marked, read_text
from omero_hcs.scripting.on_server import placed_scripts
from omero_hcs.scripting.processors import examine_server
from omero_hcs.tasks.driver import package_version
from tests.scripting.deploying import BreakableProcessor, make_administrator, session_of

OTHERS = """
import omero.scripts as scripts
client = scripts.client("Theirs.py", "somebody else's")
client.closeSession()
"""
# Reading one dialog takes a second of a core: one script stands for all where that will do. The
# other has a list in its dialog, so that the server reads it each time.
RUNS, CHECK = (
    next(file for file in script_files() if file.stem == name)
    for name in ("HCS_Runs", "Check_Plate_Quality")
)
PATH = f"/hcs/{RUNS.name}"
HERE = package_version()


@pytest.fixture(scope="module")
def processor(tmp_path_factory):
    return BreakableProcessor(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def server(processor):
    with launch.start(environment=processor.environment) as box:
        yield box


@pytest.fixture(scope="module")
def everybody(server):
    """Root's session for the whole module: scripts stay between tests unless they are removed."""
    with closing(session_of(server, "root", server.password)) as session:
        yield session


@pytest.fixture(autouse=True)
def _few_scripts(monkeypatch):
    monkeypatch.setattr(on_server, "script_files", lambda: (RUNS,))


@pytest.fixture
def root(everybody, processor):
    yield everybody
    processor.lacks()
    uninstall_scripts(everybody, official=True, remove_edited=True)
    service = scripts_of(everybody)
    for script in service.getScripts():  # those of nobody's, by the tests
        service.deleteScript(script.id.val)


def scripts_of(session):
    return session.client.getSession().getScriptService()


def paths_of(session):
    return sorted(file.path.val + file.name.val for file in scripts_of(session).getScripts())


def put(session, path, text):
    return scripts_of(session).uploadOfficialScript(path, text)


def test_all_scripts_are_installed_once_and_then_left_alone(root, monkeypatch):
    monkeypatch.setattr(on_server, "script_files", script_files)
    done = install_scripts(root, official=True)
    every = [f"/hcs/{file.name}" for file in script_files()]
    assert [item.path for item in done] == every == paths_of(root)
    assert {(item.change, item.library, item.fault) for item in done} == {("new", HERE, "")}
    ids = [item.id for item in placed_scripts(root, official=True)]
    again = install_scripts(root, official=True)
    assert {item.change for item in again} == {"unchanged"}
    assert [item.id for item in placed_scripts(root, official=True)] == ids


def test_another_release_is_replaced_and_keeps_its_id(root):
    older = put(root, PATH, marked(RUNS.read_text(), "0.0.9"))
    (row,) = install_scripts(root, official=True)
    assert (row.change, row.before, row.after, row.fault) == ("replaced", "0.0.9", HERE, "")
    (placed,) = placed_scripts(root, official=True)
    assert (placed.id, placed.state) == (older, "same")


def test_a_script_that_was_copied_by_hand_gets_its_mark(root):
    put(root, PATH, RUNS.read_text())
    assert placed_scripts(root, official=True)[0].state == "other version"
    done = install_scripts(root, official=True)[0]
    assert (done.change, done.before) == ("replaced", "")


def test_what_an_administrator_changed_stays_unless_it_is_asked_for(root):
    body = RUNS.read_text()
    changed = marked(body, HERE).replace('launch("manage_runs")', 'launch("manage_runs")  # ours')
    put(root, PATH, changed)
    kept = install_scripts(root, official=True)[0]
    assert kept.change == "kept"
    assert "--edited" in kept.fault
    assert uninstall_scripts(root, official=True)[0].change == "kept"
    assert paths_of(root) == [PATH]
    assert install_scripts(root, official=True, replace_edited=True)[0].change == "replaced"


def test_a_file_of_somebody_else_is_never_touched(root):
    put(root, "/hcs/Theirs.py", OTHERS)
    put(root, "/lab/HCS_Runs.py", OTHERS)
    install_scripts(root, official=True)
    done = uninstall_scripts(root, official=True)
    assert {item.change for item in done} == {"removed"}
    assert [item.path for item in done] == [PATH]
    assert paths_of(root) == ["/hcs/Theirs.py", "/lab/HCS_Runs.py"]
    put(root, PATH, OTHERS)
    with pytest.raises(InputErrors, match=f"{PATH} on the server is not ours"):
        install_scripts(root, official=True)
    assert len(paths_of(root)) == 3  # nothing was changed


def test_a_script_that_a_release_no_longer_has_is_named_and_goes_with_the_rest(root):
    gone = "/hcs/Gone.py"
    put(root, gone, marked(RUNS.read_text(), "0.0.1"))
    assert left_over(root, official=True) == (gone,)
    install_scripts(root, official=True)
    assert gone in paths_of(root)
    uninstall_scripts(root, official=True)
    assert paths_of(root) == []


def test_who_may_not_is_told_which_privilege_before_anything_changes(root, server):
    writer, name = secrets.token_hex(4), secrets.token_hex(4)
    for user, privileges in ((writer, ("WriteScriptRepo",)), (name, ("Sudo",))):
        make_administrator(root, user, *privileges)
    with closing(session_of(server, name, "correct horse")) as light:
        with pytest.raises(NotAllowedError, match=f"{name} of .* lacks .* WriteScriptRepo"):
            install_scripts(light, official=True)
        assert paths_of(root) == []
    with closing(session_of(server, writer, "correct horse")) as light:
        assert {item.fault for item in install_scripts(light, official=True)} == {""}
        again = install_scripts(light, official=True, again=True)
        assert {item.change for item in again} == {"replaced"}
        with pytest.raises(NotAllowedError, match="DeleteScriptRepo"):
            uninstall_scripts(light, official=True)
    assert paths_of(root) == [PATH]


@pytest.mark.parametrize(
    ("package", "mend"),
    [
        ("omero_hcs", "pip install 'omero-hcs[omero]'; or switch that processor off"),
        ("tomllib", "has to be 3.11 or later"),
        ("pydantic", "has no pydantic"),
    ],
)
def test_a_processor_that_cannot_read_them_is_told_with_the_mend(root, processor, package, mend):
    processor.lacks(package)
    (done,) = install_scripts(root, official=True)
    assert mend in done.fault
    assert paths_of(root) == []  # what a server cannot read it does not offer
    processor.lacks()
    (done,) = install_scripts(root, official=True)
    assert (done.change, done.fault) == ("new", "")


def test_another_release_on_the_processor_is_told(root, monkeypatch):
    monkeypatch.setattr("omero_hcs.scripting.deploy.package_version", lambda: "9.9.9")
    monkeypatch.setattr(on_server, "package_version", lambda: "9.9.9")
    done = install_scripts(root, official=True)[0]
    assert done.library == HERE
    assert f"has omero-hcs {HERE}, and 9.9.9 is installed here" in done.fault


def test_a_script_of_ones_own_waits_for_a_processor_of_ones_own(root, server):
    name = secrets.token_hex(4)
    make_administrator(root, name)
    with closing(session_of(server, name, "correct horse")) as user:
        done = install_scripts(user, official=False)
        assert {(item.change, item.library, item.fault) for item in done} == {("new", "", "")}
        assert {item.change for item in install_scripts(user, official=False)} == {"unchanged"}
        assert paths_of(root) == []
        assert {item.change for item in uninstall_scripts(user, official=False)} == {"removed"}
        assert {item.state for item in placed_scripts(user, official=False)} == {"missing"}


class TestDoctor:
    @pytest.fixture(autouse=True)
    def _with_a_list(self, monkeypatch):
        monkeypatch.setattr(on_server, "script_files", lambda: (CHECK,))

    def found(self, session, times=2):
        return {item.name: item for item in examine_server(session, times=times)}

    def test_a_server_without_our_scripts(self, root):
        said = self.found(root)
        assert said["scripts"].level == "missing"
        assert "scripts install" in said["scripts"].mend
        assert said["processors"].level == "unseen"

    def test_the_processor_that_answers_is_named(self, root):
        import platform  # noqa: PLC0415

        install_scripts(root, official=True)
        said = self.found(root)
        assert said["scripts"].level == said["processor"].level == "ok"
        assert platform.node() in said["processor"].text
        assert f"omero-hcs {HERE}: answered 2 of 2 times" in said["processor"].text
        assert "never met in 2 times" in said["processors"].text

    def test_one_of_two_that_lacks_the_package_is_found(self, root, processor):
        install_scripts(root, official=True)
        processor.lacks("half")
        said = self.found(root, times=4)
        assert said["processor"].level == "broken"
        assert "2 of 4 times nobody could read" in said["processor"].text
        assert "nodedescriptors" in said["processor"].text

    def test_the_servers_own_processor_is_read_from_its_configuration(self, root):
        config = root.client.getSession().getConfigService()
        key = "omero.server.nodedescriptors"
        assert "the server starts one" in self.found(root)["own processor"].text
        config.setConfigValue(key, "master:Blitz-0,Tables-0 gpu:Processor-0")
        assert "node gpu runs scripts" in self.found(root)["own processor"].text
        config.setConfigValue(key, "master:Blitz-0,Processor-0")
        assert "named in" in self.found(root)["own processor"].text
        config.setConfigValue(key, "")


def test_a_text_fits_its_mark_or_was_changed():
    text = marked("from omero_hcs.scripting import launch\nlaunch('x')", "1.2.3")
    read = read_text(text)
    assert (read.version, read.is_ours, read.is_edited) == ("1.2.3", True, False)
    assert not read_text(text.replace("\n", "\r\n")).is_edited
    assert read_text(text.replace("'x'", "'y'")).is_edited
    assert not read_text("print('hello')").is_ours
