"""Install omero-hcs from a bundle, on a machine without a network.

This file is also the bundle's own `install.py`, so it needs the standard library alone. A bundle is
checked before anything of it is used: the archive has plain files below one folder and no others,
each is listed in MANIFEST.json, and has the size and the sha256 that are written there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

MANIFEST = "MANIFEST.json"
SCHEMA_VERSION = 1
PIECE = 1 << 20
LARGEST_MANIFEST = 50_000_000

Progress = Callable[[str, int, int], None]
"""Told the stage, how much of it is done, and how much there is."""


class BundleError(Exception):
    """A bundle that cannot be used, or not here; the message says why and what to do."""


def main() -> int:
    """Install from the folder that this file lies in: what `python3 install.py` does."""
    parser = argparse.ArgumentParser(description="Install omero-hcs without a network.")
    parser.add_argument(
        "--venv", type=Path, default=Path("omero-hcs-venv"), help="folder of the environment"
    )
    arguments = parser.parse_args()
    try:
        said = install(Path(__file__).resolve().parent, arguments.venv, _tell)
    except BundleError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    sys.stdout.write(said)
    return 0


def install(bundle: Path, venv: Path, progress: Progress) -> str:
    """Make an environment of a bundle, and try it.

    Parameters
    ----------
    bundle : Path
        The archive, or the folder that it was unpacked to.
    venv : Path
        The environment; made if it is not there, brought up to date if it is.
    progress : callable
        See `Progress`.

    Returns
    -------
    str
        What the installation says of itself, and what comes next.

    Raises
    ------
    BundleError
        If the bundle is damaged or not for this machine, there is no room, or pip fails. An
        environment that was made for it is removed again.
    """
    venv = venv.absolute()
    if bundle.is_dir():
        manifest = read_manifest(_read_whole(bundle / MANIFEST))
        check_machine(manifest)
        _check_room(venv, manifest["unpacked_bytes"])
        check_files(bundle, manifest, progress)
        return _install(bundle, manifest, venv, progress)
    near = _existing(venv.parent)
    with tempfile.TemporaryDirectory(prefix=".omero-hcs-", dir=near) as scratch:
        folder, manifest = unpack(bundle, Path(scratch), venv, progress)
        return _install(folder, manifest, venv, progress)


def unpack(
    archive: Path, scratch: Path, venv: Path, progress: Progress
) -> tuple[Path, dict[str, Any]]:
    """Unpack a bundle's archive, checking every file of it on the way.

    Raises
    ------
    BundleError
        If there is anything in it that is not as its manifest says; nothing is left of it then.
    """
    try:
        with tarfile.open(archive, "r:") as tar:
            members = _plain_files(tar)
            first = next(iter(members), "")
            if PurePosixPath(first).name != MANIFEST or members[first].size > LARGEST_MANIFEST:
                raise BundleError(_damaged(f"{archive} does not begin with {MANIFEST}"))
            manifest = read_manifest(_opened(tar, members[first]).read())
            check_machine(manifest)
            listed = manifest["files"]
            size = sum(note["size"] for note in listed.values())
            _check_room(venv, size + manifest["unpacked_bytes"])
            root = scratch / PurePosixPath(first).parent.name
            root.mkdir()
            (root / MANIFEST).write_bytes(_opened(tar, members.pop(first)).read())
            _compare_names({_below_root(name) for name in members}, set(listed))
            _unpack_files(tar, members, root, manifest, progress)
    except (tarfile.TarError, EOFError) as error:
        raise BundleError(_damaged(f"{archive} cannot be read: {error}")) from error
    except OSError as error:
        msg = f"{archive} cannot be unpacked: {error.strerror or error}."
        raise BundleError(msg) from error
    return root, manifest


def read_manifest(text: bytes) -> dict[str, Any]:
    """Read a manifest.

    Raises
    ------
    BundleError
        If it is none, or one of a newer release.
    """
    try:
        manifest = json.loads(text)
        version = manifest["schema_version"]
        notes = dict(manifest["files"])
        whole = all(
            isinstance(note["size"], int) and isinstance(note["sha256"], str)
            for note in notes.values()
        )
        whole &= isinstance(manifest["unpacked_bytes"], int) and {
            "python", "platform", "extras", "version",
        } <= set(manifest)  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(_damaged(f"its {MANIFEST} cannot be read")) from error
    if version != SCHEMA_VERSION:
        msg = (
            f"This bundle has format {version}, and {SCHEMA_VERSION} is what is known here. Use "
            "the install.py inside the bundle."
        )
        raise BundleError(msg)
    names = [PurePosixPath(name) for name in notes]
    if not whole or any(name.is_absolute() or ".." in name.parts for name in names):
        raise BundleError(_damaged(f"its {MANIFEST} is not as it should be"))
    return dict(manifest)


def check_machine(manifest: dict[str, Any]) -> None:
    """Make sure that a bundle is for this Python and this kind of machine.

    Raises
    ------
    BundleError
        If it is for another one.
    """
    made, here = (manifest["python"], manifest["platform"]), this_machine()
    if made != here:
        msg = (
            f"This bundle is for Python {made[0]} on {made[1]}, and this is Python {here[0]} on "
            f"{here[1]}. Start it with python{made[0]}, or make a bundle on a machine like this."
        )
        raise BundleError(msg)


def this_machine() -> tuple[str, str]:
    """Return Python's version and the platform that wheels are made for."""
    major, minor = sys.version_info[:2]
    return f"{major}.{minor}", f"{platform.system()} {sysconfig.get_platform().split('-')[-1]}"


def check_files(folder: Path, manifest: dict[str, Any], progress: Progress) -> None:
    """Make sure that a folder has every file of a manifest, unchanged.

    Raises
    ------
    BundleError
        If one is missing, too many, or not what it should be.
    """
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    wheels = {name for name in found if name.startswith("wheels/")}
    listed = set(manifest["files"])
    _compare_names(wheels | (found & listed), listed)
    total = sum(note["size"] for note in manifest["files"].values())
    done = 0
    for name, note in sorted(manifest["files"].items()):
        with (folder / name).open("rb") as file:
            for piece in _checked(file, name, note):
                done += len(piece)
                progress("check", done, total)


def _install(folder: Path, manifest: dict[str, Any], venv: Path, progress: Progress) -> str:
    is_new = not _is_environment(venv)
    try:
        progress("make environment", 0, 1)
        if is_new:
            _make(venv)
        progress("make environment", 1, 1)
        progress("install packages", 0, 1)
        wheels = sorted(str(path) for path in (folder / "wheels").glob("*.whl"))
        quiet = ("-qq", "--no-index", "--no-deps", "--no-cache-dir")
        _run(venv, "python", "-m", "pip", "install", *quiet, *wheels)
        if not is_new:  # pip leaves a package alone that has the same version
            own = [wheel for wheel in wheels if Path(wheel).name.startswith("omero_hcs-")]
            _run(venv, "python", "-m", "pip", "install", "--force-reinstall", *quiet, *own)
        progress("install packages", 1, 1)
        said = _run(venv, "python", "-m", "pip", "check") + _try(venv, manifest)
    except BaseException:
        if is_new:
            shutil.rmtree(venv, ignore_errors=True)
        raise
    command = venv / "bin" / "omero-hcs"
    return f"{said}omero-hcs {manifest['version']} is in {venv}. Next: {command} doctor\n"


def _try(venv: Path, manifest: dict[str, Any]) -> str:
    """Let what was installed say how it is: with OMERO's client, whether it reads the scripts."""
    verb = ("scripts", "check") if "omero" in manifest["extras"] else ("--version",)
    return _run(venv, "omero-hcs", *verb)


def _is_environment(venv: Path) -> bool:
    """Whether there is one that can be brought up to date; False where nothing is.

    Raises
    ------
    BundleError
        If there is something else, or an environment of another Python.
    """
    if not (venv / "pyvenv.cfg").is_file():
        if venv.exists() and (not venv.is_dir() or any(venv.iterdir())):
            msg = f"{venv} is there already, and is no Python environment. Pass another --venv."
            raise BundleError(msg)
        return False
    version = _run(venv, "python", "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
    if version.strip() != this_machine()[0]:
        msg = (
            f"{venv} is of Python {version.strip()}, and this is {this_machine()[0]}. Pass another "
            "--venv."
        )
        raise BundleError(msg)
    return True


def _make(venv: Path) -> None:
    done = subprocess.run(  # noqa: S603  (this Python, and a path that the user gave)
        [sys.executable, "-m", "venv", str(venv)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        msg = (
            f"No environment could be made in {venv}: {_last(done.stdout + done.stderr)}. On "
            f"Debian and Ubuntu this needs the package python{this_machine()[0]}-venv."
        )
        raise BundleError(msg)


def _run(venv: Path, program: str, *arguments: str) -> str:
    """Run a program of the environment, with no index and no settings of pip but ours."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    variables |= {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    variables |= {"PIP_CONFIG_FILE": os.devnull, "PYTHONNOUSERSITE": "1"}
    variables.pop("PYTHONPATH", None)
    done = subprocess.run(  # noqa: S603  (the environment's own programs)
        [str(venv / "bin" / program), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=variables,
        cwd=venv,
    )
    if done.returncode:
        what = " ".join([program, *arguments[:3]])
        msg = f"`{what}` failed in {venv}: {_last(done.stdout + done.stderr)}."
        raise BundleError(msg)
    return done.stdout


def _plain_files(tar: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    """Members by name, in order: plain files below one folder, each once."""
    found: dict[str, tarfile.TarInfo] = {}
    for member in tar:
        path = PurePosixPath(member.name)
        inside = not path.is_absolute() and ".." not in path.parts and len(path.parts) > 1
        same_root = not found or path.parts[0] == PurePosixPath(next(iter(found))).parts[0]
        plain = member.isreg() and "\\" not in member.name and member.name not in found
        if not (inside and same_root and plain):
            raise BundleError(_damaged(f"it has something that is no plain file: {member.name!r}"))
        found[member.name] = member
    return found


def _compare_names(found: set[str], listed: set[str]) -> None:
    missing, stray = sorted(listed - found), sorted(found - listed)
    if missing or stray:
        what = f"missing: {', '.join(missing[:3])}" if missing else f"not listed: {stray[0]!r}"
        raise BundleError(_damaged(f"its files are not those of its manifest ({what})"))


def _unpack_files(
    tar: tarfile.TarFile,
    members: dict[str, tarfile.TarInfo],
    root: Path,
    manifest: dict[str, Any],
    progress: Progress,
) -> None:
    notes = manifest["files"]
    total, done = sum(note["size"] for note in notes.values()), 0
    for name, member in members.items():
        below = _below_root(name)
        target = root / below
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as copy:
            for piece in _checked(_opened(tar, member), below, notes[below]):
                copy.write(piece)
                done += len(piece)
                progress("unpack", done, total)


def _checked(file: IO[bytes], name: str, note: dict[str, Any]) -> Iterator[bytes]:
    """Pieces of a file; at its end, it has to be the one that the manifest lists."""
    digest, size = hashlib.sha256(), 0
    while piece := file.read(PIECE):
        digest.update(piece)
        size += len(piece)
        if size > note["size"]:
            break
        yield piece
    if size != note["size"] or digest.hexdigest() != note["sha256"]:
        raise BundleError(_damaged(f"{name} is not the file that its manifest lists"))


def _opened(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = tar.extractfile(member)
    if file is None:
        raise BundleError(_damaged(f"{member.name!r} cannot be read"))
    return file


def _below_root(name: str) -> str:
    return PurePosixPath(*PurePosixPath(name).parts[1:]).as_posix()


def _read_whole(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}. Name a bundle, or its unpacked folder."
        raise BundleError(msg) from error


def _check_room(folder: Path, needed: int) -> None:
    near = _existing(folder)
    free = shutil.disk_usage(near).free
    if free < needed:
        msg = (
            f"{near} has {free / 1e9:.1f} GB free, and this needs {needed / 1e9:.1f} GB. Free some "
            "space, or pass --venv on another disk."
        )
        raise BundleError(msg)


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _damaged(what: str) -> str:
    return f"The bundle is damaged: {what}. Copy it again, and nothing of it was installed."


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip().rstrip(".") if lines else "it said nothing"


def _tell(stage: str, done: int, total: int) -> None:
    """Say on a terminal how far a stage is."""
    end = "\n" if done == total else "\r"
    if end == "\n" or sys.stdout.isatty():
        sys.stdout.write(f"{stage}: {100 * done // max(total, 1)} %{end}")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
