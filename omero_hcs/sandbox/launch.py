"""Start the sandbox server in a process of its own, and end it with all that it left.

Needs the standard library alone, so that tests and the command line may import it before they
know whether OMERO's client is installed.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NoReturn, Self

from omero_hcs.errors import InputError, SandboxError

HOST = "127.0.0.1"
PASSWORD_VARIABLE = "OMERO_HCS_SANDBOX_PASSWORD"  # noqa: S105  (the name of a variable)

_MODULE = "omero_hcs.sandbox"
_SAID = "process.log"
"""What goes wrong before the server has a log."""
_HUNG_SECONDS = 120.0
"""A server that says nothing for so long hangs; it is ready in about a second."""
_GRACE_SECONDS = 60.0
"""So long a server may take to end: it writes its snapshot, with all pixels."""
_TAIL_BYTES = 4000
_BAD_INPUT = 2  # the exit code of a server that was given what does not fit


@dataclass(eq=False, kw_only=True)
class Sandbox:
    """A running sandbox server; ended by `stop`, by leaving its `with` block, or with Python.

    Attributes
    ----------
    host, port, plain_port : str, int, int
        Where it listens: with TLS, and without.
    user, password : str
        The administrator.
    home : Path
        Its folder; removed at the end, unless it was given.
    """

    port: int
    plain_port: int
    password: str = field(repr=False)
    home: Path
    _process: subprocess.Popen[str] = field(repr=False)
    _end: weakref.finalize[..., Any] = field(repr=False)
    host: str = HOST
    user: str = "root"

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.home / "data" / "server.log"

    @property
    def is_running(self) -> bool:
        """Whether the server's process is still there."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the server and remove its temporary folder; safe to call twice.

        Raises
        ------
        SandboxError
            If the server did not end well, such as with a snapshot that it could not write.
        """
        said = self._end()
        if said:
            msg = f"The sandbox server did not end well:\n{said}"
            raise SandboxError(msg)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def start(  # noqa: PLR0913  (each one is a choice of the caller's)
    *,
    data: Path | None = None,
    port: int = 0,
    plain_port: int = 0,
    scripts: Path | None = None,
    snapshot: Path | None = None,
    password: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Sandbox:
    """Start a sandbox server on this machine's loopback, and wait until it answers.

    Parameters
    ----------
    data : Path, optional
        Folder for its data, made if it is not there and kept afterwards; a temporary one, removed
        at the end, by default. Only its user may read it.
    port, plain_port : int
        Ports with TLS and without; 0 is any free one.
    scripts : Path, optional
        Folder of official scripts.
    snapshot : Path, optional
        File that keeps the server's state: read at the start if it is there, written at the end.
    password : str, optional
        Root's; a random one by default.
    environment : mapping, optional
        Variables of the server's process and of its scripts, such as another HOME.

    Raises
    ------
    InputError
        If a port is taken, or there is no such folder of scripts.
    SandboxError
        If the server did not start; the message has the end of its log.
    """
    _check(port, plain_port, scripts)
    home = _make_home(data)
    password = password or secrets.token_hex(12)  # a "-" in front would be an option to `omero`
    said = home / _SAID
    options = {
        "--data": home / "data",
        "--port": port,
        "--plain-port": plain_port,
        "--scripts": scripts and scripts.resolve(),
        "--snapshot": snapshot and snapshot.resolve(),
        "--temporary": home if data is None else None,  # for the case that this process is killed
    }
    variables = {**(environment or {}), **_environment(home, password)}
    temporary = home if data is None else None
    return _launched(spawn(_command(options), home, said, variables), home, password, temporary)


def _launched(
    process: subprocess.Popen[str], home: Path, password: str, temporary: Path | None
) -> Sandbox:
    said = home / _SAID
    end = finalizer(process, said, temporary)
    try:
        ready = _wait_until_ready(process, said)
    except BaseException:
        end()
        raise
    return Sandbox(
        port=ready["port"],
        plain_port=ready["plain_port"],
        password=password,
        home=home,
        _process=process,
        _end=end,
    )


def _environment(home: Path, password: str) -> dict[str, str]:
    """Give the password by the environment: all on the machine can see a process's arguments."""
    return {PASSWORD_VARIABLE: password, "OMERO_TMPDIR": str(home / "tmp")}


def _command(options: Mapping[str, object]) -> list[str]:
    given = [(name, str(value)) for name, value in options.items() if value is not None]
    return [sys.executable, "-m", _MODULE, "--watch-stdin", *itertools.chain(*given)]


def check_port(port: int, option: str) -> None:
    """Make sure that a port of the loopback is free (0 always is).

    Raises
    ------
    InputError
        If it is taken, or is none; the message names the option that changes it.
    """
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
    except (OSError, OverflowError) as error:
        why = "another program has it" if isinstance(error, OSError) else "there is no such port"
        if isinstance(error, PermissionError):
            why = "this user may not use it"
        msg = f"Port {port} cannot be used: {why}. Pass {option} with another, or 0 for a free one."
        raise InputError(msg) from None


def spawn(
    command: Sequence[str],
    folder: Path,
    log: Path,
    environment: Mapping[str, str],
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[str]:
    """Start a process that ends when this one does, whatever ended it.

    It watches its standard input, a pipe whose other end this process holds. It has a session of
    its own, so that Ctrl-C reaches this process alone, which then ends it in good order.
    """
    with log.open("a", encoding="utf-8") as errors:
        return subprocess.Popen(  # noqa: S603  (our own interpreter and modules)
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=folder,
            env={**os.environ, **environment},
            start_new_session=True,
            pass_fds=pass_fds,
        )


def finalizer(
    process: subprocess.Popen[str], log: Path, folder: Path | None = None
) -> weakref.finalize[..., Any]:
    """Make what ends a process of `spawn`: when it is called, or at the latest when Python ends.

    `folder` is removed with it. Called, it gives the end of the log, if the process failed.
    """
    return weakref.finalize(process, _end_process, process, log, folder, os.getpid())


def _end_process(process: subprocess.Popen[str], log: Path, folder: Path | None, owner: int) -> str:
    if os.getpid() != owner:  # a fork of the owner that ends is no reason to
        return ""
    process.terminate()
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with contextlib.suppress(ProcessLookupError):  # scripts that outlived the server
        os.killpg(process.pid, signal.SIGKILL)
    ended_well = process.returncode in {0, -signal.SIGTERM}
    said = "" if ended_well else f"  exit {process.returncode}\n{tail(log)}"
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
    return said


def drain(process: subprocess.Popen[str], log: Path) -> None:
    """Copy to a log what a process says from now on: a pipe that is full would stop it."""
    threading.Thread(target=_copy, args=(process.stdout, log), daemon=True).start()


def tail(log: Path) -> str:
    """Return the last lines of a log, indented."""
    text = log.read_text(encoding="utf-8", errors="replace")[-_TAIL_BYTES:]
    return "\n".join(f"  {line}" for line in text.splitlines()[-20:])


def _check(port: int, plain_port: int, scripts: Path | None) -> None:
    if port and port == plain_port:
        msg = f"Port {port} was given twice. Pass another --plain-port."
        raise InputError(msg)
    check_port(port, "--port")
    check_port(plain_port, "--plain-port")
    if scripts is not None and not scripts.is_dir():
        msg = f"There is no folder {scripts}. Pass --scripts with a folder of OMERO scripts."
        raise InputError(msg)


def _make_home(data: Path | None) -> Path:
    if data is None:
        return Path(tempfile.mkdtemp(prefix="omero-hcs-sandbox-"))
    home = data.resolve()
    try:
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o700)
    except OSError as error:
        msg = f"The folder {home} cannot be used: {error.strerror}. Pass another one."
        raise InputError(msg) from error
    return home


def _wait_until_ready(process: subprocess.Popen[str], log: Path) -> dict[str, Any]:
    """Read the line that the server says when it answers, then let it talk into its log."""
    if process.stdout is None:
        msg = "the server was started without a pipe to hear it"
        raise SandboxError(msg)
    watchdog = threading.Timer(_HUNG_SECONDS, process.kill)
    watchdog.daemon = True
    watchdog.start()
    line = process.stdout.readline()
    watchdog.cancel()
    if not line.startswith("{"):
        _tell_why_it_ended(process, log)
    drain(process, log)
    said: dict[str, Any] = json.loads(line)
    return said


def _tell_why_it_ended(process: subprocess.Popen[str], log: Path) -> NoReturn:
    try:
        code = process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    if code == _BAD_INPUT:
        raise InputError(log.read_text(encoding="utf-8").strip())
    msg = f"The sandbox server did not start (exit {code}):\n{tail(log)}"
    raise SandboxError(msg)


def _copy(pipe: IO[str] | None, log: Path) -> None:
    with contextlib.suppress(ValueError, OSError), log.open("a", encoding="utf-8") as file:
        for line in pipe or ():
            file.write(line)
