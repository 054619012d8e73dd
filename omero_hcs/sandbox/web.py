"""The real OMERO.web against a sandbox, on a port of this machine's loopback.

It runs in a process of its own, as a WSGI application of gunicorn: the `omero` command, which
usually starts it, refuses to run as root. Needs the standard library alone.
"""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import subprocess
import sys
import tempfile
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self
from xml.etree import ElementTree as ET

from omero_hcs.errors import SandboxError
from omero_hcs.sandbox.launch import HOST, Sandbox, check_port, drain, finalizer, spawn, tail

LOGIN_PATH = "/webclient/login/"

_PROCESS = "omero_hcs.sandbox.web_process"
_HUNG_SECONDS = 120.0
"""An OMERO.web that answers nothing for so long hangs; it is ready in a few seconds."""

_PROPERTIES = MappingProxyType(
    {
        "omero.config.version": "5.1.0",
        "omero.web.caches": json.dumps(
            {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
        ),
        # Both would ask the world outside.
        "omero.web.check_version": "false",
        "omero.web.login.show_client_downloads": "false",
        "omero.web.session_engine": "django.contrib.sessions.backends.file",
    }
)


@dataclass(eq=False, kw_only=True)
class Web:
    """A running OMERO.web; ended by `stop`, by leaving its `with` block, or with Python.

    Attributes
    ----------
    url : str
        What to open in a browser.
    pid : int
        Its process.
    log : Path
        What it says; its folder has a log of all requests, and what its process said.
    """

    url: str
    pid: int
    log: Path
    _process: subprocess.Popen[str] = field(repr=False)
    _end: weakref.finalize[..., Any] = field(repr=False)

    @property
    def is_running(self) -> bool:
        """Whether its process is still there."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End it and remove its files; safe to call twice."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def start_web(sandbox: Sandbox, *, port: int = 0) -> Web:
    """Start OMERO.web for a sandbox and wait until its log-in page is there.

    Parameters
    ----------
    sandbox : Sandbox
        The server.
    port : int
        Port of the loopback; 0 is any free one.

    Raises
    ------
    InputError
        If the port is taken.
    SandboxError
        If OMERO.web did not start; the message has the end of its log.
    """
    check_port(port, "--web-port")
    home = Path(tempfile.mkdtemp(prefix="web-", dir=sandbox.home))
    logs = home / "var" / "log"
    said = logs / "process.log"
    with socket.create_server((HOST, port)) as listener:
        port = listener.getsockname()[1]
        environment = _prepare(home, sandbox, port)
        command = [
            sys.executable, "-m", "gunicorn",
            "--config", f"python:{_PROCESS}",
            "--bind", f"fd://{listener.fileno()}",
            "--access-logfile", str(logs / "requests.log"),
            f"{_PROCESS}:make_application()",
        ]  # fmt: skip
        process = spawn(command, home, said, environment, [listener.fileno()])
    drain(process, said)
    end = finalizer(process, said, home)
    try:
        _wait_until_ready(process, port, said)
    except BaseException:
        end()
        raise
    return Web(
        url=f"http://{HOST}:{port}/",
        pid=process.pid,
        log=logs / "OMEROweb.log",
        _process=process,
        _end=end,
    )


def _prepare(home: Path, sandbox: Sandbox, port: int) -> dict[str, str]:
    """Write the configuration; the value is the environment that makes OMERO.web use it."""
    for folder in ("etc/grid", "var/log", "tmp"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    # Clients of the JSON API look for a server of the name that is OMERO.web's default.
    servers = [[sandbox.host, sandbox.port, "omero"]]
    own = {
        "omero.web.server_list": json.dumps(servers),
        "omero.web.secret_key": secrets.token_urlsafe(50),
        # Browsers send a cookie to every port of a host: two sandboxes would share their sessions.
        "omero.web.session_cookie_name": f"sandbox-{port}",
    }
    root = ET.Element("icegrid")
    active = ET.SubElement(root, "properties", id="__ACTIVE__")
    ET.SubElement(active, "property", name="omero.config.profile", value="default")
    profile = ET.SubElement(root, "properties", id="default")
    for name, value in {**_PROPERTIES, **own}.items():
        ET.SubElement(profile, "property", name=name, value=value)
    config = home / "etc" / "grid" / "config.xml"
    config.touch(mode=0o600)
    ET.ElementTree(root).write(config)
    return {
        "OMERODIR": str(home),
        "DJANGO_SETTINGS_MODULE": "omeroweb.settings",
        "TMPDIR": str(home / "tmp"),
        "OMERO_TMPDIR": str(home / "tmp"),
    }


def _wait_until_ready(process: subprocess.Popen[str], port: int, log: Path) -> None:
    """Ask for the log-in page: the port is open already, so that this waits, or is refused."""
    connection = http.client.HTTPConnection(HOST, port, timeout=_HUNG_SECONDS)
    try:
        connection.request("GET", LOGIN_PATH)
        status: object = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        status = error
    finally:
        connection.close()
    if status != http.HTTPStatus.OK:
        ended = f" (exit {process.returncode})" if process.poll() is not None else ""
        msg = f"OMERO.web did not start{ended}: {status}\n{tail(log)}"
        raise SandboxError(msg)
