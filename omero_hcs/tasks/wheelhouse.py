"""Wheels of omero-hcs and of all that it needs, in one folder; what each is, and its licence."""

from __future__ import annotations

import base64
import email
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlparse

from omero_hcs.errors import InputError, NotFoundError, WriteError

NAME = "omero-hcs"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""PyTorch's own index of builds without CUDA."""

_SOURCES = ("omero_hcs", "omero_scripts", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
_WITH_OMERO = {"omero", "sandbox", "web"}
_ZEROC = "zeroc-ice"
_EPOCH = "315532800"  # 1980, the earliest that a wheel can name: the same files, the same wheel
_NOT_OF_A_WHEEL = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
_WEIGHTS = (".pth", ".safetensors")


@dataclass(frozen=True)
class Wheel:
    """What a wheel says of itself.

    Parameters
    ----------
    name, version : str
        Of the package.
    licence : str
        As its metadata state it.
    size, unpacked : int
        Bytes as a wheel, and installed.
    weights : tuple of (str, int, str)
        Files of tensors in it: path, bytes, sha256.
    """

    name: str
    version: str
    licence: str
    size: int
    unpacked: int
    weights: tuple[tuple[str, int, str], ...] = ()


def known_extras() -> tuple[str, ...]:
    """Names of the extras that this installation declares."""
    return tuple(importlib.metadata.metadata(NAME).get_all("Provides-Extra") or ())


def fill_wheelhouse(
    folder: Path,
    extras: Sequence[str],
    *,
    indexes: Sequence[str] = (),
    constraint: Path | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> None:
    """Put our wheel, and those of all that it needs, into a folder.

    Parameters
    ----------
    folder : Path
        Empty.
    extras : sequence of str
        Extras of omero-hcs.
    indexes : sequence of str
        Package indexes beside pip's own, such as `CPU_INDEX`.
    constraint : Path, optional
        A file of exact versions; a checkout's `constraints.txt` by default.
    told : callable
        Called with each line that pip says.

    Raises
    ------
    InputError
        If zeroc-ice is needed and is nowhere.
    WriteError
        If pip fails; the message has its reason.
    """
    with tempfile.TemporaryDirectory(prefix="omero-hcs-") as scratch:
        local = Path(scratch) / "local"
        local.mkdir()
        checkout = _checkout()
        own = _built(checkout, local, told) if checkout else repacked(NAME, local)
        if _WITH_OMERO & set(extras):
            _add_zeroc_ice(local)
        if constraint is None and checkout and (checkout / "constraints.txt").is_file():
            constraint = checkout / "constraints.txt"
        wanted = f"{own}[{','.join(extras)}]" if extras else str(own)
        more = [f"--extra-index-url={index}" for index in indexes]
        more += [f"--constraint={constraint}"] if constraint else []
        options = ("--prefer-binary", f"--find-links={local}", f"--wheel-dir={folder}")
        _pip(["wheel", *options, *more, wanted], told)
        shutil.copyfile(own, folder / own.name)


def repacked(name: str, folder: Path) -> Path:
    """Make a wheel of an installed package again, out of the files that it consists of.

    Raises
    ------
    NotFoundError
        If it is not installed, or only by a link to its sources.
    """
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        msg = f"{name} is not installed in this environment."
        raise NotFoundError(msg) from None
    files = sorted(_of_wheel(found.files or ()), key=str)
    tags = [
        line.partition(": ")[2]
        for line in (found.read_text("WHEEL") or "").splitlines()
        if line.startswith("Tag: ")
    ]
    info = next((path.parts[0] for path in files if path.parts[0].endswith(".dist-info")), "")
    if not info or not tags or any("__editable__" in str(path) for path in files):
        msg = f"{name} is installed in a way that no wheel can be made of."
        raise NotFoundError(msg)
    target = folder / f"{info.removesuffix('.dist-info')}-{_joined(tags)}.whl"
    record = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            content = Path(str(path.locate())).read_bytes()
            record.append(f"{path},sha256={_record_digest(content)},{len(content)}")
            _add(archive, str(path), content, executable=path.suffix == ".so")
        record.append(f"{info}/RECORD,,")
        _add(archive, f"{info}/RECORD", "\n".join([*record, ""]).encode())
    return target


def look_at(path: Path) -> Wheel:
    """Read what a wheel says of itself, and which weights are in it.

    Raises
    ------
    InputError
        If it is none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            info = next(e for e in entries if e.filename.endswith(".dist-info/METADATA"))
            metadata = email.message_from_bytes(archive.read(info))
            licence = _licence(metadata) or _title_of_licence(archive)
            weights = tuple(
                (entry.filename, entry.file_size, _sha256_within(archive, entry))
                for entry in entries
                if entry.filename.endswith(_WEIGHTS)
            )
    except (OSError, zipfile.BadZipFile, StopIteration) as error:
        msg = f"{path} is no wheel."
        raise InputError(msg) from error
    unpacked = sum(entry.file_size for entry in entries)
    name, version = str(metadata["Name"]), str(metadata["Version"])
    return Wheel(name, version, licence, path.stat().st_size, unpacked, weights)


def _checkout() -> Path | None:
    """Folder of the sources, where this installation is only a link to them."""
    told = json.loads(importlib.metadata.distribution(NAME).read_text("direct_url.json") or "{}")
    if not told.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlparse(told["url"]).path))


def _built(checkout: Path, folder: Path, told: Callable[[str], None]) -> Path:
    """Build our wheel from a copy of the sources: a build leaves files behind."""
    with tempfile.TemporaryDirectory(prefix="omero-hcs-") as scratch:
        for name in _SOURCES:
            source, copy = checkout / name, Path(scratch) / name
            if source.is_dir():
                shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, copy)
        _pip(["wheel", "--no-deps", f"--wheel-dir={folder}", scratch], told)
    return next(folder.glob("omero_hcs-*.whl"))


def _add_zeroc_ice(folder: Path) -> None:
    """Find a wheel of zeroc-ice, of which PyPI has the source alone."""
    named = os.environ.get("OMERO_HCS_WHEELS")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    for place in [*([Path(named).expanduser()] if named else []), cache / NAME / "wheels"]:
        if found := sorted(place.glob(f"zeroc_ice-3.6.*-{python}-*.whl")):
            shutil.copyfile(found[-1], folder / found[-1].name)
            return
    try:
        repacked(_ZEROC, folder)
    except NotFoundError:
        msg = (
            "The extra omero needs zeroc-ice, and no wheel of it is here. Put one into a folder, "
            "named by OMERO_HCS_WHEELS; docs/how-to/install.md says where wheels are and how one "
            "is built."
        )
        raise InputError(msg) from None


def _pip(arguments: Sequence[str], told: Callable[[str], None]) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    last: list[str] = []
    with subprocess.Popen(  # noqa: S603  (our own interpreter; what it builds is what was asked for)
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": _EPOCH},
    ) as process:
        for line in process.stdout or ():
            told(line.strip())
            last = [*last[-9:], line.rstrip()] if line.strip() else last
    if process.returncode:
        msg = "pip could not get all wheels:\n{}".format("\n".join(f"  {line}" for line in last))
        raise WriteError(msg)


def _of_wheel(
    files: Sequence[importlib.metadata.PackagePath],
) -> Iterator[importlib.metadata.PackagePath]:
    for path in files:
        kept = ".." not in path.parts and "__pycache__" not in path.parts
        own = path.parent.name.endswith(".dist-info") and path.name in _NOT_OF_A_WHEEL
        if kept and not own:
            yield path


def _joined(tags: Sequence[str]) -> str:
    """Compress tags as a wheel's name has them: "cp311-cp311-linux_x86_64"."""
    parts = zip(*(tag.split("-") for tag in tags), strict=True)
    return "-".join(".".join(sorted(set(part))) for part in parts)


def _add(archive: zipfile.ZipFile, name: str, content: bytes, *, executable: bool = False) -> None:
    entry = zipfile.ZipInfo(PurePosixPath(name).as_posix())
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (0o100755 if executable else 0o100644) << 16
    archive.writestr(entry, content)


def _record_digest(content: bytes) -> str:
    digest = hashlib.sha256(content).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _sha256_within(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    with archive.open(entry) as file:
        # Typed as IO[bytes], which has no readinto; the file that it is has.
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def _licence(metadata: email.message.Message) -> str:
    """Licence of a package, as it states it: by an expression, a classifier or a word, or not."""
    stated = str(metadata.get("License-Expression") or "").strip()
    classes = [
        str(line).rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier") or ()
        if str(line).startswith("License ::") and str(line).count("::") > 1
    ]
    text = str(metadata.get("License") or "").strip()
    word = text.splitlines()[0][:80] if text and len(text.splitlines()) < 3 else ""
    return stated or ", ".join(classes) or ("" if word == "UNKNOWN" else word)


def _title_of_licence(archive: zipfile.ZipFile) -> str:
    """Say what the licence file of a wheel begins with, where its metadata are silent."""
    for entry in archive.infolist():
        path = PurePosixPath(entry.filename)
        if ".dist-info" in entry.filename and path.name.upper().startswith(("LICEN", "COPYING")):
            text = archive.read(entry)[:2000].decode(errors="replace")
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            return ", ".join(lines[:2])[:80]
    return "not stated"
