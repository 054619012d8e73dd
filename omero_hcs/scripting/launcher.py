"""The life of a script: its dialog is told, its inputs are read, its task is run, it answers.

The broad catches are here: whatever goes wrong becomes a message without a trace, and an exit code
that shows the failure icon.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from typing import Any

from omero_hcs import lazy
from omero_hcs.errors import HcsError
from omero_hcs.logs import redact
from omero_hcs.scripting.answers import Answer, Found, shortened
from omero_hcs.scripting.catalog import SCRIPTS, Script
from omero_hcs.settings import SCRIPT_VARIABLE

logger = logging.getLogger(__name__)


def launch(task: str) -> None:
    """Be the script of a task; ends the process.

    Called while a server reads the script's parameters, it only tells them.

    Parameters
    ----------
    task : str
        A key of `catalog.SCRIPTS`.
    """
    script = SCRIPTS.get(task)
    if script is None:
        sys.exit(
            f"The omero-hcs of this processor is older than the script: it knows no {task!r}. "
            "Install the release that the script came with."
        )
    os.environ[SCRIPT_VARIABLE] = "1"
    sys.exit(_serve(script, _client(script)))


def _client(script: Script) -> Any:
    """Tell the script's parameters, and connect as the user who clicked."""
    import omero.gateway  # noqa: F401  (first: loads omero's modules in a working order)
    from omero import constants, scripts

    from omero_hcs.scripting.dialog import inputs_of
    from omero_hcs.scripting.machine import this_machine
    from omero_hcs.tasks.driver import package_version

    return scripts.client(
        f"{script.name}.py",
        script.about,
        *inputs_of(script, None),
        version=package_version(),
        authors=["omero-hcs"],
        namespaces=[
            this_machine(),
            *([constants.namespaces.NSDYNAMIC] if script.choices else ()),
        ],
    )


def _serve(script: Script, client: Any) -> int:
    with _closing(client), _interrupted_by_sigterm():
        answer = _answer(script, client)
        _say(client, answer)
    return int(answer.failed)


def _answer(script: Script, client: Any) -> Answer:
    try:
        return _run(script, client)
    except KeyboardInterrupt:
        text = "Stopped. What is done is kept: the same click goes on from here."
        return Answer(text, failed=True)
    except HcsError as error:
        logger.info("refused", exc_info=error)
        return Answer(str(error), failed=True)
    except Exception as error:  # noqa: BLE001  (the one place that turns any error into a message)
        traceback.print_exc()
        text = f"This should not have happened ({type(error).__name__}: {error}). Its trace is in "
        return Answer(f"{text} the error output of this script.", failed=True)


def _run(script: Script, client: Any) -> Answer:
    from omero_hcs.scripting.call import Call
    from omero_hcs.scripting.inputs import read_inputs
    from omero_hcs.settings import load_settings
    from omero_hcs.stores.omero.connect import place_of

    asked = read_inputs(script, client.getInputs(unwrap=True))
    host, port = place_of(client)
    call = Call(script, asked, client, load_settings().values, f"{host}:{port}")
    answer: Answer = lazy.load(script.run)(call)
    return answer


def _say(client: Any, answer: Answer) -> None:
    import omero
    from omero.rtypes import rmap, robject, rstring

    client.setOutput("Message", rstring(shortened(redact(answer.message))))
    for name, output in answer.outputs.items():
        if isinstance(output, Found):
            made = getattr(omero.model, f"{output.kind}I")(output.id, loaded=False)
            client.setOutput(name, robject(made))
        else:
            link = {"type": "URL", "href": output.href, "title": output.title}
            client.setOutput(name, rmap({key: rstring(value) for key, value in link.items()}))


@contextlib.contextmanager
def _closing(client: Any) -> Iterator[None]:
    from omero_hcs.stores.omero.connect import close_client

    try:
        yield
    finally:
        close_client(client)


@contextlib.contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Let the processor's way of cancelling a script interrupt it once, as Ctrl-C would."""

    def interrupt(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
