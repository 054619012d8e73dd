"""What the verbs share that start a server and wait: `sandbox` and `demo`."""

from __future__ import annotations

import contextlib
import importlib.util
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from omero_hcs.errors import SandboxError

if TYPE_CHECKING:
    from omero_hcs.sandbox.launch import Sandbox
    from omero_hcs.sandbox.web import Web

OF_THE_SERVER = ("omero", "Ice", "cryptography", "lark", "tables")
OF_THE_WEB = ("omeroweb", "gunicorn", "whitenoise")
"""Packages that each of the two needs."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Running:
    """What was started."""

    sandbox: Sandbox
    web: Web | None

    def wait(self) -> None:
        """Wait until one of the two ends by itself.

        Raises
        ------
        SandboxError
            Then.
        """
        from omero_hcs.sandbox.launch import tail

        while self.sandbox.is_running and (self.web is None or self.web.is_running):
            time.sleep(0.5)
        ended, log = "The server", self.sandbox.log
        if self.web and self.sandbox.is_running:
            ended, log = "OMERO.web", self.web.log
        msg = f"{ended} ended by itself. The end of its log:\n{tail(log)}"
        raise SandboxError(msg)


def check_packages(names: Sequence[str]) -> None:
    """Find out what is missing here: a server that dies of it could only show its trace."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            msg = f"No module named {name!r}"
            raise ModuleNotFoundError(msg, name=name)


@contextlib.contextmanager
def one_interruption() -> Iterator[None]:
    """Let Ctrl-C, the terminal's end and the machine's shutdown interrupt once.

    A second Ctrl-C, of somebody who has to wait, would leave half of it behind.
    """

    def interrupt(*_: object) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    # Under nohup the terminal's end is ignored, and is to stay so.
    deaf = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    heard = [each for each in _SIGNALS if not (deaf and each is signal.SIGHUP)]
    before = {each: signal.signal(each, interrupt) for each in heard}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
