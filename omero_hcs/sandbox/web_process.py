"""How gunicorn runs OMERO.web for a sandbox: its settings, and the application.

gunicorn reads this module as its configuration: names that it knows are settings and hooks.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from whitenoise import WhiteNoise

workers = 1  # OMERO.web's cache is in this process's memory
worker_class = "gthread"
threads = 8
graceful_timeout = 1  # with 0, nobody would wait for the worker
control_socket_disable = True

_orphaned = threading.Event()


def on_starting(server: Any) -> None:  # noqa: ARG001  (gunicorn's)
    """Gather OMERO.web's static files before a worker asks for them, and watch the parent.

    What this imports need not be imported again by the worker, a fork of this process.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    django.setup()
    call_command("collectstatic", interactive=False, link=True, verbosity=0)


def make_application() -> Any:
    """Make OMERO.web's WSGI application, with its static files."""
    prefix = settings.STATIC_URL.strip("/")
    return WhiteNoise(get_wsgi_application(), root=settings.STATIC_ROOT, prefix=prefix)


def on_exit(server: Any) -> None:  # noqa: ARG001  (gunicorn's)
    """Remove what the parent, which is gone, would have removed."""
    if _orphaned.is_set():
        home = Path(os.environ["OMERODIR"])
        shutil.rmtree(home, ignore_errors=True)
        with contextlib.suppress(OSError):  # the server, ending too, still has files in it
            home.parent.rmdir()


def _end_with_parent() -> None:
    """Wait for the end of standard input, which is the end of the process that holds it."""
    os.read(0, 1)
    _orphaned.set()
    os.kill(os.getpid(), signal.SIGTERM)
