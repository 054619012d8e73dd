"""The process of a sandbox's server; `omero_hcs.sandbox.launch` starts it.

It prints one line of JSON when it is ready: its ports and its process id. root's password comes by
the environment, `OMERO_HCS_SANDBOX_PASSWORD`, so that no list of processes shows it.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

from omero_hcs.errors import InputError, SandboxError
from omero_hcs.sandbox.ice.endpoint import PortTakenError
from omero_hcs.sandbox.objects.snapshot import check_place
from omero_hcs.sandbox.server import Server

PASSWORD = "OMERO_HCS_SANDBOX_PASSWORD"  # noqa: S105  (the name of a variable)
FAILED, BAD_INPUT = 1, 2

# Rows stay. To look at all of them again after every few hundred new objects, as Python does unless
# told otherwise, makes up a third of a big save, and more the fuller the server is.
COLLECT_AFTER = (100_000, 50, 50)


def main() -> int:
    """Serve until a signal comes, or until the parent closes our standard input."""
    gc.set_threshold(*COLLECT_AFTER)
    arguments = parse_arguments()
    password = os.environ.pop(PASSWORD, "")
    if not password:
        sys.stderr.write(f"root needs a password: set {PASSWORD}.\n")
        return BAD_INPUT
    set_up_log(arguments.data, verbose=arguments.verbose)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        if arguments.snapshot is not None:
            check_place(arguments.snapshot)
        server = Server(
            arguments.data,
            password,
            port=arguments.port,
            plain_port=arguments.plain_port,
            scripts=arguments.scripts,
            snapshot=arguments.snapshot,
        )
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_INPUT
    except PortTakenError as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    return serve(server, arguments, stop)


def serve(server: Server, arguments: argparse.Namespace, stop: threading.Event) -> int:
    """Say where the server answers, wait until it has to stop, and stop it."""
    server.start()
    orphaned = threading.Event()
    if arguments.watch_stdin:
        threading.Thread(target=watch_stdin, args=(stop, orphaned), daemon=True).start()
    ports = server.endpoint.ports
    ready = {"port": ports.tls, "plain_port": ports.plain, "pid": os.getpid()}
    try:
        os.write(1, f"{json.dumps(ready)}\n".encode())
        stop.wait()
    except BrokenPipeError:  # the parent was killed before we were ready
        orphaned.set()
    try:
        server.stop()
    except SandboxError as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    finally:
        if arguments.temporary is not None and orphaned.is_set():
            shutil.rmtree(arguments.temporary, ignore_errors=True)
    return 0


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m omero_hcs.sandbox", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder of its own")
    parser.add_argument("--port", type=int, default=0, help="for TLS; 0 takes a free one")
    parser.add_argument("--plain-port", type=int, default=0, help="for plain TCP; 0: a free one")
    parser.add_argument("--scripts", type=Path, help="a folder of official scripts")
    parser.add_argument("--snapshot", type=Path, help="read if it is there, written at the end")
    parser.add_argument("--watch-stdin", action="store_true", help="end when stdin is closed")
    parser.add_argument("--temporary", type=Path, help="a folder to remove then")
    parser.add_argument("--verbose", action="store_true", help="log every error of a call")
    return parser.parse_args()


def set_up_log(data: Path, *, verbose: bool) -> None:
    """Log to the data folder."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    logging.basicConfig(
        filename=data / "server.log",
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )


def watch_stdin(stop: threading.Event, orphaned: threading.Event) -> None:
    """End with the process that started us, however it ends."""
    os.read(0, 1)  # sys.stdin is locked while it is read: Python would abort at its end
    orphaned.set()
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
