"""Scripts: official ones of a folder, their parameters, and runs through OMERO's own processor."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import omero
import omero.processor
import omero.scripts
import psutil
import pytest
from omero.rtypes import rbool, rint, rlist, rlong, rmap, rstring, unwrap

from omero_hcs.errors import SandboxError
from omero_hcs.sandbox import launch
from omero_hcs.sandbox.address import Address
from omero_hcs.sandbox.people import People
from omero_hcs.sandbox.scripts.watched import WatchedProcess

HUNG_SECONDS = 60.0
EVERYTHING = """
import omero.scripts as scripts
from omero.rtypes import rlong, rstring, robject

client = scripts.client(
    "Everything.py", "Takes one of each.",
    scripts.String("Data_Type", optional=False, grouping="1", default="Image",
                   values=[rstring("Image"), rstring("Well")], description="what to look at"),
    scripts.List("IDs", optional=False, grouping="2").ofType(rlong(0)),
    scripts.Int("Count", grouping="3", min=1, max=5, default=2),
    scripts.Float("Ratio", grouping="4", min=0.0, max=1.0),
    scripts.Bool("Deep", grouping="5", default=False),
    scripts.Map("Words", grouping="6"),
    scripts.Set("Names", grouping="7"),
    scripts.String("Message").out(),
    version="1.2.3", authors=["A. Author", "B. Author"], institutions=["An institute"],
    contact="a@b.example",
)
try:
    inputs = client.getInputs(unwrap=True)
    print(sorted(inputs.items()))
    client.setOutput("Message", rstring("seen: %s" % inputs["IDs"]))
    client.setOutput("Sum", rlong(sum(inputs["IDs"])))
finally:
    client.closeSession()
"""
FAILS = """
import sys
import omero.scripts as scripts
client = scripts.client("Fails.py", "Fails.")
print("half of it")
sys.stderr.write("no cells found\\n")
client.closeSession()
sys.exit(3)
"""
ENDLESS = """
import os, subprocess, sys, time
import omero.scripts as scripts
client = scripts.client("Endless.py", "Never ends.", scripts.String("File", optional=False))
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
name = client.getInput("File", unwrap=True)
with open(name + ".new", "w") as file:
    file.write("%d %d" % (os.getpid(), child.pid))
os.rename(name + ".new", name)
time.sleep(3600)
"""
SAVES = """
import omero
import omero.scripts as scripts
from omero.gateway import BlitzGateway
from omero.rtypes import robject, rstring
client = scripts.client("Saves.py", "Saves a dataset.")
try:
    conn = BlitzGateway(client_obj=client)
    dataset = omero.model.DatasetI()
    dataset.name = rstring("made by a script")
    dataset = conn.getUpdateService().saveAndReturnObject(dataset, conn.SERVICE_OPTS)
    client.setOutput("Dataset", robject(dataset))
finally:
    client.closeSession()
"""
DYNAMIC = """
import time
import omero.scripts as scripts
from omero.constants.namespaces import NSDYNAMIC
from omero.rtypes import rstring
client = scripts.client("Dynamic.py", "Lists what there is now.",
    scripts.String("When", values=[rstring(str(time.time_ns()))]), namespaces=[NSDYNAMIC])
client.closeSession()
"""
ASKER = """
import omero
import omero.scripts as scripts
from omero.constants.namespaces import NSDYNAMIC
from omero.rtypes import rstring
client = omero.client()
context = client.createSession().getAdminService().getEventContext()
client.closeSession()
client = scripts.client("Asker.py", "Lists what its user sees.",
    scripts.String("User", values=[rstring(context.userName)]),
    scripts.String("Group", values=[rstring(context.groupName)]), namespaces=[NSDYNAMIC])
client.setOutput("Message", rstring(context.userName))
client.closeSession()
"""
SCRIPTS = {
    "hcs/Everything.py": EVERYTHING,
    "hcs/deep/Fails.py": FAILS,
    "hcs/Endless.py": ENDLESS,
    "hcs/Saves.py": SAVES,
    "hcs/Asker.py": ASKER,
    "hcs/Dynamic.py": DYNAMIC,
    "Broken.py": "this is no Python (",
    "hcs/empty.py": "",
    "hcs/.hidden.py": EVERYTHING,
    "hcs/notes.txt": "no script",
}


def fill(folder):
    for path, text in SCRIPTS.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def wait_until(condition):
    """Poll; the deadline guards against a hang only."""
    deadline = time.monotonic() + HUNG_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "this never came to be"
        time.sleep(0.02)


def is_gone(pid):
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """A server with our scripts."""
    with launch.start(scripts=fill(tmp_path_factory.mktemp("scripts"))) as started:
        yield started


@pytest.fixture(scope="module")
def people(box):
    address = Address(box.host, box.port, box.user, box.password, is_sandbox=True)
    with People(address) as made:
        yield made


@pytest.fixture(scope="module")
def user(people):
    return people.make_user(people.make_group("read-annotate"))


@pytest.fixture
def conn(people, user):
    with contextlib.closing(people.connect(user)) as connected:
        yield connected


@pytest.fixture
def root(people):
    with contextlib.closing(people.connect_admin()) as connected:
        yield connected


def service(conn):
    return conn.c.sf.getScriptService()


def listed(conn):
    return [f"{one.path.val}{one.name.val}" for one in service(conn).getScripts()]


def start(conn, path, **inputs):
    scripts = service(conn)
    return scripts.runScript(scripts.getScriptID(path), inputs, None)


def finish(conn, process):
    """Wait as OMERO.web does, and return exit code and results."""
    callback = omero.scripts.ProcessCallbackI(conn.c, process)
    try:
        wait_until(lambda: callback.block(100) is not None)
    finally:
        callback.close()
    return process.poll().val, process.getResults(0)


def text_of(conn, file):
    store = conn.c.sf.createRawFileStore()
    try:
        store.setFileId(file.val.id.val)
        return store.read(0, store.size()).decode()
    finally:
        store.close()


def endless(conn, folder):
    """Start the script that never ends: its process, and the ids of it and of its child."""
    file = folder / "pids"
    process = start(conn, "/hcs/Endless.py", File=rstring(str(file)))
    wait_until(file.exists)
    return process, [int(pid) for pid in file.read_text().split()]


# -- which there are


def test_the_scripts_of_a_folder_are_official_with_their_folder_as_path(conn):
    assert listed(conn) == [
        "/Broken.py",
        "/hcs/Asker.py",
        "/hcs/Dynamic.py",
        "/hcs/Endless.py",
        "/hcs/Everything.py",
        "/hcs/Saves.py",
        "/hcs/deep/Fails.py",
    ]
    (script, *_) = service(conn).getScripts()
    assert script.mimetype.val == "text/x-python"
    assert (script.details.owner.id.val, script.details.group.id.val) == (0, 1)
    assert service(conn).getScriptsByMimetype("text/x-jython") == []


def test_a_script_is_found_by_its_path_and_read_by_its_id(conn):
    scripts = service(conn)
    found = scripts.getScriptID("/hcs/Everything.py")
    assert scripts.getScriptID("hcs/Everything.py") == found > 0
    assert scripts.getScriptID("/hcs/None.py") == -1
    assert scripts.getScriptText(found) == EVERYTHING
    ((text, file),) = scripts.getScriptWithDetails(found).items()
    assert (text, file.val.id.val) == (EVERYTHING, found)
    assert scripts.getScriptText(10**6) == ""
    assert scripts.canRunScript(found)


def test_a_changed_file_is_a_new_script_and_a_removed_one_is_none(tmp_path):
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "One.py").write_text(EVERYTHING)
    with launch.start(scripts=folder) as box:
        address = Address(box.host, box.port, box.user, box.password, is_sandbox=True)
        with People(address) as people, contextlib.closing(people.connect_admin()) as conn:
            assert listed(conn) == ["/One.py"]
            old = service(conn).getScriptID("/One.py")
            (folder / "One.py").write_text(FAILS)
            (folder / "Two.py").write_text(EVERYTHING)
            assert listed(conn) == ["/One.py", "/Two.py"]
            new = service(conn).getScriptID("/One.py")
            assert new != old
            assert service(conn).getScriptText(old) == EVERYTHING
            (folder / "One.py").unlink()
            assert listed(conn) == ["/Two.py"]


# -- parameters


def test_parameters_tell_types_limits_values_and_order(conn):
    params = service(conn).getParams(service(conn).getScriptID("/hcs/Everything.py"))
    assert (params.name, params.description) == ("Everything.py", "Takes one of each.")
    assert (params.version, params.authors) == ("1.2.3", ["A. Author", "B. Author"])
    assert list(params.outputs) == ["Message"]
    inputs = params.inputs
    assert sorted(inputs, key=lambda name: inputs[name].grouping) == [
        "Data_Type", "IDs", "Count", "Ratio", "Deep", "Words", "Names",
    ]  # fmt: skip
    assert unwrap(inputs["Data_Type"].values) == ["Image", "Well"]
    assert (inputs["Data_Type"].optional, inputs["Data_Type"].useDefault) == (False, True)
    assert (inputs["Count"].min.val, inputs["Count"].max.val) == (1, 5)
    assert inputs["Count"].prototype.val == 2
    assert isinstance(inputs["IDs"].prototype.val[0], omero.RLong)
    assert isinstance(inputs["Words"].prototype, omero.RMap)
    assert isinstance(inputs["Deep"].prototype, omero.RBool)


def test_parameters_of_a_script_that_lists_what_there_is_are_read_anew(conn):
    scripts = service(conn)
    script = scripts.getScriptID("/hcs/Dynamic.py")
    first, second = (unwrap(scripts.getParams(script).inputs["When"].values) for _ in range(2))
    assert first != second


def test_an_official_script_lists_what_whoever_opens_its_dialog_sees(conn, people, user):
    others = people.make_user(people.make_group("private"))
    with contextlib.closing(people.connect(others)) as other:
        for asker, one in ((conn, user), (other, others)):
            scripts = service(asker)
            inputs = scripts.getParams(scripts.getScriptID("/hcs/Asker.py")).inputs
            assert unwrap(inputs["User"].values) == [one.name]
            assert unwrap(inputs["Group"].values) == [one.groups[0].name]
    # And its inputs are checked against that list: nobody chooses what only others are shown.
    with pytest.raises(omero.ValidationException, match="User"):
        start(conn, "/hcs/Asker.py", User=rstring(others.name))
    _, results = finish(conn, start(conn, "/hcs/Asker.py", User=rstring(user.name)))
    assert results["Message"].val == user.name


def test_a_script_that_is_no_python_says_why_and_stays_listed(conn):
    scripts = service(conn)
    script = scripts.getScriptID("/Broken.py")
    with pytest.raises(omero.ValidationException) as caught:
        scripts.getParams(script)
    assert f"Can't find params for {script}!" in caught.value.message
    assert "SyntaxError" in caught.value.message
    assert "/Broken.py" in listed(conn)


# -- running


def test_inputs_reach_a_script_and_its_outputs_come_back(conn):
    process = start(
        conn,
        "/hcs/Everything.py",
        IDs=rlist([rlong(3), rlong(4)]),
        Words=rmap({"a": rint(1)}),
        Deep=rbool(True),
    )
    assert str(process).startswith("ProcessCallback")  # how OMERO.web knows a script
    job = process.getJob()
    code, results = finish(conn, process)
    assert (code, results["Message"].val, results["Sum"].val) == (0, "seen: [3, 4]", 7)
    assert text_of(conn, results["stdout"]) == (
        "[('Count', 2), ('Data_Type', 'Image'), ('Deep', True), ('IDs', [3, 4]), "
        "('Words', {'a': 1})]\n"
    )
    assert "stderr" not in results
    assert not results["stdout"].val.isLoaded()
    with pytest.raises(omero.ApiUsageException):  # results are read once
        process.getResults(0)
    assert process.getJob().status.value.val == "Finished"
    assert (job.username.val, job.type.val) == (conn.getUser().getName(), "User")
    query = "select f.name from Job j join j.originalFileLinks l join l.child f where j.id = :id"
    params = omero.sys.ParametersI().addId(job.id.val)
    names = conn.getQueryService().projection(query, params, {"omero.group": "-1"})
    assert sorted(unwrap(names)) == [["Everything.py"], ["stdout"]]
    process.close(False)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({}, "Missing input"),
        ({"IDs": rlist([rlong(1)]), "Count": rint(9)}, "above max"),
        ({"IDs": rlist([rlong(1)]), "Data_Type": rstring("Cell")}, "not in"),
        ({"IDs": rstring("one")}, "IDs"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_and_named(conn, inputs, reason):
    with pytest.raises(omero.ValidationException) as caught:
        start(conn, "/hcs/Everything.py", **inputs)
    assert "Invalid parameters" in caught.value.message
    assert reason.lower() in caught.value.message.lower()


def test_a_script_that_fails_keeps_what_it_printed(conn):
    process = start(conn, "/hcs/deep/Fails.py")
    code, results = finish(conn, process)
    assert code == 3
    assert text_of(conn, results["stdout"]) == "half of it\n"
    assert text_of(conn, results["stderr"]) == "no cells found\n"
    assert process.getJob().status.value.val == "Error"
    process.close(False)


def test_a_script_acts_as_its_user_in_his_group(people, user, conn):
    process = start(conn, "/hcs/Saves.py")
    _, results = finish(conn, process)
    dataset = conn.getObject("Dataset", results["Dataset"].val.id.val)
    assert dataset.getName() == "made by a script"
    assert dataset.getDetails().getOwner().getId() == user.id
    assert dataset.getDetails().getGroup().getId() == user.groups[0].id
    assert results["Dataset"].val.name.val == "made by a script"
    process.close(False)


def test_an_interactive_processor_runs_a_job(conn):
    script = service(conn).getScriptID("/hcs/Everything.py")
    job = omero.model.ScriptJobI()
    job.linkOriginalFile(omero.model.OriginalFileI(script, False))
    processor = conn.c.sf.sharedResources().acquireProcessor(job, 5)
    assert "IDs" in processor.params().inputs
    process = processor.execute(rmap({"IDs": rlist([rlong(1)])}))
    assert process.wait() == 0
    assert processor.getResults(process).val["Sum"].val == 1
    assert processor.expires() > time.time() * 1000
    processor.stop()


# -- ending early


def test_a_script_is_cancelled(conn, tmp_path):
    process, (script, child) = endless(conn, tmp_path)
    assert process.poll() is None
    with pytest.raises(omero.ApiUsageException):
        process.getResults(0)
    process.cancel()
    wait_until(lambda: process.poll() is not None)
    assert process.poll().val == -signal.SIGTERM
    assert is_gone(script)
    assert process.getJob().status.value.val == "Cancelled"
    os.kill(child, signal.SIGKILL)  # a polite end is for the script to pass on
    process.close(False)


@pytest.mark.slow
def test_a_script_outlives_the_checks_of_the_processor(conn, tmp_path):
    """It looks after its scripts every minute: that must not end one."""
    process, (script, child) = endless(conn, tmp_path)
    time.sleep(65)
    assert process.poll() is None
    assert not is_gone(script)
    process.kill()
    wait_until(lambda: is_gone(script) and is_gone(child))
    process.close(False)


def test_a_script_is_killed_with_what_it_started(conn, tmp_path):
    process, pids = endless(conn, tmp_path)
    process.kill()
    wait_until(lambda: process.poll() is not None)
    wait_until(lambda: all(map(is_gone, pids)))
    process.close(False)


def test_a_script_ends_when_its_user_logs_out(people, user, tmp_path):
    conn = people.connect(user)
    _, (script, child) = endless(conn, tmp_path)
    conn.close()
    wait_until(lambda: is_gone(script))
    os.kill(child, signal.SIGKILL)


def test_a_script_that_was_let_go_outlives_its_user(people, user, tmp_path):
    conn = people.connect(user)
    process, pids = endless(conn, tmp_path)
    process.close(True)
    conn.close()
    assert not any(map(is_gone, pids))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def test_a_server_that_stops_ends_its_scripts_and_what_they_started(tmp_path):
    with launch.start(scripts=fill(tmp_path / "scripts")) as box:
        address = Address(box.host, box.port, box.user, box.password, is_sandbox=True)
        with People(address) as people, contextlib.closing(people.connect_admin()) as conn:
            _, pids = endless(conn, tmp_path)
            box.stop()
    assert all(map(is_gone, pids))


def test_a_server_that_is_killed_takes_its_scripts_along(tmp_path):
    box = launch.start(scripts=fill(tmp_path / "scripts"))
    address = Address(box.host, box.port, box.user, box.password, is_sandbox=True)
    with People(address) as people, contextlib.closing(people.connect_admin()) as conn:
        _, pids = endless(conn, tmp_path)
        os.kill(box.pid, signal.SIGKILL)
        wait_until(lambda: all(map(is_gone, pids)))
    with pytest.raises(SandboxError, match="exit -9"):
        box.stop()


# -- scripts of users, and changing scripts


@pytest.fixture
def uploaded(conn):
    script = service(conn).uploadScript("/mine/Mine.py", EVERYTHING)
    yield script
    service(conn).deleteScript(script)


def test_a_users_script_is_his_and_waits_for_a_processor_of_his_own(conn, user, uploaded):
    scripts = service(conn)
    (found,) = scripts.getUserScripts([])
    assert (found.id.val, found.path.val, found.name.val) == (uploaded, "/mine/", "Mine.py")
    (found,) = scripts.getUserScripts([omero.model.ExperimenterI(user.id, False)])
    assert found.details.owner.id.val == user.id
    assert "/mine/Mine.py" not in listed(conn)
    assert not scripts.canRunScript(uploaded)
    with pytest.raises(omero.NoProcessorAvailable) as caught:
        scripts.runScript(uploaded, {"IDs": rlist([rlong(1)])}, rint(1))
    assert caught.value.message == "No processor available! [1 response(s)]"


def test_a_users_own_processor_runs_his_script(people, conn, user, uploaded, tmp_path):
    home = tmp_path / "home"
    (home / "lib" / "server").mkdir(parents=True)
    with contextlib.closing(people.connect(user)) as server:
        processor = omero.processor.usermode_processor(
            server.c,
            cfg=os.devnull,
            accepts_list=[omero.model.ExperimenterI(user.id, False)],
            omero_home=omero.processor.path(str(home)),
        )
        try:
            assert service(conn).canRunScript(uploaded)
            process = service(conn).runScript(uploaded, {"IDs": rlist([rlong(5)])}, None)
            code, results = finish(conn, process)
            assert (code, results["Sum"].val) == (0, 5)
            process.close(False)
        finally:
            processor.cleanup()


SERVES = """
import os, sys, time
import omero, omero.all, omero.processor
host, port, name, user, home = sys.argv[1:]
client = omero.client(host, int(port))
client.createSession(name, sys.stdin.readline().strip())
processor = omero.processor.usermode_processor(
    client, cfg=os.devnull, accepts_list=[omero.model.ExperimenterI(int(user), False)],
    omero_home=omero.processor.path(home))
print("serves", flush=True)
time.sleep(3600)
"""


def test_a_processor_that_was_killed_is_asked_no_longer(box, conn, user, uploaded, tmp_path):
    (tmp_path / "lib" / "server").mkdir(parents=True)
    arguments = (box.host, box.port, user.name, user.id, tmp_path)
    command = [sys.executable, "-W", "ignore", "-c", SERVES, *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdin.write(user.password + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "serves\n"
        assert service(conn).canRunScript(uploaded)
        process.kill()
    wait_until(lambda: not service(conn).canRunScript(uploaded))
    running = start(conn, "/hcs/Saves.py")
    assert finish(conn, running)[0] == 0
    running.close(False)


def test_several_scripts_run_at_once(conn):
    running = [start(conn, "/hcs/Everything.py", IDs=rlist([rlong(number)])) for number in range(4)]
    sums = [finish(conn, process)[1]["Sum"].val for process in running]
    assert sums == [0, 1, 2, 3]
    for process in running:
        process.close(False)


def test_an_administrator_uploads_edits_and_deletes_an_official_script(root, conn):
    scripts = service(root)
    script = scripts.uploadOfficialScript("/lab/New.py", EVERYTHING)
    assert "/lab/New.py" in listed(conn)
    with pytest.raises(omero.ApiUsageException) as caught:
        scripts.uploadOfficialScript("/lab/New.py", EVERYTHING)
    assert "editScript" in caught.value.message
    changed = EVERYTHING.replace("1.2.3", "2.0.0")
    scripts.editScript(omero.model.OriginalFileI(script, False), changed)
    assert service(conn).getScriptText(script) == changed
    assert service(conn).getParams(script).version == "2.0.0"
    scripts.deleteScript(script)
    assert "/lab/New.py" not in listed(conn)
    with pytest.raises(omero.ApiUsageException):
        scripts.deleteScript(script)


def test_others_change_no_official_script(conn):
    scripts = service(conn)
    with pytest.raises(omero.SecurityViolation):
        scripts.uploadOfficialScript("/lab/Other.py", EVERYTHING)
    script = scripts.getScriptID("/hcs/Everything.py")
    with pytest.raises(omero.SecurityViolation):
        scripts.editScript(omero.model.OriginalFileI(script, False), FAILS)
    with pytest.raises(omero.SecurityViolation):
        scripts.deleteScript(script)


def test_an_official_script_that_can_not_be_parsed_is_not_taken(root):
    with pytest.raises(omero.ValidationException):
        service(root).uploadOfficialScript("/lab/Bad.py", "import no_such_module")
    assert "/lab/Bad.py" not in listed(root)
    script = service(root).uploadOfficialScript("/lab/Bad.py", EVERYTHING)
    assert "/lab/Bad.py" in listed(root)
    service(root).deleteScript(script)


# -- jobs


def test_a_job_is_attached_to_and_told_about(conn):
    process = start(conn, "/hcs/Saves.py")
    finish(conn, process)
    handle = conn.c.sf.createJobHandle()
    with pytest.raises(omero.ApiUsageException):
        handle.jobStatus()
    job = process.getJob().id.val
    assert handle.attach(job).value.val == "Finished"
    assert not handle.jobRunning()
    assert not handle.jobError()
    assert handle.jobFinished().val > 0
    assert handle.setMessage("looked at") == ""
    assert handle.jobMessage() == "looked at"
    assert process.setMessage("again") == "looked at"
    assert handle.getJob().id.val == job
    with pytest.raises(omero.ApiUsageException):
        handle.attach(10**6)
    handle.close()
    process.close(False)


def test_a_job_is_seen_by_nobody_outside_its_group(people, conn):
    process = start(conn, "/hcs/Saves.py")
    finish(conn, process)
    stranger = people.make_user(people.make_group("private"))
    with contextlib.closing(people.connect(stranger)) as other:
        handle = other.c.sf.createJobHandle()
        with pytest.raises(omero.ApiUsageException):
            handle.attach(process.getJob().id.val)
    process.close(False)


def test_a_run_that_has_ended_may_be_ended_again():
    run = WatchedProcess.__new__(WatchedProcess)
    run._lock, run.popen, run.rcode, run.iskill = threading.RLock(), None, 0, False
    run.deactivate()
