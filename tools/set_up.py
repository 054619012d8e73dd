"""Make the project's one virtual environment, or leave it alone where it is right.

`make` calls this before everything it does, with any Python from 3.11 on and nothing installed.
A stamp in the environment, written last, says what it was made from: an interrupted set-up has
none and is made anew. Changed requirements make the environment anew; any other change of
setup.cfg (a version, an entry point) only installs the package itself again.
"""

from __future__ import annotations

import argparse
import configparser
import fcntl
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import debian
import zeroc_ice

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
STAMP = VENV / "made-from.json"
EXTRAS = "all,omero,sandbox,web,docs,dev"
MINUTES = "3 to 15"
PIP = (str(VENV / "bin" / "python"), "-m", "pip", "install", "-qq")


def main() -> int:
    """Bring the environment to what setup.cfg and constraints.txt ask for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--accept", action="store_true", help="check the environment that is there, and stamp it"
    )
    arguments = parser.parse_args()
    with (ROOT / "setup.cfg").open() as lock:  # two makes at once: the second one waits
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted, found = wanted_stamp(), read_stamp()
        if arguments.accept:
            return accept(wanted)
        return 0 if found == wanted else set_up(wanted, found)


def set_up(wanted: dict[str, str], found: dict[str, str]) -> int:
    """Make or mend the environment, and stamp it."""
    try:
        if found.get("requirements") == wanted["requirements"]:
            refresh()
        else:
            remake()
    except subprocess.CalledProcessError as error:
        command = " ".join(map(str, error.cmd))
        print(f"Set-up failed at: {command}\nThe reason is above; run make again after mending it.")
        return 1
    except zeroc_ice.NotAvailableError as error:
        print(f"Set-up failed: {error}\nRun make again after mending it.")
        return 1
    STAMP.write_text(json.dumps(wanted), encoding="utf-8")
    return 0


def wanted_stamp() -> dict[str, str]:
    """Return what a right environment is made from: `requirements`, and the `package` itself."""
    setup = ROOT / "setup.cfg"
    config = configparser.ConfigParser()
    config.read(setup, encoding="utf-8")
    options = config["options"]
    asked = {
        "python": options["python_requires"],
        "base": options["install_requires"],
        "extras": dict(config["options.extras_require"]),
        "pins": (ROOT / "constraints.txt").read_text(encoding="utf-8"),
        "place": str(VENV),
    }
    return {"requirements": digest(json.dumps(asked)), "package": digest(setup.read_text("utf-8"))}


def digest(text: str) -> str:
    """First 16 hex digits of a text's sha256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_stamp() -> dict[str, str]:
    """Return the stamp of the environment that is there; empty where it is absent or unreadable."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    usable = isinstance(stamp, dict) and (VENV / "bin" / "python").exists()
    return stamp if usable else {}


def remake() -> None:
    """Make the environment from nothing."""
    print(f"Set-up: making {VENV.name} ({MINUTES} minutes, about 6 GB, most of it torch) ...")
    sys.stdout.flush()
    started = time.monotonic()
    STAMP.unlink(missing_ok=True)
    if VENV.exists():
        shutil.rmtree(VENV)
    make_empty()
    zeroc_ice.install(VENV / "bin" / "python")
    install(f"{ROOT}[{EXTRAS}]")
    print(f"Set-up: done in {(time.monotonic() - started) / 60:.1f} minutes.")


def make_empty() -> None:
    """Make an environment with pip; Debian keeps what that needs in a package of its own."""
    command = [sys.executable, "-m", "venv", str(VENV)]
    if subprocess.run(command, capture_output=True, check=False).returncode == 0:
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if debian.may_install():
        debian.install(package)
    else:
        print(f"If Python's venv is what is missing, install it: sudo apt-get install {package}")
    shutil.rmtree(VENV, ignore_errors=True)
    run(*command)


def refresh() -> None:
    """Install the package itself again: its metadata changed, its requirements did not."""
    print("Set-up: setup.cfg changed, installing the package again (seconds) ...")
    STAMP.unlink()
    install("--no-deps", str(ROOT))


def install(*what: str) -> None:
    """Install the project editable, with the pinned versions; only errors are shown."""
    *options, project = what
    pins = ["--constraint", str(ROOT / "constraints.txt")]
    run(*PIP, *options, *pins, "--editable", project)


def run(*command: str) -> None:
    """Run a command; what it says goes to the terminal."""
    subprocess.run(command, check=True, cwd=ROOT)


def accept(wanted: dict[str, str]) -> int:
    """Stamp the environment that is there, if pip would change nothing in it."""
    pins = ["--constraint", str(ROOT / "constraints.txt"), f"{ROOT}[{EXTRAS}]"]
    command = [*PIP, "--dry-run", "--report", "-", *pins]
    report = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    changes = [item["metadata"] for item in json.loads(report.stdout)["install"]]
    names = [f"{item['name']} {item['version']}" for item in changes if item["name"] != "omero-hcs"]
    if names:
        print(f"Not accepted; these would be installed: {', '.join(names)}")
        return 1
    STAMP.write_text(json.dumps(wanted), encoding="utf-8")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Set-up: ended."))  # having tidied up
    sys.exit(main())
