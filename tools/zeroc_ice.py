"""Get zeroc-ice, by which OMERO is spoken to, into an environment: found, downloaded or built.

PyPI has zeroc-ice 3.6.5 as source alone, and on Python 3.11 and later that does not compile as it
is. So the set-up takes, in this order: what is installed already; a wheel of the folder
OMERO_HCS_WHEELS or of the cache; the wheel that Glencoe Software publishes; its own build
(docker/zeroc-ice). A wheel counts only if Ice can be imported from it. What was done is said in
one line, and so is what was passed over.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import debian

VERSION = "3.6.5"
PYTHON = f"cp{sys.version_info.major}{sys.version_info.minor}"
BUILDER = Path(__file__).resolve().parents[1] / "docker" / "zeroc-ice" / "build_wheel.py"
CHECK = "import Glacier2, Ice, IceStorm; assert Ice.stringVersion().startswith('3.6.')"
# Of each release of github.com/glencoesoftware: repository, tag, platform in the wheels' names.
RELEASES = {
    ("Linux", "x86_64"): ("zeroc-ice-py-linux-x86_64", "20240202", "manylinux_2_28_x86_64"),
    ("Linux", "aarch64"): ("zeroc-ice-py-linux-aarch64", "20240620", "manylinux_2_28_aarch64"),
    ("Darwin", "x86_64"): ("zeroc-ice-py-macos-universal2", "20240131", "macosx_11_0_universal2"),
    ("Darwin", "arm64"): ("zeroc-ice-py-macos-universal2", "20240131", "macosx_11_0_universal2"),
}
RELEASED_FOR = ("cp311", "cp312")
SECONDS_TO_ANSWER = 5
BUILD_MINUTES = "1 to 2 minutes on two free cores"
PROBE = "#include <Python.h>\n#include <openssl/ssl.h>\n#include <bzlib.h>\n"
DEV = f"python{sys.version_info.major}.{sys.version_info.minor}-dev"
PACKAGES = ("g++", "libssl-dev", "libbz2-dev")
NEEDED = (
    "A build needs a C++ compiler and the headers of OpenSSL, bzip2 and Python: "
    f"sudo apt-get install {' '.join(PACKAGES)} {DEV}. Or put a wheel of zeroc-ice {VERSION} "
    f"for {PYTHON} into a folder and name that in OMERO_HCS_WHEELS."
)


class NotAvailableError(Exception):
    """No way to zeroc-ice is left; the message says what to do."""


def install(python: Path) -> None:
    """Install zeroc-ice into the environment of `python`, in the first way that works.

    Raises
    ------
    NotAvailableError
        None works.
    """
    if complaint(python, "-c", CHECK) is None:
        return
    with tempfile.TemporaryDirectory(prefix="omero-hcs-", ignore_cleanup_errors=True) as scratch:
        for wheel, origin in candidates(python, Path(scratch)):
            if (why := refusal(python, wheel)) is None:
                say(f"zeroc-ice {origin}.")
                if wheel.is_relative_to(scratch):
                    keep(wheel)
                return
            say(f"passed over {wheel}: {why}")
    msg = f"The wheel of zeroc-ice {VERSION} that was built does not work; the reason is above."
    raise NotAvailableError(msg)


def candidates(python: Path, scratch: Path) -> Iterator[tuple[Path, str]]:
    """Yield wheels and where each is from, best first; each is looked for when it is asked for."""
    if named := os.environ.get("OMERO_HCS_WHEELS"):
        folder = Path(named).expanduser()
        yield from (found := in_folder(folder))
        if not found:
            say(f"{folder}, named by OMERO_HCS_WHEELS, has no zeroc-ice {VERSION} for {PYTHON}.")
    yield from in_folder(cache())
    if (wheel := downloaded(scratch)) is not None:
        yield wheel, "as Glencoe Software publishes it (over HTTPS; its digest is not known)"
    started = time.monotonic()
    yield built(python, scratch), f"built from source in {time.monotonic() - started:.0f} s"


def in_folder(folder: Path) -> list[tuple[Path, str]]:
    """Return the wheels of a folder that are for this Python, and what to say of them."""
    wheels = sorted(folder.glob(f"zeroc_ice-{VERSION}-*{PYTHON}-*.whl"))
    return [(wheel, f"from {wheel}") for wheel in wheels]


def cache() -> Path:
    """Return the folder in which wheels are kept for the next environment."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "omero-hcs" / "wheels"


def refusal(python: Path, wheel: Path) -> str | None:
    """Install a wheel; return None if it works, else why not, with nothing of it left."""
    pip = ("-m", "pip", "-qq")
    quiet = ("--disable-pip-version-check", "--no-deps", "--no-index", "--force-reinstall")
    if (why := complaint(python, *pip, "install", *quiet, str(wheel))) is not None:
        return why
    if (why := complaint(python, "-c", CHECK)) is not None:
        complaint(python, *pip, "uninstall", "--yes", "zeroc-ice")
    return why


def complaint(python: Path, *arguments: str) -> str | None:
    """Run Python; return the last line of what it complained of, or None if all is well."""
    done = subprocess.run([python, *arguments], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"it ended with {done.returncode}"


def downloaded(scratch: Path) -> Path | None:
    """Fetch the published wheel for this Python and platform, or say why there is none."""
    release = RELEASES.get((platform.system(), platform.machine()))
    if release is None or PYTHON not in RELEASED_FOR:
        say(f"no zeroc-ice is published for {PYTHON} on {platform.system()} {platform.machine()}.")
        return None
    repository, tag, kind = release
    name = f"zeroc_ice-{VERSION}-{PYTHON}-{PYTHON}-{kind}.whl"
    url = f"https://github.com/glencoesoftware/{repository}/releases/download/{tag}/{name}"
    try:
        fetch(url, scratch / name)
    except OSError as error:
        why = getattr(error, "reason", error)
        say(f"the published zeroc-ice was not fetched from github.com: {why}")
        return None
    return scratch / name


def fetch(url: str, path: Path) -> None:
    """Write what is at a URL to a file; over HTTPS all the way, also where it is redirected."""
    with urllib.request.urlopen(url, timeout=SECONDS_TO_ANSWER) as answer:  # noqa: S310, see above
        if not answer.url.startswith("https://"):
            msg = f"{answer.url} is not HTTPS"
            raise OSError(msg)
        with path.open("wb") as file:
            shutil.copyfileobj(answer, file)


def built(python: Path, scratch: Path) -> Path:
    """Build a wheel from source."""
    prepare()
    folder, log = scratch / "wheel", scratch / "build.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [python, BUILDER, folder],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(scratch)},
            start_new_session=True,
        )
        try:
            wait(process)
        except BaseException:  # pip and the compilers below it, too
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    if process.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
        msg = f"{tail}\nzeroc-ice {VERSION} does not build here; the reason is above. {NEEDED}"
        raise NotAvailableError(msg)
    return next(folder.glob("*.whl"))


def prepare() -> None:
    """See to what a build needs; install it where the set-up may."""
    if can_compile():
        return
    if not debian.may_install():
        msg = f"zeroc-ice {VERSION} has to be built, but cannot be. {NEEDED}"
        raise NotAvailableError(msg)
    debian.install(*PACKAGES, *([] if has_python_headers() else [DEV]))


def has_python_headers() -> bool:
    """Say whether Python's own are there; a Python that is not Debian's brings them."""
    return Path(sysconfig.get_paths()["include"], "Python.h").exists()


def can_compile() -> bool:
    """Say whether a compiler and the headers are there; only on Linux are those separate."""
    compiler = os.environ.get("CXX", "g++").split()
    command = [*compiler, "-E", "-x", "c++", "-I", sysconfig.get_paths()["include"], "-"]
    try:
        done = subprocess.run(command, input=PROBE.encode(), capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0 or platform.system() != "Linux"


def wait(process: subprocess.Popen[bytes]) -> None:
    """Wait for the build, and say how long it has been."""
    say(f"building zeroc-ice {VERSION} from source, {BUILD_MINUTES} ...")
    terminal = sys.stdout.isatty()
    started = time.monotonic()
    while True:
        try:
            process.wait(timeout=1 if terminal else 20)
        except subprocess.TimeoutExpired:
            seconds = time.monotonic() - started
            say(f"  {seconds:.0f} s so far", end="\r" if terminal else "\n")
        else:
            return


def keep(wheel: Path) -> None:
    """Keep a wheel for the next environment, whole or not at all."""
    folder = cache()
    part = folder / f".{wheel.name}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(wheel, part)
        part.replace(folder / wheel.name)
        say(f"kept it in {folder}, for the next time.")
    except OSError as error:
        say(f"could not keep it in {folder}: {error.strerror}")
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def say(text: str, end: str = "\n") -> None:
    """Tell the user."""
    print(f"Set-up: {text}", end=end, flush=True)
