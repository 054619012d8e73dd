"""The `omero` command: sessions, objects, queries, tags, files, groups, users, scripts.

It refuses to run as root, so root calls it as an unprivileged user who may read every file: the
Python that runs the tests may be in root's own folder.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from omero.model import ProjectI
from omero.rtypes import rstring

NOBODY = 65534
DROP = (
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
)  # fmt: skip
SCRIPT = """
import omero.scripts as scripts
from omero.rtypes import rlong, rstring

client = scripts.client(
    "double.py", "Doubles a number.",
    scripts.Long("Number", optional=False, grouping="1", description="what to double", default=4),
    version="1.0",
)
try:
    number = client.getInput("Number", unwrap=True)
    print("doubling", number)
    client.setOutput("Message", rstring("doubled"))
    client.setOutput("Result", rlong(2 * number))
finally:
    client.closeSession()
"""


class Omero:
    """The command, called by one user with a home of his own."""

    def __init__(self, home, address, user):
        self.home, self.address, self.user = home, address, user
        self.prefix = ()
        if os.geteuid() == 0:
            self.prefix = DROP
            shutil.chown(home, NOBODY, NOBODY)
        self.program = Path(sys.executable).with_name("omero")

    def run(self, *words):
        environment = {
            "HOME": str(self.home),
            "OMERO_USERDIR": str(self.home / "omero"),
            "OMERO_TMPDIR": str(self.home / "tmp"),
            "OMERO_PASSWORD": self.user.password,
            "PATH": os.environ["PATH"],
            "PYTHONWARNINGS": "ignore",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [*self.prefix, sys.executable, str(self.program), *map(str, words)]
        return subprocess.run(
            command,
            env=environment,
            cwd=self.home,
            stdin=subprocess.DEVNULL,  # it asks for what it misses
            capture_output=True,
            text=True,
            timeout=120,
        )

    def __call__(self, *words):
        """What it printed; a failure of the command is one of the test."""
        done = self.run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def load(self, *lines):
        """What several commands printed, in one process: starting one takes a second."""
        file = self.home / "commands"
        file.write_text("\n".join(map(str, lines)) + "\n")
        return self("load", file)

    def login(self):
        place = f"{self.user.name}@{self.address.host}:{self.address.port}"
        return self("login", place, "-w", self.user.password)


@pytest.fixture(scope="module")
def may_run():
    """Skip where root cannot become somebody else."""
    if not Path(sys.executable).with_name("omero").exists():
        pytest.skip("there is no omero command beside this Python")
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("the omero command refuses root, and setpriv is not installed")
        if subprocess.run([*DROP, "true"], capture_output=True).returncode:
            pytest.skip("the omero command refuses root, and root may not drop its rights here")


@pytest.fixture(scope="module")
def new_home():
    """Make homes below a folder that everybody may enter: pytest's own is closed to others,
    and the command then looks for a place for its temporary files for ever."""
    with tempfile.TemporaryDirectory(prefix="omero-hcs-homes-") as folder:
        Path(folder).chmod(0o711)

        def make():
            return Path(tempfile.mkdtemp(dir=folder))

        yield make


@pytest.fixture(scope="module")
def groups(omero_people):
    return omero_people.make_group(), omero_people.make_group()


@pytest.fixture(scope="module")
def cli(may_run, omero_people, omero_server, groups, new_home):
    """The command of an ordinary user who is logged in."""
    command = Omero(new_home(), omero_server, omero_people.make_user(*groups))
    command.login()
    return command


@pytest.fixture(scope="module")
def conn(cli, omero_people):
    """What the same user sees through the gateway: a second process a question is slow."""
    opened = omero_people.connect(cli.user)
    yield opened
    opened.close()


def number(told):
    return int(told.rpartition(":")[2])


@pytest.fixture(scope="module")
def admin(may_run, omero_server, new_home):
    """The command of the administrator, logged in."""
    user = _Administrator(omero_server)
    command = Omero(new_home(), omero_server, user)
    command.login()
    return command


class _Administrator:
    def __init__(self, address):
        self.name, self.password = address.user, address.password


def test_a_wrong_password_is_said(cli, omero_server):
    place = f"{cli.user.name}@{omero_server.host}:{omero_server.port}"
    done = cli.run("sessions", "-C", "login", place, "-w", "wrong")
    assert done.returncode != 0
    assert "password" in (done.stdout + done.stderr).lower()


def test_the_session_is_listed_and_its_time_out_set(cli, groups):
    printed = cli.load("sessions list", "sessions timeout 300", "sessions timeout")
    assert cli.user.name in printed
    assert groups[0].name in printed
    assert float(printed.splitlines()[-1]) == 300


def test_objects_are_made_changed_and_read(cli, conn):
    project = cli("obj", "new", "Project", "name=by hand", "description=made")
    assert re.fullmatch(r"Project:\d+", project)
    printed = cli.load(
        f"obj update {project} description=changed",
        f"obj get {project} description",
        "obj new MapAnnotation ns=ns",
    )
    updated, description, keys = printed.splitlines()
    assert (updated, description) == (project, "changed")
    cli("obj", "map-set", keys, "mapValue", "drug", "taxol")
    found = conn.getObject("MapAnnotation", number(keys))
    assert [list(pair) for pair in found.getValue()] == [["drug", "taxol"]]


def test_an_object_that_cannot_be_made_is_an_error(cli):
    done = cli.run("obj", "new", "Project")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


def test_queries_print_rows(cli, conn):
    row = ProjectI()
    row.name = rstring("queried")
    row = conn.getUpdateService().saveAndReturnObject(row)
    text = "select p.id, p.name from Project p where p.name = 'queried'"
    printed = cli("hql", "-q", "--style", "plain", text)
    assert printed.endswith(f"{row.id.val},queried")


def test_tags_are_made_listed_and_linked(cli, conn):
    listed = cli.load("tag create --name a-tag --desc mine", "tag list")
    tag = re.search(r"(\d+):'a-tag'", listed)
    assert tag, listed
    row = ProjectI()
    row.name = rstring("tagged")
    project = conn.getUpdateService().saveAndReturnObject(row).id.val
    cli("tag", "link", f"Project:{project}", tag[1])
    (found,) = conn.getObject("Project", project).listAnnotations()
    assert (found.getId(), found.getValue()) == (int(tag[1]), "a-tag")


def test_a_file_goes_up_and_comes_down(cli):
    source = cli.home / "note.txt"
    source.write_bytes(b"\x00\x01 content\n" * 1000)
    file = cli("upload", source)
    assert re.fullmatch(r"OriginalFile:\d+", file)
    target = cli.home / "down.txt"
    cli("download", file, target)
    assert target.read_bytes() == source.read_bytes()


def test_deletion_reports_and_can_be_tried(cli, conn):
    row = ProjectI()
    row.name = rstring("doomed")
    project = conn.getUpdateService().saveAndReturnObject(row).id.val
    assert f"Project:{project}" in cli("delete", "--dry-run", "--report", f"Project:{project}")
    assert conn.getObject("Project", project) is not None
    cli("delete", f"Project:{project}")
    assert conn.getObject("Project", project) is None


def test_an_object_changes_its_group(cli, conn, groups):
    row = ProjectI()
    row.name = rstring("moved")
    project = conn.getUpdateService().saveAndReturnObject(row).id.val
    cli("chgrp", groups[1].id, f"Project:{project}")
    conn.SERVICE_OPTS.setOmeroGroup(groups[1].id)
    assert conn.getObject("Project", project).getDetails().getGroup().getId() == groups[1].id
    conn.SERVICE_OPTS.setOmeroGroup(groups[0].id)


def test_groups_and_users_are_made_and_listed(admin, omero_people):
    group, user = f"{omero_people.prefix}-cli", f"{omero_people.prefix}-cli-user"
    listed = admin.load(
        f"group add {group} --type read-only",
        f"user add {user} C L --group-name {group} -P secret",
        "group list --style plain",
        "user list --style plain",
    ).splitlines()
    assert any(group in line and "rwr---" in line for line in listed)
    assert any(user in line and "C" in line for line in listed)


def test_an_ordinary_user_adds_no_group(cli):
    done = cli.run("group", "add", "of-my-own")
    assert done.returncode != 0
    assert "SecurityViolation" in done.stdout + done.stderr


def test_a_script_is_uploaded_listed_run_and_deleted(admin, omero_people):
    source = admin.home / f"{omero_people.prefix}.py"
    source.write_text(SCRIPT)
    script = re.search(r"\d+", admin("script", "upload", "--official", source).rpartition("#")[2])
    assert script
    printed = admin.load(
        "script list", f"script launch {script[0]} Number=21", f"script delete {script[0]}"
    )
    assert source.name in printed
    assert "doubling 21" in printed
    assert "42" in printed


def test_a_session_ends(may_run, omero_people, omero_server, groups, new_home):
    command = Omero(new_home(), omero_server, omero_people.make_user(groups[0]))
    command.login()
    assert "Logged in" not in command.load("logout", "sessions list")
