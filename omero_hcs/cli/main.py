"""The command `omero-hcs`: finds the verb, loads only that verb, turns errors into exit codes."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from omero_hcs import lazy
from omero_hcs.cli.groups import LazyGroup, Verb
from omero_hcs.cli.terminal import FAILED, show_error
from omero_hcs.errors import MissingExtraError
from omero_hcs.logs import keep_off_terminal

VERBS: dict[str, Verb] = {
    "demo": Verb(
        "omero_hcs.cli.demo:command",
        "Simulate a plate, teach a model, judge the plate.",
        "all,sandbox,web",
    ),
    "sandbox": Verb(
        "omero_hcs.cli.sandbox:command",
        "Start an OMERO-compatible server to try things in.",
        "disk,sandbox,web",
    ),
    "simulate": Verb(
        "omero_hcs.cli.simulate:command", "Make a simulated plate with known truth.", "disk"
    ),
    "convert": Verb(
        "omero_hcs.cli.convert:command", "Make an OME-Zarr plate of image files.", "disk"
    ),
    "crop": Verb("omero_hcs.cli.crop:command", "Find the cells of a plate and crop them.", "disk"),
    "train-qc": Verb(
        "omero_hcs.cli.train_qc:command",
        "Train a quality model on labelled cells.",
        "disk,ml,weights",
    ),
    "labels": Verb(
        "omero_hcs.cli.labels:command", "List, check or export what users labelled.", "disk"
    ),
    "apply-qc": Verb("omero_hcs.cli.apply_qc:command", "Judge every cell of a plate.", "all"),
    "qc": Verb(
        "omero_hcs.cli.qc:command",
        "Measure how well models judge; hand verdicts to other programs.",
        "all",
    ),
    "embed": Verb(
        "omero_hcs.cli.embed:command",
        "Turn every cell of a plate into features.",
        "disk,ml,weights",
    ),
    "report": Verb(
        "omero_hcs.cli.report:command", "Make the report of a quality run again.", "disk,report"
    ),
    "undo": Verb(
        "omero_hcs.cli.undo:command", "Remove what a run wrote, and nothing else.", "disk"
    ),
    "runs": Verb(
        "omero_hcs.cli.runs:command", "List runs, tell how far one is, cancel or undo one."
    ),
    "models": Verb("omero_hcs.cli.models:command", "List models, or show what one is.", "ml"),
    "config": Verb("omero_hcs.cli.config:command", "Show the settings and where they come from."),
    "doctor": Verb("omero_hcs.cli.doctor:command", "Say what is installed, and what is missing."),
    "scripts": Verb(
        "omero_hcs.cli.scripts:command",
        "Put our scripts on an OMERO server, remove or try them.",
        "omero",
    ),
    "bundle": Verb(
        "omero_hcs.cli.bundle:command", "Write all that an offline installation needs to a file."
    ),
    "install": Verb(
        "omero_hcs.cli.install:command", "Install from such a file, without a network."
    ),
    "work": Verb(
        "omero_hcs.cli.work:command", "Work units of a run off (called by engines).", "all"
    ),
}


@click.group(cls=LazyGroup, verbs=VERBS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="omero-hcs", prog_name="omero-hcs")
def cli() -> None:
    """High-content-screening quality control: every cell judged, few labels needed.

    Exit codes: 0 done, 1 failed, 2 input that does not fit, 3 done but for some fields,
    130 stopped.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the value is the exit code."""
    # Threads of torch that wait must not spin: cropping goes on beside the encoder.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    keep_off_terminal()
    logging.raiseExceptions = False  # a full disk under the log would bury the message in traces
    try:
        code: Any = cli.main(args=arguments, prog_name="omero-hcs", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Abort:
        return show_error(KeyboardInterrupt(), None)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except KeyboardInterrupt as error:
        return show_error(error, None)
    except BrokenPipeError:  # whoever read the output, such as `head`, has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123  (Python flushes it at exit)
        return FAILED  # as click does where it meets it first
    except ImportError as error:
        return show_error(_missing_extra(error, arguments) or error, _log_folder())
    except Exception as error:  # noqa: BLE001  (the one place that turns any error into a message)
        return show_error(error, _log_folder())
    return code if isinstance(code, int) else 0


def _missing_extra(error: ImportError, arguments: Sequence[str] | None) -> MissingExtraError | None:
    """Name all that a verb needs at once, where one of its packages is not installed."""
    name, verb = _verb_of(sys.argv[1:] if arguments is None else arguments)
    missing = (error.name or "omero_hcs").partition(".")[0]
    absent = isinstance(error, ModuleNotFoundError | MissingExtraError)
    if verb is None or not verb.extras or not absent or missing == "omero_hcs":
        return None
    msg = (
        f"omero-hcs {name} needs {missing!r}, which is not installed. "
        f"Install all that it needs with: pip install 'omero-hcs[{verb.extras}]'"
    )
    return MissingExtraError(msg, name=missing)


def _verb_of(arguments: Sequence[str]) -> tuple[str, Verb | None]:
    """Find the verb that was called, also one of a group, and what it is called in full."""
    verbs: Mapping[str, Verb] = VERBS
    found: Verb | None = None
    names: list[str] = []
    for word in arguments:
        if word not in verbs:
            break
        found, names = verbs[word], [*names, word]
        verbs = getattr(lazy.load(found.entry), "verbs", {})
    return " ".join(names), found


def _log_folder() -> Any:
    from omero_hcs.errors import HcsError
    from omero_hcs.settings import load_settings

    try:
        return load_settings().values.state_dir / "logs"
    except HcsError:
        return None
