"""Everything that an installation without a network needs, in one archive."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import omero_hcs
from omero_hcs.errors import InputError, InputErrors, WriteError
from omero_hcs.tasks import bundled_setup
from omero_hcs.tasks.base import Progress, no_progress
from omero_hcs.tasks.bundled_setup import MANIFEST, SCHEMA_VERSION, this_machine
from omero_hcs.tasks.driver import package_version
from omero_hcs.tasks.wheelhouse import (
    CPU_INDEX,
    Wheel,
    fill_wheelhouse,
    known_extras,
    look_at,
)

_ROOM = {"ml": 14e9, "all": 14e9}
"""Bytes that wheels and archive take together where torch with CUDA is among them."""

_ROOM_ELSE = 2e9
_PIECE = 1 << 20
_TIME = 315532800  # 1980: two bundles of the same files are the same bytes
_WEIGHTS = (".pth", ".safetensors")


@dataclass(frozen=True)
class BundleParts:
    """What is to be in a bundle.

    Parameters
    ----------
    extras : tuple of str
        Extras of omero-hcs, whose packages go along.
    cpu : bool
        Whether torch is taken without CUDA, from PyTorch's own index.
    indexes : tuple of str
        Package indexes beside pip's own.
    constraint : Path, optional
        A file of exact versions; a checkout's own by default.
    weights : tuple of Path
        Files of encoder weights beside those that an extra brings.
    """

    extras: tuple[str, ...] = ("omero",)
    cpu: bool = False
    indexes: tuple[str, ...] = ()
    constraint: Path | None = None
    weights: tuple[Path, ...] = ()


def make_bundle(out: Path, parts: BundleParts, *, progress: Progress = no_progress) -> list[Wheel]:
    """Write a bundle for this machine's Python and platform.

    Parameters
    ----------
    out : Path
        The archive; it must not be there yet.
    parts : BundleParts
        What is to be in it.
    progress : callable
        See `tasks.base.Progress`.

    Returns
    -------
    list of Wheel
        The packages in it.

    Raises
    ------
    InputErrors
        If something that was asked for is not there, or there is no room.
    WriteError
        If pip fails, or the archive cannot be written.
    """
    _check(out, parts)
    with tempfile.TemporaryDirectory(
        prefix=".omero-hcs-", dir=_existing(out.absolute())
    ) as scratch:
        folder = Path(scratch) / f"omero-hcs-{package_version()}-bundle"
        wheels = folder / "wheels"
        wheels.mkdir(parents=True)
        collected = 0

        def count(line: str) -> None:
            nonlocal collected
            if line.startswith(("Collecting", "Processing")):
                collected += 1
                progress("collect packages", collected, collected + 1)

        indexes = (*((CPU_INDEX,) if parts.cpu else ()), *parts.indexes)
        fill_wheelhouse(
            wheels, parts.extras, indexes=indexes, constraint=parts.constraint, told=count
        )
        for file in parts.weights:
            (folder / "weights").mkdir(exist_ok=True)
            shutil.copyfile(file, folder / "weights" / file.name)
        return pack(folder, out, parts.extras, progress=progress)


def pack(
    folder: Path, out: Path, extras: Sequence[str], *, progress: Progress = no_progress
) -> list[Wheel]:
    """Add installer, scripts, licences and manifest to a folder with wheels, and write it as a tar.

    The same files give the same archive, byte for byte.

    Raises
    ------
    WriteError
        If it cannot be written; nothing half-written is left.
    """
    wheels = [look_at(path) for path in sorted((folder / "wheels").glob("*.whl"))]
    _add_texts(folder, extras, wheels)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sizes = sum(path.stat().st_size for path in files)
    _check_room(out, sizes)
    manifest = _manifest(folder, files, extras, wheels, progress)
    part = out.with_name(f".{out.name}.part")
    try:
        with tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as tar:
            text = json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"
            _add(tar, f"{folder.name}/{MANIFEST}", io.BytesIO(text), len(text))
            done = 0
            for path in files:
                name = f"{folder.name}/{path.relative_to(folder).as_posix()}"
                with path.open("rb") as file:
                    _add(tar, name, file, path.stat().st_size)
                done += path.stat().st_size
                progress("write archive", done // _PIECE, sizes // _PIECE)
        part.replace(out)
    except OSError as error:
        msg = f"The bundle {out} could not be written: {error.strerror}."
        raise WriteError(msg) from error
    finally:
        part.unlink(missing_ok=True)
    return wheels


def _check(out: Path, parts: BundleParts) -> None:
    faults = []
    known = known_extras()
    if unknown := sorted(set(parts.extras) - set(known)):
        faults.append(f"There is no extra {', '.join(unknown)}. There are: {', '.join(known)}.")
    if out.exists():
        faults.append(f"{out} is there already. Remove it, or pass another name.")
    if not out.absolute().parent.is_dir():
        faults.append(f"There is no folder {out.absolute().parent}. Make it first.")
    faults += [
        f"{file} is no file of weights: those end with {' or '.join(_WEIGHTS)}."
        for file in parts.weights
        if not file.is_file() or file.suffix not in _WEIGHTS
    ]
    if faults:
        raise InputErrors(faults)
    largest = max((_ROOM.get(extra, _ROOM_ELSE) for extra in parts.extras), default=_ROOM_ELSE)
    _check_room(out, _ROOM_ELSE * 2 if parts.cpu else largest)


def _check_room(out: Path, needed: float) -> None:
    near = _existing(out.absolute())
    free = shutil.disk_usage(near).free
    if free < needed:
        msg = (
            f"{near} has {free / 1e9:.1f} GB free, and a bundle needs about {needed / 1e9:.1f} GB "
            "while it is made. Free some space, or write it to another disk."
        )
        raise InputError(msg)


def _existing(path: Path) -> Path:
    return next(folder for folder in path.parents if folder.exists())


def _add_texts(folder: Path, extras: Sequence[str], wheels: Sequence[Wheel]) -> None:
    setup = Path(bundled_setup.__file__).read_text(encoding="utf-8")
    (folder / "install.py").write_text(setup, encoding="utf-8")
    scripts = folder / "scripts" / "hcs"
    scripts.mkdir(parents=True)
    source = Path(omero_hcs.__file__).parents[1] / "omero_scripts" / "hcs"
    for file in sorted(source.glob("*.py")):
        shutil.copyfile(file, scripts / file.name)
    rows = [f"{wheel.name:36} {wheel.version:18} {wheel.licence}" for wheel in wheels]
    text = "\n".join([_LICENCES, *rows, ""])
    (folder / "LICENCES.txt").write_text(text, encoding="utf-8")
    told = _INSTALL.format(
        version=package_version(), python=this_machine()[0], platform=this_machine()[1],
        extras=", ".join(extras), folder=folder.name,
    )  # fmt: skip
    (folder / "INSTALL.txt").write_text(told, encoding="utf-8")


def _manifest(
    folder: Path,
    files: Sequence[Path],
    extras: Sequence[str],
    wheels: Sequence[Wheel],
    progress: Progress,
) -> dict[str, Any]:
    python, platform = this_machine()
    notes = {}
    for number, path in enumerate(files, 1):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        name = path.relative_to(folder).as_posix()
        notes[name] = {"size": path.stat().st_size, "sha256": digest}
        progress("take digests", number, len(files))
    return {
        "schema_version": SCHEMA_VERSION,
        "name": "omero-hcs",
        "version": package_version(),
        "python": python,
        "platform": platform,
        "extras": list(extras),
        "unpacked_bytes": sum(wheel.unpacked for wheel in wheels),
        "files": notes,
        "packages": [
            {key: value for key, value in asdict(wheel).items() if key != "weights"}
            for wheel in wheels
        ],
        "weights": [*_weights(wheels), *_more_weights(notes)],
    }


def _weights(wheels: Sequence[Wheel]) -> Iterator[dict[str, Any]]:
    for wheel in wheels:
        for name, size, digest in wheel.weights:
            yield {
                "file": name, "in": f"{wheel.name} {wheel.version}", "size": size,
                "sha256": digest, "licence": wheel.licence,
            }  # fmt: skip


def _more_weights(notes: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, note in notes.items():
        if name.startswith("weights/"):
            licence = "its authors'; who made this bundle added it"
            yield {"file": name, "in": "weights", "licence": licence, **note}


def _add(tar: tarfile.TarFile, name: str, file: Any, size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, _TIME, 0o644
    tar.addfile(member, file)


_LICENCES = """\
Licences of the packages in wheels/, as they state them. The texts are in the wheels. omero-hcs
itself is under GPL-2.0-or-later. This bundle combines packages for the use of whoever made it;
before you pass it on to others, see "Licences" in the documentation.
"""

_INSTALL = """\
omero-hcs {version} without a network

For Python {python} on {platform}, with the extras: {extras}.

  1. Copy the archive to the machine and unpack it:
       tar xf BUNDLE.tar && cd {folder}
  2. Install into an environment of its own:
       python{python} install.py --venv /opt/omero-hcs
     Every file is checked by its sha256 first. An environment that is there is brought up to date.
  3. See what is there:
       /opt/omero-hcs/bin/omero-hcs doctor
  4. Say that there is no network, in /etc/omero-hcs.toml:
       offline = true
  5. Put the scripts on the OMERO server, as an administrator:
       /opt/omero-hcs/bin/omero-hcs scripts install omero://ADMIN@HOST --official

Each processor of the OMERO server that can answer needs this environment, the server's own one
included; or it is switched off in omero.server.nodedescriptors.

wheels/        the packages             LICENCES.txt   their licences
scripts/       the scripts of OMERO's menu, for lib/scripts if you cannot use step 5
weights/       encoder weights, if any were added: --weights FILE --weights-sha256 (MANIFEST.json)
"""
