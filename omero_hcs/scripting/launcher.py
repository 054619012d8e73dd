"""The life of a script: its dialog is told, its inputs are read, its task is run, it answers.

The broad catches are here: whatever goes wrong becomes a message without a trace, and an exit code
that shows the failure icon.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from functools import partial
from typing import Any

from omero_hcs import lazy
from omero_hcs.errors import CancelledError, HcsError
from omero_hcs.logs import keep_off_terminal, redact
from omero_hcs.scripting.answers import Answer, Found, shortened
from omero_hcs.scripting.catalog import SCRIPTS, Script
from omero_hcs.scripting.stopping import Stopping
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
    keep_off_terminal()
    client = _client(script)
    with Stopping(partial(_last_words, client)) as stopping:
        stopping.leave(_serve(script, client, stopping))


def _client(script: Script) -> Any:
    """Tell the script's parameters, and connect as the user who clicked."""
    import omero.gateway  # noqa: F401  (first: loads omero's modules in a working order)
    from omero import constants, scripts

    from omero_hcs.scripting.machine import this_machine
    from omero_hcs.tasks.driver import package_version

    return scripts.client(
        script.name,
        script.about,
        *_inputs(script),
        version=package_version(),
        authors=["omero-hcs"],
        namespaces=[
            this_machine(),
            *([constants.namespaces.NSDYNAMIC] if script.choices else ()),
        ],
    )


def _inputs(script: Script) -> list[Any]:
    """Make the inputs, with lists of whoever opens the dialog while a server asks for it."""
    import omero

    from omero_hcs.scripting.dialog import inputs_of
    from omero_hcs.stores.omero.connect import close_client

    if not script.choices:
        return inputs_of(script, None)
    client = omero.client()
    try:
        if client.getProperty("omero.scripts.parse") != "true":
            return inputs_of(script, None)
        client.createSession().detachOnDestroy()
        return inputs_of(script, client)
    except Exception as error:  # noqa: BLE001  (a dialog without a list is better than none)
        sys.stderr.write(redact(f"Lists of the server were not made: {error}\n"))
        return inputs_of(script, None)
    finally:
        close_client(client)


def _serve(script: Script, client: Any, stopping: Stopping) -> int:
    with _closing(client):
        answer = _answer(script, client, stopping)
        try:
            _say(client, answer)
        except Exception as error:  # noqa: BLE001  (its session is gone: its user has logged out)
            sys.stderr.write(redact(f"{answer.message}\nNobody could be told: {error}\n"))
            return 1
    return int(answer.failed)


def _answer(script: Script, client: Any, stopping: Stopping) -> Answer:
    from omero_hcs.scripting.wording import told_error

    try:
        with stopping.interruptible():
            return _run(script, client)
    except (KeyboardInterrupt, CancelledError) as error:
        text = str(error) or "Stopped. What is done is kept."
        return Answer(f"{text} The same click goes on from there.", failed=True)
    except HcsError as error:
        logger.info("refused", exc_info=error)
        return Answer(told_error(script, client, error), failed=True)
    except ImportError as error:
        sys.stderr.write(redact(traceback.format_exc()))
        return Answer(told_error(script, client, error), failed=True)
    except Exception as error:  # noqa: BLE001  (the one place that turns any error into a message)
        sys.stderr.write(redact(traceback.format_exc()))
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
    from omero.rtypes import rmap, robject, rstring

    client.setOutput("Message", rstring(shortened(redact(answer.message))))
    for name, output in answer.outputs.items():
        if isinstance(output, Found):
            client.setOutput(name, robject(_object(client, output)))
        else:
            link = {"type": "URL", "href": output.href, "title": output.title}
            client.setOutput(name, rmap({key: rstring(value) for key, value in link.items()}))


def _object(client: Any, output: Found) -> Any:
    """Give an object for a button; OMERO.web shows a picture if its file's type comes along."""
    import omero
    from omero.sys import ParametersI

    if output.kind == "FileAnnotation":
        hql = "select a from FileAnnotation a join fetch a.file where a.id = :id"
        query, given = client.getSession().getQueryService(), ParametersI().addId(output.id)
        found = query.findByQuery(hql, given, {"omero.group": "-1"})
        if found is not None:
            return found
    return getattr(omero.model, f"{output.kind}I")(output.id, loaded=False)


@contextlib.contextmanager
def _closing(client: Any) -> Iterator[None]:
    from omero_hcs.stores.omero.connect import close_client

    try:
        yield
    finally:
        close_client(client)


def _last_words(client: Any) -> None:
    """Note that the runs of this process are cancelled, and say so, before it is ended."""
    from omero_hcs.settings import load_settings
    from omero_hcs.tasks.runs import end_own

    ended = end_own(load_settings().values, process=os.getpid())
    text = " ".join(ended) or "Stopped. What is done is kept."
    _say(client, Answer(f"{text} The same click goes on from there.", failed=True))
