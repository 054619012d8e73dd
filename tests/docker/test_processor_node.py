"""The processor's start, with OMERO's command line, and with IceGrid where it is there."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest

pytest.importorskip("omero", reason="the extra 'omero' is not installed")

import omero.gateway  # first: loads omero's modules in a working order

from tests.docker.conftest import DOCKER

PROCESSOR = DOCKER / "processor"
HUNG_SECONDS = 30
# What OMERO.server has in etc/templates, as far as a node needs it.
JAVA = "".join(
    f'<server-template id="{name}"><server><option>MEMORY:{name}</option>'
    f'<properties><property name="REPLACEMENT:{name}" value=""/></properties></server>'
    "</server-template>"
    for name in ("blitz", "indexer", "pixeldata", "repository")
)
TEMPLATES = {
    "internal.cfg": """
Ice.Default.Locator=IceGrid/Locator:tcp -h 127.0.0.1 -p @omero.ports.registry@
IceGridAdmin.Username=root
IceGridAdmin.Password=ome
""",
    "ice.config": "omero.host=localhost\n",
    "master.cfg": "IceGrid.Node.Name=master\n",
    "grid/default.xml": '<icegrid><application name="OMERO"><node name="master">\n'
    '<server-instance template="Glacier2Template"/>\n</node></application></icegrid>',
    "grid/templates.xml": f"<icegrid>{JAVA}</icegrid>",
}
# The `omero` command refuses root, which tests may be; this is what it calls.
OMERO = "import sys; from omero.cli import argv; sys.argv[0] = 'omero'; sys.exit(argv())"
NODE = 'echo "$@" >"$OMERODIR/told"; cp "${1#*internal.cfg,}" "$OMERODIR/own.cfg"\n'
# A grid of a registry, the node of the server, and a processor in the other one.
APPLICATION = """<icegrid><application name="OMERO">
  <node name="processor"><server id="Processor-0" exe="python" activation="always" pwd="{home}"
   user="{user}">
    <option>lib/python/runProcessor.py</option>
  </server></node>
</application></icegrid>"""
# It tells which Python runs it, and reports to IceGrid as every server does.
PROGRAM = """import pathlib, sys, Ice
pathlib.Path("started").write_text(sys.executable)
communicator = Ice.initialize(sys.argv)
communicator.waitForShutdown()
communicator.destroy()
"""


def command(path, text):
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def home(tmp_path):
    """OMERODIR of the image, with its configuration where the image has it."""
    home = tmp_path / "OMERO.server"
    for name, text in TEMPLATES.items():
        file = home / "etc.dist" / "templates" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for folder in ("etc", "etc.dist/grid", "var", "lib/python", "lib/server", "bin"):
        (home / folder).mkdir(parents=True)
    (home / "etc.dist" / "omero.properties").write_text("omero.db.poolsize=10\n")
    (home / "lib" / "python" / "runProcessor.py").write_text(PROGRAM)
    command(home / "bin" / "omero", f'exec "{sys.executable}" -c "{OMERO}" "$@"\n')
    command(home / "bin" / "python", f'exec "{sys.executable}" "$@"\n')
    return home


@pytest.fixture
def environment(home, tmp_path):
    """Variables of the container, but for where the server is."""
    return {
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        "OMERODIR": str(home),
        "HOME": str(tmp_path),
        "HOSTNAME": "localhost",
        "OMERO_MASTER_HOST": "localhost",
        "OMERO_NODE_NAME": "processor",
        "OMERO_NODE_WAIT": "20",
    }


@pytest.fixture
def registry():
    """A port at which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


def start(environment, **more):
    return subprocess.run(
        ["bash", str(PROCESSOR / "entrypoint.sh")],
        env=environment | more,
        capture_output=True,
        text=True,
        timeout=HUNG_SECONDS,
    )


def test_it_joins_the_grid_as_the_node_that_the_server_names(home, environment, registry):
    command(home / "bin" / "icegridnode", NODE)
    for _ in range(2):  # and once more, as after a restart
        done = start(environment, OMERO_REGISTRY=registry)
        assert done.returncode == 0, done.stderr
    own = f"{home}/etc/internal.cfg,{home}/etc/processor.cfg"
    assert (home / "told").read_text().split() == [f"--Ice.Config={own}", "--nochdir"]
    internal = (home / "etc" / "internal.cfg").read_text()
    assert f"Locator:tcp -h localhost -p {registry}" in internal
    assert "IceGrid.Node.Name=processor\n" in (home / "own.cfg").read_text()
    assert "IceGrid.Node.Endpoints=tcp -h 127.0.0.1\n" in (home / "own.cfg").read_text()
    # Scripts reach the server by its name, encrypted.
    client = omero.client(args=[f"--Ice.Config={home}/etc/ice.config"])
    router = client.getProperty("Ice.Default.Router")
    client.closeSession()
    assert router == "OMERO.Glacier2/router:ssl -p 4064 -h localhost"


def test_without_a_server_it_ends_and_says_what_to_look_at(environment):
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = str(server.getsockname()[1])
    done = start(environment, OMERO_REGISTRY=free, OMERO_NODE_WAIT="1")
    assert done.returncode == 1
    assert f"localhost:{free}" in done.stderr
    assert "nodedescriptors" in done.stderr


@pytest.fixture
def grid(home, tmp_path):
    """A registry, which knows of the processor, at a free port."""
    needed = ("icegridregistry", "icegridnode", "icegridadmin")
    if not all(map(shutil.which, needed)):
        pytest.skip("IceGrid is not installed (Debian: zeroc-icegrid, zeroc-ice-utils)")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    data = tmp_path / "registry"
    data.mkdir()
    (tmp_path / "grid.xml").write_text(APPLICATION.format(home=home, user=getpass.getuser()))
    told = {
        "IceGrid.Registry.LMDB.Path": data,
        "IceGrid.Registry.Client.Endpoints": f"tcp -h 127.0.0.1 -p {port}",
        "IceGrid.Registry.Server.Endpoints": "tcp -h 127.0.0.1",
        "IceGrid.Registry.Internal.Endpoints": "tcp -h 127.0.0.1",
        "IceGrid.Registry.AdminPermissionsVerifier": "IceGrid/NullPermissionsVerifier",
    }
    process = subprocess.Popen(
        ["icegridregistry", *(f"--{name}={value}" for name, value in told.items())]
    )
    try:
        admin = [f"--Ice.Default.Locator=IceGrid/Locator:tcp -h 127.0.0.1 -p {port}"]
        admin += ["--username=root", "--password=ome"]
        deploy = ["icegridadmin", *admin, "-e", f"application add {tmp_path / 'grid.xml'}"]
        wait_until(lambda: subprocess.run(deploy, capture_output=True).returncode == 0)
        yield port
    finally:
        process.terminate()
        process.wait(HUNG_SECONDS)


def wait_until(true):
    end = time.monotonic() + HUNG_SECONDS
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.1)


def is_well(environment):
    asked = subprocess.run(
        ["sh", str(PROCESSOR / "health.sh")], env=environment, capture_output=True
    )
    return asked.returncode == 0


def test_icegrid_starts_the_processor_with_the_python_of_the_image(home, environment, grid):
    # Debian's IceGrid is 3.7; as root, which tests may be, it wants to be told twice.
    as_root = "--IceGrid.Node.AllowRunningServersAsRoot=1"
    command(home / "bin" / "icegridnode", f'exec {shutil.which("icegridnode")} "$@" {as_root}\n')
    node = subprocess.Popen(
        ["bash", str(PROCESSOR / "entrypoint.sh")],
        env=environment | {"OMERO_REGISTRY": grid},
        start_new_session=True,
    )
    try:
        wait_until((home / "started").exists)
        wait_until(lambda: is_well(environment))
        assert (home / "started").read_text() == sys.executable
    finally:
        os.killpg(node.pid, signal.SIGTERM)  # as dumb-init does
        node.wait(HUNG_SECONDS)
    assert not is_well(environment)
